// What a user of the package writes: a program of two levels, with an optimizer, a solver, a dataset and noise of their own.
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import {
  Config,
  Dataset,
  Hypergradient,
  Init,
  Level,
  NdArray,
  Noise,
  Objective,
  Optimizer,
  Problem,
  Product,
  Program,
  Seed,
  Solver,
  Tree,
  Var,
  Vector
} from "tapweight"

const features = 6

/** Rows whose target is their first feature, drawn anew for each batch. */
const rows = (name: string) =>
  Dataset.make(name, {
    fields: { x: Dataset.float32([16, features]), y: Dataset.float32([16]), key: Dataset.int32([2]) },
    open: Effect.succeed((seed, index) => {
      const at = Seed.fold(seed, index)
      const x = Seed.normal(Seed.fold(at, "x"), 16 * features)
      const y = Float32Array.from({ length: 16 }, (_, row) => x[row * features]!)
      return Effect.succeed({
        x: NdArray.float32([16, features], x),
        y: NdArray.float32([16], y),
        key: NdArray.int32([2], Int32Array.from(Seed.fold(at, "noise").key))
      })
    })
  })

/** Gradient descent along the gradient's signs. */
const signs = (rate: number): Optimizer.Optimizer =>
  Optimizer.make({
    name: `signs(${rate})`,
    init: () => ({}),
    update: (gradients, state, params) => [
      Tree.zipWith(params, gradients, (p, g) => tf.sub(p, tf.mul(rate, tf.sign(g)))),
      state
    ]
  })

/** u = v / c: right where H is c times the identity. */
const scaled = (c: number): Solver.Solver =>
  Solver.stateless(`scaled(${c})`, { products: 0, productsPerElement: 0 }, (_, v) => Vector.scale(1 / c, v))

const w = Var.make("w", Init.zeros([features]))
const penalty = Var.make("penalty", Init.constant(-2, [features]))
const predict = (x: tf.Tensor2D, w: tf.Tensor1D) => tf.reshape(tf.matMul(x, tf.reshape(w, [features, 1])), [-1])

const fit = Level.minimize(w, {
  name: "fit",
  given: [penalty],
  data: rows("train"),
  optimizer: Optimizer.sgd(0.1),
  objective: ({ penalty, w }, { key, x, y }) =>
    tf.add(
      Objective.meanSquaredError(predict(Noise.dropout(x, key, 0.1, 0), w), y),
      tf.sum(tf.mul(tf.softplus(penalty), tf.square(w)))
    )
}).pipe(Level.hypergradient(Hypergradient.implicit({ solver: scaled(2), product: Product.exact })))

const tune = Level.minimize(penalty, {
  name: "tune",
  upstream: [fit],
  data: rows("validation"),
  optimizer: signs(0.01),
  objective: ({ w }, { x, y }) => Objective.meanSquaredError(predict(x, w), y)
})

export const problem = Problem.close(tune)

export default Program.fromProblem({
  name: "penalties",
  description: "One penalty a weight",
  config: Config.make({ schema: Program.Common, defaults: { seed: 0, ticks: 60 } }),
  problem: () => problem
})
