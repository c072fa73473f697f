import * as tf from "@tensorflow/tfjs-core"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Init from "../../src/models/Init.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import * as Objective from "../../src/objectives/Objective.ts"

const block = (size: number, inputs: number, outputs: number) => (seed: Seed.Seed) => ({
  filter: Init.normal(Math.sqrt(2 / (size * size * inputs)), [size, size, inputs, outputs])(seed),
  scale: Init.ones([outputs])(seed),
  offset: Init.zeros([outputs])(seed)
})

const init = (seed: Seed.Seed) => ({
  stem: block(3, 2, 4)(Seed.fold(seed, "stem")),
  inner: block(3, 4, 4)(Seed.fold(seed, "inner")),
  narrow: block(3, 4, 6)(Seed.fold(seed, "narrow")),
  skip: block(1, 4, 6)(Seed.fold(seed, "skip")),
  depthwise: Init.normal(0.5, [3, 3, 6, 1])(Seed.fold(seed, "depthwise")),
  head: Mlp.dense(6, 3)(seed)
})

type Block = { readonly filter: tf.Tensor4D; readonly scale: tf.Tensor1D; readonly offset: tf.Tensor1D }

const normalized = ({ filter, offset, scale }: Block, x: tf.Tensor4D, stride: number): tf.Tensor4D => {
  const y = tf.conv2d(x, filter, stride, "same")
  const { mean, variance } = tf.moments(y, [0, 1, 2])
  return tf.batchNorm(y, mean as tf.Tensor1D, variance as tf.Tensor1D, offset, scale, 1e-3)
}

const images = (name: string) => {
  const seed = Seed.fold(Seed.make(8), name)
  return Dataset.fromRows(
    name,
    {
      x: NdArray.float32([12, 8, 8, 2], Seed.normal(Seed.fold(seed, "x"), 12 * 128)),
      y: NdArray.int32([12], Seed.integers(Seed.fold(seed, "y"), 12, 3)),
      row: NdArray.int32(
        [12],
        Int32Array.from({ length: 12 }, (_, i) => i)
      )
    },
    { batch: 4 }
  )
}

/** Weights of examples learnt on other examples, of a small residual network with everything image networks are made of. */
export const tinyResidual = () => {
  const omega = Var.make("omega", init)
  const weights = Var.make("weights", Init.zeros([12]))
  const logits = (p: { readonly [K in keyof ReturnType<typeof init>]: any }, x: tf.Tensor4D): tf.Tensor2D => {
    const stem = tf.maxPool(tf.relu(normalized(p.stem, x, 1)), 3, 1, "same")
    const same = tf.relu(tf.add(normalized(p.inner, stem, 1), stem))
    const narrow = tf.relu(
      tf.add(normalized(p.narrow, same as tf.Tensor4D, 2), normalized(p.skip, same as tf.Tensor4D, 2))
    )
    const deep = tf.relu(
      tf.depthwiseConv2d(
        tf.mirrorPad(
          narrow,
          [
            [0, 0],
            [1, 1],
            [1, 1],
            [0, 0]
          ],
          "reflect"
        ) as tf.Tensor4D,
        p.depthwise,
        1,
        "valid"
      )
    )
    const large = tf.image.resizeBilinear(tf.avgPool(deep as tf.Tensor4D, 2, 2, "valid"), [3, 3])
    return Mlp.affine(p.head, tf.mean(large, [1, 2]))
  }
  const train = Level.minimize(omega, {
    name: "train",
    given: [weights],
    data: images("train"),
    optimizer: Optimizer.momentum(0.01, { momentum: 0.9 }),
    objective: ({ omega, weights }, { row, x, y }) =>
      Objective.weightedCrossEntropy(logits(omega, x), y, tf.sigmoid(tf.gather(weights, row)))
  }).pipe(
    Level.hypergradient(
      Hypergradient.implicit({ solver: Solver.identity, product: Product.finiteDifference({ radius: 0.1 }) })
    )
  )
  return Problem.close(
    Level.minimize(weights, {
      name: "reweight",
      upstream: [train],
      data: images("validation"),
      optimizer: Optimizer.sgd(0.01),
      objective: ({ omega }, { x, y }) => Objective.crossEntropy(logits(omega, x), y)
    })
  )
}
