/** TapWeight's three levels on a Transformer and on ResNet18. */
import * as tf from "@tensorflow/tfjs-core"
import type * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Split from "../../src/dsl/Split.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as TapWeight from "../../src/levels/recipes/TapWeight.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import * as ResNet from "../../src/models/ResNet.ts"
import * as Transformer from "../../src/models/Transformer.ts"
import * as Objective from "../../src/objectives/Objective.ts"
import { cycle, initials, type Workload } from "./Workload.ts"

/** What the workloads here have in common. */
const workload = (
  problem: Problem.Problem<any>,
  held: Problem.Problem<any>,
  data: ReadonlyArray<Pick<Workload, "tensors">>,
  own: Pick<Workload, "title" | "peer" | "steps" | "targets" | "tolerance">
): Workload => ({
  ...own,
  problem,
  held,
  ticks: 1,
  settling: 3,
  levels: ["pretrain", "finetune", "reweight"],
  tensors: [...initials(problem), ...data.flatMap(({ tensors }) => tensors)]
})

/** How level III is paced: see `TapWeight.levels`. */
export interface Pace {
  readonly warmup: number
  readonly every: number
}
const eachTick: Pace = { warmup: 0, every: 1 }

/** RoBERTa-base's size, and the paper's batches. */
const base = { vocabulary: 50_265, length: 128, width: 768, heads: 12, layers: 12, hidden: 3072 }

const transformer = (
  estimator: Hypergradient.Hypergradient,
  pace = eachTick,
  small: boolean | "base" = false
): Workload => {
  const config =
    small === "base"
      ? base
      : small
        ? { vocabulary: 4000, length: 64, width: 64, heads: 4, layers: 2, hidden: 256 }
        : { vocabulary: 4000, length: 64, width: 256, heads: 4, layers: 4, hidden: 1024 }
  const { length, vocabulary, width } = config
  const [batch, masked] = small === "base" ? [32, 20] : [16, 10]
  const classes = 10
  const tokens = (seed: Seed.Seed, rows: number, columns: number) =>
    // Token 0 is padding, of which there is none.
    NdArray.int32(
      [rows, columns],
      Seed.integers(seed, rows * columns, vocabulary - 1).map((id) => id + 1)
    )
  const corpus = cycle("pretrain", (seed) => {
    const places = Seed.integers(Seed.fold(seed, "positions"), batch * masked, length)
    return {
      mlm: tokens(Seed.fold(seed, "mlm"), batch, length),
      one: tokens(Seed.fold(seed, "one"), batch, length),
      two: tokens(Seed.fold(seed, "two"), batch, length),
      positions: NdArray.int32(
        [batch, masked],
        places.map((place, i) => Math.floor(i / masked) * length + place)
      ),
      targets: tokens(Seed.fold(seed, "targets"), batch, masked),
      weights: NdArray.float32([batch, masked], new Float32Array(batch * masked).fill(1)),
      order: NdArray.int32([batch], Seed.integers(Seed.fold(seed, "order"), batch, 2))
    }
  })
  const labelled = (name: string) =>
    cycle(name, (seed) => ({
      ids: tokens(Seed.fold(seed, "ids"), batch, length),
      labels: NdArray.int32([batch], Seed.integers(Seed.fold(seed, "labels"), batch, classes))
    }))
  const [train, validation] = [labelled("finetune"), labelled("reweight")]
  const parts = Split.apart({ train: train.dataset, validation: validation.dataset })
  const theta = Var.make("theta", (seed) => ({
    encoder: Transformer.init(config)(seed),
    order: Mlp.dense(width, 2)(seed)
  }))
  const omega = Var.make("omega", (seed, root) => ({
    encoder: Var.initial(theta, root).encoder,
    head: Mlp.dense(width, classes)(seed)
  }))
  type Omega = { readonly encoder: Transformer.Params; readonly head: Mlp.Dense }
  const classify = (omega: Omega, { ids, labels }: { readonly ids: tf.Tensor2D; readonly labels: tf.Tensor1D }) =>
    Objective.crossEntropy(
      Mlp.affine(omega.head, Transformer.average(Transformer.encode(omega.encoder, ids), ids)),
      labels
    )
  const part = (hidden: tf.Tensor3D, i: number) => tf.split(hidden, 3)[i]! as tf.Tensor3D
  const { beta, finetune, reweight } = TapWeight.levels({
    theta,
    omega,
    pretrain: {
      data: corpus.dataset,
      optimizer: Optimizer.adam(1e-4),
      pass: ({ encoder }, { mlm, one, two }) => Transformer.encode(encoder, tf.concat([mlm, one, two]) as tf.Tensor2D),
      objectives: {
        mlm: ({ encoder }, masked, hidden) => Objective.maskedLanguage(part(hidden, 0), encoder.tokens, masked),
        contrastive: (_, { one, two }, hidden) =>
          Objective.contrastive(
            Transformer.average(part(hidden, 1), one),
            Transformer.average(part(hidden, 2), two),
            0.1
          ),
        order: (theta, { order }, hidden) =>
          Objective.crossEntropy(Mlp.affine(theta.order, Transformer.first(part(hidden, 1))), order)
      }
    },
    finetune: {
      data: parts.train,
      optimizer: Optimizer.adam(1e-4),
      loss: classify,
      gamma: 0.001,
      shared: (omega, theta) => [omega.encoder, theta.encoder]
    },
    reweight: { data: parts.validation, optimizer: Optimizer.sgd(1), loss: classify, ...pace },
    hypergradient: estimator
  })
  const held = Problem.close(finetune.pipe(Level.fix(beta))) as never
  return workload(Problem.close(reweight) as never, held, [corpus, train, validation], {
    title: `TapWeight, Transformer of ${config.layers} layers, d ${width}, T ${length}, B ${batch}`,
    peer: "transformer",
    steps: 6,
    targets: { betty: 2, jax: 1.1 },
    tolerance: 1e-4
  })
}

