import * as tf from "@tensorflow/tfjs-core"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import type { Optimizer as Optimizing } from "../../src/dsl/Optimizer.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"

const rows = (name: string, n: number) => {
  const seed = Seed.fold(Seed.make(99), name)
  return {
    x: NdArray.float32([n, 3], Seed.normal(Seed.fold(seed, "x"), n * 3)),
    y: NdArray.float32([n], Seed.normal(Seed.fold(seed, "y"), n))
  }
}

/** Mean squared error of a small two-layer net. */
export const netLoss = (p: { w1: tf.Tensor2D; w2: tf.Tensor2D }, x: tf.Tensor2D, y: tf.Tensor1D): tf.Scalar =>
  tf.mean(tf.square(tf.sub(tf.reshape(tf.matMul(tf.softplus(tf.matMul(x, p.w1)), p.w2), [-1]), y))) as tf.Scalar

export const netInit = (seed: Seed.Seed) => ({
  w1: NdArray.float32([3, 4], Seed.normal(Seed.fold(seed, "w1"), 12)),
  w2: NdArray.float32([4, 1], Seed.normal(Seed.fold(seed, "w2"), 4))
})

/** What a small tri-level program can be told. */
export interface Options {
  readonly estimator?: Hypergradient.Hypergradient
  readonly optimizer?: Optimizing
  /** Called when the middle objective is evaluated: a place to break things. */
  readonly sabotage?: (loss: tf.Scalar) => unknown
}

/** Pretrain on two weighted halves of the data, finetune a copy held close, move the weights: stochastic and small. */
export const triLevel = (options: Options = {}) => {
  const estimator =
    options.estimator ??
    Hypergradient.implicit({
      solver: Solver.warm(Solver.conjugateGradient({ iterations: 2 })),
      product: Product.finiteDifference({ radius: 0.1 })
    })
  const optimizer = options.optimizer ?? Optimizer.adam(0.01)
  const theta = Var.make("theta", netInit)
  const omega = Var.make("omega", netInit)
  const beta = Var.make("beta", () => NdArray.float32([2], [0, 0]))
  const pretrain = Level.minimize(theta, {
    name: "pretrain",
    given: [beta],
    data: Dataset.fromRows("corpus", rows("corpus", 40), { batch: 8 }),
    optimizer,
    objective: ({ beta, theta }, { x, y }) => {
      const weights = tf.softmax(beta)
      const one = netLoss(theta, x, y)
      const two = netLoss(theta, x, tf.neg(y) as tf.Tensor1D)
      // The decay keeps the Hessian positive definite, as conjugate gradient needs.
      const decay = tf.mul(0.5, tf.add(tf.sum(tf.square(theta.w1)), tf.sum(tf.square(theta.w2))))
      const weighted = tf.add(tf.sum(tf.mul(weights, tf.stack([one, two]))), decay) as tf.Scalar
      return { loss: weighted, metrics: { one, two, weights } }
    }
  }).pipe(Level.hypergradient(estimator), Level.unroll(2))
  const finetune = Level.minimize(omega, {
    name: "finetune",
    upstream: [pretrain],
    data: Dataset.fromRows("train", rows("train", 20), { batch: 4 }),
    optimizer,
    objective: ({ omega, theta }, { x, y }) => {
      const near = tf.add(
        tf.sum(tf.squaredDifference(omega.w1, theta.w1)),
        tf.sum(tf.squaredDifference(omega.w2, theta.w2))
      )
      const loss = tf.add(netLoss(omega, x, y), tf.mul(0.5, near)) as tf.Scalar
      return (options.sabotage?.(loss) ?? loss) as tf.Scalar
    }
  }).pipe(Level.hypergradient(estimator))
  const reweight = Level.minimize(beta, {
    name: "reweight",
    upstream: [finetune],
    data: Dataset.fromRows("validation", rows("validation", 12), { batch: 6 }),
    optimizer: Optimizer.sgd(0.5),
    objective: ({ omega }, { x, y }) => netLoss(omega, x, y)
  })
  return Problem.close(reweight)
}
