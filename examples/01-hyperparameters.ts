// Bilevel hyperparameter optimization: one penalty per weight of a linear model, learned on validation data.
// Five of twenty features carry signal; the penalties of the other fifteen should rise.
//   tapweight run examples/01-hyperparameters.ts
//   tapweight verify examples/01-hyperparameters.ts
import * as tf from "@tensorflow/tfjs-core"
import {
  Config,
  Dataset,
  Hypergradient,
  Init,
  Level,
  NdArray,
  Objective,
  Optimizer,
  Problem,
  Product,
  Program,
  Seed,
  Solver,
  Var
} from "tapweight"
import * as Schema from "effect/Schema"

const features = 20
const informative = 5

const regression = (name: string, rows: number) => {
  const seed = Seed.fold(Seed.make(1), name)
  const x = Seed.normal(Seed.fold(seed, "x"), rows * features)
  const noise = Seed.normal(Seed.fold(seed, "noise"), rows)
  const y = noise.map(
    (e, i) => 0.5 * e + x.subarray(i * features, i * features + informative).reduce((sum, v) => sum + v, 0)
  )
  return Dataset.constant(name, { x: NdArray.float32([rows, features], x), y: NdArray.float32([rows], y) })
}

const w = Var.make("w", Init.zeros([features]))
const penalty = Var.make("penalty", Init.constant(-2, [features]))
const predict = (x: tf.Tensor2D, w: tf.Tensor1D) => tf.reshape(tf.matMul(x, tf.reshape(w, [features, 1])), [-1])

const problem = (rate: number) => {
  const fit = Level.minimize(w, {
    name: "fit",
    given: [penalty],
    data: regression("train", 30),
    optimizer: Optimizer.sgd(0.1),
    objective: ({ penalty, w }, { x, y }) =>
      tf.add(Objective.meanSquaredError(predict(x, w), y), tf.sum(tf.mul(tf.softplus(penalty), tf.square(w))))
  }).pipe(
    Level.unroll(10),
    Level.hypergradient(
      Hypergradient.implicit({
        solver: Solver.conjugateGradient({ iterations: 10 }),
        product: Product.finiteDifference({ radius: 1 })
      })
    )
  )
  const tune = Level.minimize(penalty, {
    name: "tune",
    upstream: [fit],
    data: regression("validation", 60),
    optimizer: Optimizer.adam(rate),
    objective: ({ w }, { x, y }) => Objective.meanSquaredError(predict(x, w), y)
  })
  return Problem.close(tune)
}

export default Program.fromProblem({
  name: "hyperparameters",
  description: "One penalty per weight, learned on validation data",
  config: Config.make({
    schema: Schema.Struct({ ...Program.common, rate: Schema.Finite.check(Schema.isGreaterThan(0)) }),
    defaults: { seed: 0, ticks: 1000, rate: 0.05 }
  }),
  problem: ({ rate }) => problem(rate)
})
