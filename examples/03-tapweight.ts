// TapWeight, three levels: pretrain on Σ λᵢ Lᵢ, finetune a copy held close, move λ on validation data.
// The second pretraining task predicts labels that were drawn at random: its weight should fall.
//   tapweight plan examples/03-tapweight.ts --format mermaid
//   tapweight run examples/03-tapweight.ts
import * as tf from "@tensorflow/tfjs-core"
import {
  Config,
  Dataset,
  Hypergradient,
  Init,
  Level,
  Mlp,
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

/** Rows whose useful label is the sign of a fixed nonlinear function, and whose useless one is a coin flip. */
const table = (name: string, rows: number) => {
  const seed = Seed.fold(Seed.make(3), name)
  const x = Seed.normal(Seed.fold(seed, "x"), rows * 8)
  const useful = Float32Array.from({ length: rows }, (_, i) => Number(x[8 * i]! * x[8 * i + 1]! + x[8 * i + 2]! > 0))
  const useless = Float32Array.from(Seed.integers(Seed.fold(seed, "coin"), rows, 2))
  return {
    x: NdArray.float32([rows, 8], x),
    useful: NdArray.float32([rows], useful),
    useless: NdArray.float32([rows], useless)
  }
}

const theta = Var.make("theta", Mlp.init([8, 24, 2]))
const omega = Var.make("omega", (_, root) => Var.initial(theta, root))
const beta = Var.make("beta", Init.zeros([2]))
const column = (p: Mlp.Params, x: tf.Tensor2D, i: number) =>
  tf.reshape(tf.slice(Mlp.apply(p, x, tf.softplus), [0, i], [-1, 1]), [-1])
const darts = Hypergradient.implicit({ solver: Solver.identity, product: Product.finiteDifference({ radius: 0.01 }) })

const pretrain = Level.minimize(theta, {
  name: "pretrain",
  given: [beta],
  data: Dataset.fromRows("corpus", table("corpus", 400), { batch: 64 }),
  optimizer: Optimizer.adam(0.01),
  objective: ({ beta, theta }, { useful, useless, x }) =>
    Objective.weighted(tf.softmax(beta), {
      useful: Objective.binaryCrossEntropy(column(theta, x, 0), useful),
      useless: Objective.binaryCrossEntropy(column(theta, x, 0), useless)
    })
}).pipe(Level.hypergradient(darts))

const finetune = Level.minimize(omega, {
  name: "finetune",
  upstream: [pretrain],
  data: Dataset.fromRows("train", table("train", 32), { batch: 16 }),
  optimizer: Optimizer.adam(0.01),
  objective: ({ omega, theta }, { useful, x }) =>
    tf.add(Objective.binaryCrossEntropy(column(omega, x, 0), useful), tf.mul(0.1, Objective.proximal(omega, theta)))
}).pipe(Level.hypergradient(darts))

const reweight = Level.minimize(beta, {
  name: "reweight",
  upstream: [finetune],
  data: Dataset.fromRows("validation", table("validation", 64), { batch: 32 }),
  optimizer: Optimizer.adam(0.02),
  objective: ({ beta, omega }, { useful, x }) => ({
    loss: Objective.binaryCrossEntropy(column(omega, x, 0), useful),
    metrics: { beta, lambda: tf.softmax(beta) }
  })
})

export default Program.fromProblem({
  name: "tapweight",
  description: "Three levels on a small table: a useful and a useless pretraining task",
  config: Config.make({ schema: Program.Common, defaults: { seed: 0, ticks: 400 } }),
  problem: () => Problem.close(reweight),
  weights: ["useful", "useless"],
  diagnosticsEvery: 50
})
