/** A small convolutional net for digits, and heads for what it is asked. */
import * as tf from "@tensorflow/tfjs-core"
import { Init, Mlp, Seed, type Tree } from "tapweight"
import { pixels, side } from "./Digits.ts"
import { answers } from "./Pretext.ts"

/** Channels of the two convolutions, and features. */
export interface Sizes {
  readonly first: number
  readonly second: number
  readonly features: number
  /** Numbers that views are compared by. */
  readonly projection: number
}

const convolution = (inputs: number, outputs: number) => (seed: Seed.Seed) => ({
  filter: Init.normal(Math.sqrt(2 / (9 * inputs)), [3, 3, inputs, outputs])(seed),
  bias: Init.zeros([outputs])(seed)
})

/** Side of the picture after two convolutions that halve it. */
const last = Math.ceil(Math.ceil(side / 2) / 2)

/** Initial values of the encoder. */
export const encoder =
  ({ features, first, second }: Sizes) =>
  (seed: Seed.Seed) => ({
    first: convolution(1, first)(Seed.fold(seed, "first")),
    second: convolution(first, second)(Seed.fold(seed, "second")),
    dense: Mlp.dense(last * last * second, features)(Seed.fold(seed, "dense"))
  })

/** Initial values of the encoder and of a head for each question. */
export const init = (sizes: Sizes) => (seed: Seed.Seed) => ({
  encoder: encoder(sizes)(seed),
  contrast: Mlp.dense(sizes.features, sizes.projection)(Seed.fold(seed, "contrast")),
  rotation: Mlp.dense(sizes.features, answers.rotation)(Seed.fold(seed, "rotation")),
  jigsaw: Mlp.dense(sizes.features, answers.jigsaw)(Seed.fold(seed, "jigsaw")),
  fill: Mlp.dense(sizes.features, pixels)(Seed.fold(seed, "denoise")),
  coin: Mlp.dense(sizes.features, answers.coin)(Seed.fold(seed, "coin"))
})

export type HostTheta = ReturnType<ReturnType<typeof init>>
export type Theta = Tree.Live<HostTheta>
export type Encoder = Theta["encoder"]

/** Features of pictures: [n, 196] → [n, features]. */
export const encode = ({ dense, first, second }: Encoder, x: tf.Tensor2D): tf.Tensor2D => {
  const through = ({ bias, filter }: Encoder["first"], x: tf.Tensor4D) =>
    tf.relu(tf.add(tf.conv2d(x, filter, 2, "same"), bias)) as tf.Tensor4D
  const picture = tf.reshape(x, [-1, side, side, 1]) as tf.Tensor4D
  const h = through(second, through(first, picture))
  return tf.relu(Mlp.affine(dense, tf.reshape(h, [x.shape[0], -1]) as tf.Tensor2D))
}

/** Rows with a mean square of 1, so that a head's penalty means the same whatever an encoder's scale. */
export const normalised = (h: tf.Tensor2D): tf.Tensor2D =>
  tf.div(h, tf.sqrt(tf.add(tf.mean(tf.square(h), -1, true), 1e-6)))

/** What heads read: {@link normalised} features of pictures. */
export const features = (encoder: Encoder, x: tf.Tensor2D): tf.Tensor2D => normalised(encode(encoder, x))
