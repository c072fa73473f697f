// TapWeight, three levels: pretrain on Σ λᵢ Lᵢ, finetune a copy held close, move λ on validation data.
// The second pretraining task predicts labels that were drawn at random: its weight should fall.
//   tapweight plan examples/03-tapweight.ts --format mermaid
//   tapweight run examples/03-tapweight.ts
import * as tf from "@tensorflow/tfjs-core"
import {
  Config,
  Dataset,
  Hypergradient,
  Mlp,
  NdArray,
  Objective,
  Optimizer,
  Problem,
  Product,
  Program,
  Seed,
  Solver,
  Split,
  TapWeight,
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

type Rows = { readonly x: tf.Tensor2D; readonly useful: tf.Tensor1D; readonly useless: tf.Tensor1D }
const loss = (p: Mlp.Params, { x }: Rows, label: tf.Tensor1D) =>
  Objective.binaryCrossEntropy(tf.reshape(tf.slice(Mlp.apply(p, x, tf.softplus), [0, 0], [-1, 1]), [-1]), label)

// Labelled rows in parts that are no others': level III takes no training data.
const labelled = Split.apart({
  train: Dataset.fromRows("train", table("train", 32), { batch: 16 }),
  validation: Dataset.fromRows("validation", table("validation", 64), { batch: 32 })
})

// `beta`, `pretrain`, `finetune` and `reweight` are levels like any other: to hold λ at equal weights, close
// `finetune.pipe(Level.fix(beta))` in place of `reweight`.
const { reweight } = TapWeight.levels({
  theta,
  omega,
  pretrain: {
    data: Dataset.fromRows("corpus", table("corpus", 400), { batch: 64 }),
    optimizer: Optimizer.adam(0.01),
    objectives: {
      useful: (theta, rows) => loss(theta, rows, rows.useful),
      useless: (theta, rows) => loss(theta, rows, rows.useless)
    }
  },
  finetune: {
    data: labelled.train,
    optimizer: Optimizer.adam(0.01),
    loss: (omega, rows) => loss(omega, rows, rows.useful),
    gamma: 0.1,
    shared: (omega, theta) => [omega, theta]
  },
  reweight: {
    data: labelled.validation,
    optimizer: Optimizer.adam(0.02),
    loss: (omega, rows) => loss(omega, rows, rows.useful),
    warmup: 0
  },
  hypergradient: Hypergradient.implicit({
    solver: Solver.identity,
    product: Product.finiteDifference({ radius: 0.01 })
  })
})

export default Program.fromProblem({
  name: "tapweight",
  description: "Three levels on a small table: a useful and a useless pretraining task",
  config: Config.make({ schema: Program.Common, defaults: { seed: 0, ticks: 400 } }),
  problem: () => Problem.close(reweight),
  diagnosticsEvery: 50
})
