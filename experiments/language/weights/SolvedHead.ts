/** What an encoder is worth to a task: the validation loss of a head that is solved on training rows. */
import * as tf from "@tensorflow/tfjs-core"
import { Encoder, type EncoderConfig, Mlp, type NdArray, Objective as Losses, Solved } from "tapweight"

/** Labelled rows: ids int32 [n, t], labels int32 [n]. */
export type Labelled = { readonly ids: NdArray.NdArray<tf.Tensor2D>; readonly labels: NdArray.NdArray<tf.Tensor1D> }
/** The same on the device. */
export type Batch = { readonly ids: tf.Tensor2D; readonly labels: tf.Tensor1D }

/** Means of rows' states over their pieces. */
export const features = (config: EncoderConfig.EncoderConfig, encoder: Encoder.Params, ids: tf.Tensor2D) =>
  Encoder.average(Encoder.encode(config, encoder, { ids }), Encoder.maskOf(config, { ids }))

/** The head: a ridge regression of classes, whose answers times `scale` are logits. */
export interface Ridge {
  readonly penalty: number
  readonly scale: number
}

/**
 * Validation loss of an encoder, of rows of which the first `train` are for training. Features are standardised by these; the head's
 * response to the encoder is part of the gradient.
 */
export const loss = (
  config: EncoderConfig.EncoderConfig,
  encoder: Encoder.Params,
  { ids, labels }: Batch,
  { classes, penalty, scale, train }: Ridge & { readonly classes: number; readonly train: number }
): tf.Scalar => {
  const { width } = config
  const all = features(config, encoder, ids)
  const own = tf.slice(all, [0, 0], [train, width])
  const mean = tf.mean(own, 0, true)
  const deviation = tf.sqrt(tf.add(tf.mean(tf.square(tf.sub(own, mean)), 0, true), 1e-8))
  const standard = tf.div(tf.sub(all, mean), deviation)
  const held = ids.shape[0] - train
  const head = Solved.ridge({
    features: tf.slice(standard, [0, 0], [train, width]) as tf.Tensor2D,
    targets: tf.cast(tf.oneHot(tf.slice(labels, [0], [train]), classes), "float32") as tf.Tensor2D,
    penalty
  })
  const answers = Mlp.affine(head, tf.slice(standard, [train, 0], [held, width]) as tf.Tensor2D)
  return Losses.crossEntropy(tf.mul(scale, answers), tf.slice(labels, [train], [held]))
}
