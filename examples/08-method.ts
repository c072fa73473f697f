// A published method by its name, on batches of one row of four: SABA comes to the answer of all rows at constant rates, SOBA stays in
// its noise.
// w minimizes mean (w − a)² + exp(x) w² on training rows, so w* = 3 / (1 + exp(x)); validation rows want w = 1: x = ln 2.
//   tapweight run examples/08-method.ts
//   tapweight run examples/08-method.ts -s method=soba
import * as tf from "@tensorflow/tfjs-core"
import * as Schema from "effect/Schema"
import { Config, Dataset, Init, Level, Method, NdArray, Optimizer, Problem, Program, Var } from "tapweight"

/** A finite sum: batches that are numbered, the same rows in each every time, as variance reduction keeps something of each. */
const rows = (name: string, a: ReadonlyArray<number>) =>
  Dataset.finite(Dataset.fromRows(name, { a: NdArray.float32([a.length], a) }, { batch: 1 }))

const w = Var.make("w", Init.zeros([1]))
const x = Var.make("x", Init.zeros([1]))

const fit = Level.minimize(w, {
  name: "fit",
  given: [x],
  data: rows("train", [1, 2, 3, 6]),
  optimizer: Optimizer.sgd(0.05),
  objective: ({ w, x }, { a }) => tf.add(tf.mean(tf.squaredDifference(w, a)), tf.sum(tf.mul(tf.exp(x), tf.square(w))))
})
const tune = Level.minimize(x, {
  name: "tune",
  upstream: [fit],
  data: rows("validation", [0, 0.5, 1.5, 2]),
  optimizer: Optimizer.sgd(0.02),
  objective: ({ w }, { a }) => tf.mean(tf.squaredDifference(w, a))
})

// What a method changes is the order of a tick, the updates of lower levels and the solve: objectives, data and rates stay.
const methods = { saba: Method.saba({ rate: 0.05 }), soba: Method.soba({ rate: 0.05 }) }

export default Program.fromProblem({
  name: "method",
  description: "A ridge penalty by a published method",
  config: Config.make({
    schema: Schema.Struct({ ...Program.common, method: Schema.Literals(["saba", "soba"]) }),
    defaults: { seed: 0, ticks: 4000, method: "saba" }
  }),
  problem: ({ method }) => Problem.close(tune).pipe(methods[method])
})
