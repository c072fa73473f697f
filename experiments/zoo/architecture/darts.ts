import * as tf from "@tensorflow/tfjs-core"
import {
  Dataset,
  Hypergradient,
  Init,
  Level,
  NdArray,
  Objective,
  Optimizer,
  Problem,
  Product,
  Seed,
  Solver,
  Var
} from "tapweight"
import * as Closed from "../Closed.ts"
import * as Entry from "../Entry.ts"

/** Candidate operations; the label is made by the third. */
const operations = [
  (x: number) => x,
  (x: number) => x * x - 1,
  (x: number) => Math.sin(3 * x),
  Math.abs,
  (x: number) => Math.tanh(2 * x)
]
const planted = 2

const rows = (seed: number, part: string, count: number) => {
  const own = Seed.fold(Seed.fold(Seed.make(seed), "operations"), part)
  const x = Seed.normal(Seed.fold(own, "x"), count)
  const noise = Seed.normal(Seed.fold(own, "noise"), count)
  const features = Float32Array.from({ length: count * operations.length }, (_, i) =>
    operations[i % operations.length]!(x[Math.floor(i / operations.length)]!)
  )
  const y = noise.map((each, row) => 2 * operations[planted]!(x[row]!) + 0.3 * each)
  return { features: NdArray.float32([count, operations.length], features), y: NdArray.float32([count], y) }
}

const w = Var.make("w", Init.constant(0.5, [operations.length]))
const alpha = Var.make("alpha", Init.zeros([operations.length]))
const mixed = (w: tf.Tensor1D, alpha: tf.Tensor1D, features: tf.Tensor2D) =>
  tf.reshape(tf.matMul(features, tf.reshape(tf.mul(tf.softmax(alpha), w), [-1, 1])), [-1])

export const darts = Entry.make({
  name: "darts",
  card: {
    title: "Architecture search: which of five operations made the data",
    levels: [
      "w: mean (Σ softmax(α)ₖ wₖ oₖ(x) − y)² + 0.05 ‖w‖² on training rows",
      "α: mean (Σ softmax(α)ₖ wₖ oₖ(x) − y)² on validation rows"
    ],
    sizes: "5 operations, 40 training and 100 validation rows",
    data: "made from the seed: y is the third operation with noise",
    reference: "Liu, Simonyan and Yang, DARTS: differentiable architecture search, ICLR 2019",
    published: "cells for images, not comparable; the operation is planted here"
  },
  ticks: 3000,
  problems: (seed) => {
    const train = Level.minimize(w, {
      name: "train",
      given: [alpha],
      data: Dataset.constant("train", rows(seed, "train", 40)),
      optimizer: Optimizer.sgd(0.1),
      objective: ({ alpha, w }, { features, y }) =>
        tf.add(Objective.meanSquaredError(mixed(w, alpha, features), y), tf.mul(0.05, tf.sum(tf.square(w))))
    }).pipe(
      Level.hypergradient(
        Hypergradient.implicit({ solver: Solver.identity, product: Product.finiteDifference({ radius: 0.01 }) })
      )
    )
    const search = Level.minimize(alpha, {
      name: "search",
      upstream: [train],
      data: Dataset.constant("validation", rows(seed, "validation", 100)),
      optimizer: Optimizer.adam(0.01),
      objective: ({ alpha, w }, { features, y }) => Objective.meanSquaredError(mixed(w, alpha, features), y)
    })
    return { learned: Problem.close(search) }
  },
  figures: {
    "share of the planted operation": {
      of: ({ learned }) => Closed.softmax(learned.alpha.data)[planted]!,
      atLeast: 0.5,
      because: "it has to be the one that is chosen"
    }
  }
})

export default darts.program
