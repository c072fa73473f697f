/** Normalisation of each row (Ba et al. 2016). */
import * as tf from "@tensorflow/tfjs-core"
import type * as Seed from "../dsl/values/Seed.ts"
import type { Live } from "../dsl/values/Tree.ts"
import * as Init from "./Init.ts"

/** Scale 1 and offset 0, one for each of `width` features: the same for every seed. */
export const init = (width: number) => (seed: Seed.Seed) => ({
  scale: Init.ones([width])(seed),
  offset: Init.zeros([width])(seed)
})

/** A scale and an offset for each feature, on the host. */
export type HostParams = ReturnType<ReturnType<typeof init>>
/** A scale and an offset for each feature. */
export type Params = Live<HostParams>

/** Each row with mean 0 and variance 1, scaled and moved: [n, d] → [n, d]. `epsilon` is added to variances. */
export const apply = (params: Params, x: tf.Tensor2D, epsilon: number): tf.Tensor2D => {
  const centred = tf.sub(x, tf.mean(x, -1, true))
  const deviation = tf.sqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon))
  return tf.add(tf.mul(tf.div(centred, deviation), params.scale), params.offset)
}
