// Minimax: a line is fitted while an adversary moves each input by at most 0.3. The answer minimizes mean (|w x − y| + 0.3 |w|)²,
// as the worst shift goes away from the line: 1.88 here. Without `Level.restart` the adversary is stuck at some rows, and the slope is 2.2.
//   tapweight run examples/07-adversary.ts
import * as tf from "@tensorflow/tfjs-core"
import { Config, Dataset, Hypergradient, Init, Level, NdArray, Optimizer, Problem, Program, Seed, Var } from "tapweight"

const reach = 0.3
const rows = 20
const x = Seed.normal(Seed.fold(Seed.make(10), "x"), rows)
const y = Seed.normal(Seed.fold(Seed.make(10), "e"), rows).map((e, i) => 2 * x[i]! + 0.3 * e)
const data = Dataset.constant("rows", { x: NdArray.float32([rows], x), y: NdArray.float32([rows], y) })

const slope = Var.make("slope", Init.ones([1]))
const shift = Var.make("shift", Init.zeros([rows]))
const errors = (slope: tf.Tensor1D, inputs: tf.Tensor, y: tf.Tensor1D) => tf.squaredDifference(tf.mul(slope, inputs), y)

const attack = Level.minimize(shift, {
  name: "attack",
  given: [slope],
  data,
  optimizer: Optimizer.sgd(1).pipe(Optimizer.clamp({ minimum: -reach, maximum: reach })),
  objective: ({ shift, slope }, { x, y }) => tf.neg(tf.sum(errors(slope, tf.add(x, shift), y)))
}).pipe(
  // From the middle at each turn: either end of the interval is a local optimum, which is left for the other one only from there.
  Level.unroll(4),
  Level.restart,
  // At its optimum the response of an adversary adds nothing to the gradient of what it raises.
  Level.hypergradient(Hypergradient.detached)
)

const defend = Level.minimize(slope, {
  name: "defend",
  upstream: [attack],
  data,
  optimizer: Optimizer.sgd(0.02),
  objective: ({ shift, slope }, { x, y }) => tf.mean(errors(slope, tf.add(x, shift), y))
})

export default Program.fromProblem({
  name: "adversary",
  description: "A line against an adversary that moves its inputs",
  config: Config.make({ schema: Program.Common, defaults: { seed: 0, ticks: 1200 } }),
  problem: () => Problem.close(defend)
})
