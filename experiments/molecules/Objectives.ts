import * as tf from "@tensorflow/tfjs-core"
import { Mlp, Objective, ResNet, type Tree } from "tapweight"
import type * as PictureBatches from "./pictures/PictureBatches.ts"

/** What pretraining objectives have beside the encoder, on the host. */
export type HostHeads = {
  /** One for each granularity. */
  readonly clusters: ReadonlyArray<Mlp.HostDense>
  readonly jigsaw: Mlp.HostDense
  readonly coin: Mlp.HostDense
}
/** The pretrained model. */
export type Theta = { readonly encoder: ResNet.Params; readonly heads: Tree.Live<HostHeads> }
type Batch = PictureBatches.PretrainingBatch

/** Features of pictures as they are, of masked ones and of puzzles, and the running statistics after the batch. */
export interface Pass {
  readonly views: tf.Tensor2D
  readonly masked: tf.Tensor2D
  readonly puzzles: tf.Tensor2D
  readonly buffers: ResNet.Statistics
}

/** One pass for the three kinds of pictures: they are normalised together. */
export const pass = ({ encoder }: Theta, batch: Batch, statistics: ResNet.Statistics): Pass => {
  const [features, buffers] = ResNet.train(encoder, statistics, batch.views)
  const [views, masked, puzzles] = tf.split(features, 3) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
  return { views, masked, puzzles, buffers }
}

const column = (x: tf.Tensor2D, i: number): tf.Tensor1D => tf.reshape(tf.slice(x, [0, i], [x.shape[0], 1]), [-1])

const cluster =
  (i: 0 | 1 | 2) =>
  ({ heads }: Theta, { clusters }: Batch, { views }: Pass): tf.Scalar =>
    Objective.crossEntropy(Mlp.affine(heads.clusters[i]!, views), column(clusters, i))

/** The paper's objectives by name (equations 11 to 15). */
const ofPaper = {
  mg1: cluster(0),
  mg2: cluster(1),
  mg3: cluster(2),
  jigsaw: ({ heads }: Theta, { orders }: Batch, { puzzles }: Pass): tf.Scalar =>
    Objective.crossEntropy(Mlp.affine(heads.jigsaw, puzzles), orders),
  mask: (_: Theta, __: Batch, { masked, views }: Pass): tf.Scalar => Objective.distance(views, masked)
}
const withCoin = {
  ...ofPaper,
  /** Cannot help: coin flips told from pictures. */
  coin: ({ heads }: Theta, { coins }: Batch, { views }: Pass): tf.Scalar =>
    Objective.crossEntropy(Mlp.affine(heads.coin, views), coins)
}

/** The pretraining objectives by name: what λ weighs (equation 7). */
export const objectives = ({
  useless
}: {
  readonly useless: boolean
}): { readonly [objective: string]: (theta: Theta, batch: Batch, pass: Pass) => tf.Scalar } =>
  useless ? withCoin : ofPaper

/** Their names. */
export const names = (options: { readonly useless: boolean }): ReadonlyArray<string> => Object.keys(objectives(options))

/** A share of λ for each objective. */
export type Lambda = { readonly [objective: string]: number }

/** Equal shares. */
export const equal = (options: { readonly useless: boolean }): Lambda => {
  const all = names(options)
  return Object.fromEntries(all.map((name) => [name, 1 / all.length]))
}
