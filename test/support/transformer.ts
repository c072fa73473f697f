import * as tf from "@tensorflow/tfjs-core"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import type { Optimizer as Optimizing } from "../../src/dsl/Optimizer.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Split from "../../src/dsl/Split.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as TapWeight from "../../src/levels/recipes/TapWeight.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import * as Transformer from "../../src/models/Transformer.ts"
import * as Objective from "../../src/objectives/Objective.ts"

/** Sizes of {@link tinyTransformer}. */
export interface Sizes {
  readonly vocabulary: number
  readonly length: number
  readonly width: number
  readonly layers: number
  readonly batch: number
}

const tiny: Sizes = { vocabulary: 30, length: 6, width: 8, layers: 2, batch: 4 }
const masked = 4

const text = (name: string, { batch, length, vocabulary }: Sizes) => {
  const rows = 4 * batch
  const seed = Seed.fold(Seed.make(5), name)
  const integers = (what: string, shape: [number, number], bound: number) =>
    NdArray.int32(shape, Seed.integers(Seed.fold(seed, what), shape[0] * shape[1], bound))
  return Dataset.fromRows(
    name,
    {
      ids: integers("ids", [rows, length], vocabulary),
      keys: integers("keys", [rows, 2], 2 ** 30),
      positions: integers("positions", [rows, masked], batch * length),
      targets: integers("targets", [rows, masked], vocabulary),
      weights: NdArray.float32([rows, masked], Seed.uniform(Seed.fold(seed, "weights"), rows * masked)),
      labels: NdArray.int32([rows], Seed.integers(Seed.fold(seed, "labels"), rows, 3))
    },
    { batch }
  )
}

const noise = (keys: tf.Tensor2D, shift: number): Transformer.Dropout => ({
  key: tf.add(tf.reshape(tf.slice(keys, [0, 0], [1, 2]), [2]), tf.scalar(shift, "int32")) as tf.Tensor1D,
  rate: 0.1
})

/** Pretrain on two weighted objectives with dropout, finetune a copy held close, move the weights: on a small Transformer. */
export const tinyTransformer = (
  sizes: Sizes = tiny,
  optimizer: Optimizing = Optimizer.momentum(0.0003, { momentum: 0.9 })
) => {
  const { layers, length, vocabulary, width } = sizes
  const encoder = Transformer.init({ vocabulary, length, width, heads: 4, layers, hidden: 4 * width })
  const estimator = Hypergradient.implicit({
    solver: Solver.identity,
    product: Product.finiteDifference({ radius: 0.1 })
  })
  const theta = Var.make("theta", encoder)
  const omega = Var.make("omega", (seed) => ({
    encoder: encoder(seed),
    head: Mlp.init([width, 3])(Seed.fold(seed, "head"))
  }))
  type Classifier = { readonly encoder: Transformer.Params; readonly head: Mlp.Params }
  type Text = { readonly ids: tf.Tensor2D; readonly keys: tf.Tensor2D; readonly labels: tf.Tensor1D }
  const classify = (omega: Classifier, { ids, keys, labels }: Text): tf.Scalar =>
    Objective.crossEntropy(
      Mlp.apply(omega.head, Transformer.first(Transformer.encode(omega.encoder, ids, noise(keys, 0)))),
      labels
    )
  const labelled = Split.apart({ train: text("train", sizes), validation: text("validation", sizes) })
  const { reweight } = TapWeight.levels({
    theta,
    omega,
    pretrain: {
      data: text("corpus", sizes),
      optimizer,
      pass: (theta, { ids, keys }) =>
        [Transformer.encode(theta, ids, noise(keys, 0)), Transformer.encode(theta, ids, noise(keys, 1))] as const,
      objectives: {
        masked: (theta, { positions, targets, weights }, [one]) =>
          Objective.maskedLanguage(one, theta.tokens, { positions, targets, weights }),
        contrastive: (_, __, [one, two]) => Objective.contrastive(Transformer.first(one), Transformer.first(two), 0.5)
      }
    },
    finetune: {
      data: labelled.train,
      optimizer,
      loss: classify,
      gamma: 0.01,
      shared: (omega, theta) => [omega.encoder, theta]
    },
    reweight: {
      data: labelled.validation,
      // Slow, so that the rounding of its finite differences does not reach the levels below.
      optimizer: Optimizer.sgd(0.01),
      loss: classify,
      warmup: 0
    },
    hypergradient: estimator
  })
  return Problem.close(reweight)
}