const resnet = (estimator: Hypergradient.Hypergradient, pace = eachTick, _small = false): Workload => {
  const [batch, size, features, classes] = [16, 64, 512, 2]
  const heads = { small: 100, medium: 1000, large: 10_000, jigsaw: 101 }
  const pictures = (seed: Seed.Seed) =>
    NdArray.float32([batch, size, size, 3], Seed.normal(Seed.fold(seed, "x"), batch * size * size * 3))
  const labels = (seed: Seed.Seed, name: string, count: number) =>
    NdArray.int32([batch], Seed.integers(Seed.fold(seed, name), batch, count))
  const corpus = cycle("pretrain", (seed) => ({
    x: pictures(seed),
    small: labels(seed, "small", heads.small),
    medium: labels(seed, "medium", heads.medium),
    large: labels(seed, "large", heads.large),
    jigsaw: labels(seed, "jigsaw", heads.jigsaw)
  }))
  const labelled = (name: string) => cycle(name, (seed) => ({ x: pictures(seed), labels: labels(seed, "y", classes) }))
  const [train, validation] = [labelled("finetune"), labelled("reweight")]
  const parts = Split.apart({ train: train.dataset, validation: validation.dataset })
  const dense = (seed: Seed.Seed, name: string, outputs: number) => Mlp.dense(features, outputs)(Seed.fold(seed, name))
  const theta = Var.make("theta", (seed) => ({
    encoder: ResNet.init(ResNet.resnet18)(seed),
    small: dense(seed, "small", heads.small),
    medium: dense(seed, "medium", heads.medium),
    large: dense(seed, "large", heads.large),
    jigsaw: dense(seed, "jigsaw", heads.jigsaw)
  }))
  const omega = Var.make("omega", (seed, root) => ({
    encoder: Var.initial(theta, root).encoder,
    head: Mlp.dense(features, classes)(seed)
  }))
  // Both sides normalise by the batch and keep no running statistics.
  const untracked = () =>
    Tree.toLive(ResNet.statistics(ResNet.resnet18)(), ({ shape }) => tf.zeros([...shape])) as ResNet.Statistics
  const encode = (params: ResNet.Params, x: tf.Tensor4D) => ResNet.train(params, untracked(), x)[0]
  const classify = (
    omega: { readonly encoder: ResNet.Params; readonly head: Mlp.Dense },
    { labels, x }: { readonly x: tf.Tensor4D; readonly labels: tf.Tensor1D }
  ) => Objective.crossEntropy(Mlp.affine(omega.head, encode(omega.encoder, x)), labels)
  const { beta, finetune, reweight } = TapWeight.levels({
    theta,
    omega,
    pretrain: {
      data: corpus.dataset,
      optimizer: Optimizer.momentum(0.02, { momentum: 0.9 }),
      pass: ({ encoder }, { x }) => encode(encoder, x),
      objectives: {
        small: (theta, { small }, features) => Objective.crossEntropy(Mlp.affine(theta.small, features), small),
        medium: (theta, { medium }, features) => Objective.crossEntropy(Mlp.affine(theta.medium, features), medium),
        large: (theta, { large }, features) => Objective.crossEntropy(Mlp.affine(theta.large, features), large),
        jigsaw: (theta, { jigsaw }, features) => Objective.crossEntropy(Mlp.affine(theta.jigsaw, features), jigsaw)
      }
    },
    finetune: {
      data: parts.train,
      optimizer: Optimizer.momentum(0.01, { momentum: 0.9 }),
      loss: classify,
      gamma: 0.001,
      shared: (omega, theta) => [omega.encoder, theta.encoder]
    },
    reweight: { data: parts.validation, optimizer: Optimizer.sgd(1), loss: classify, ...pace },
    hypergradient: estimator
  })
  const held = Problem.close(finetune.pipe(Level.fix(beta))) as never
  return workload(Problem.close(reweight) as never, held, [corpus, train, validation], {
    title: "TapWeight, ResNet18 on pictures of 64 pixels, B 16 at each level",
    peer: "resnet",
    steps: 6,
    targets: { betty: 1.6, jax: 1.1 },
    // Batch norm on 16 pictures amplifies rounding: levels I and II agree to 1e-5 at first, and all of them no longer at the third.
    tolerance: 0.3
  })
}

/** The levels of a three-level workload under an estimator: what `bench/shares.ts` takes apart. */
export const threeLevels = { transformer, resnet }
