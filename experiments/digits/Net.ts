/** A small net that writes a digit as a short code, and heads for what it is asked. */
import * as tf from "@tensorflow/tfjs-core"
import { Mlp, Seed, type Tree } from "tapweight"
import { pixels } from "./Digits.ts"
import { answers } from "./Pretext.ts"

/** Hidden units, numbers of a code, and numbers that the codes of two views are compared by. */
export interface Sizes {
  readonly hidden: number
  readonly code: number
  readonly projection: number
}

/** Initial values of the encoder. */
export const encoder =
  ({ code, hidden }: Sizes) =>
  (seed: Seed.Seed) => ({
    hidden: Mlp.dense(pixels, hidden)(Seed.fold(seed, "hidden")),
    code: Mlp.dense(hidden, code)(Seed.fold(seed, "code"))
  })

/** Initial values of the encoder and of a head for each question. */
export const init = (sizes: Sizes) => (seed: Seed.Seed) => ({
  encoder: encoder(sizes)(seed),
  contrast: Mlp.dense(sizes.code, sizes.projection)(Seed.fold(seed, "contrast")),
  rotation: Mlp.dense(sizes.code, answers.rotation)(Seed.fold(seed, "rotation")),
  jigsaw: Mlp.dense(sizes.code, answers.jigsaw)(Seed.fold(seed, "jigsaw")),
  fill: Mlp.dense(sizes.code, pixels)(Seed.fold(seed, "denoise")),
  coin: Mlp.dense(sizes.code, answers.coin)(Seed.fold(seed, "coin"))
})

export type HostTheta = ReturnType<ReturnType<typeof init>>
export type Theta = Tree.Live<HostTheta>
export type Encoder = Theta["encoder"]

/** Codes of pictures: [n, 196] → [n, code]. */
export const encode = ({ code, hidden }: Encoder, x: tf.Tensor2D): tf.Tensor2D =>
  Mlp.affine(code, tf.relu(Mlp.affine(hidden, x)))

/** Rows with a mean square of 1, so that a head's penalty means the same whatever an encoder's scale. */
export const normalised = (h: tf.Tensor2D): tf.Tensor2D =>
  tf.div(h, tf.sqrt(tf.add(tf.mean(tf.square(h), -1, true), 1e-6)))

/** What heads read: {@link normalised} codes of pictures. */
export const features = (encoder: Encoder, x: tf.Tensor2D): tf.Tensor2D => normalised(encode(encoder, x))
