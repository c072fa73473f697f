/**
 * Batch normalisation of pictures, channels last (Ioffe and Szegedy 2015), with PyTorch's conventions: 1e-5 is added to
 * variances, and running statistics have a momentum of 0.1.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { NdArray } from "../dsl/values/NdArray.ts"
import type { Live } from "../dsl/values/Tree.ts"
import * as Init from "./Init.ts"

/** What is trained, on the host: a scale and an offset for each channel. */
export type HostParams = { readonly scale: NdArray<tf.Tensor1D>; readonly offset: NdArray<tf.Tensor1D> }
/** What is trained. */
export type Params = Live<HostParams>

/** What is carried, on the host: the running mean and variance of each channel. */
export type HostStatistics = { readonly mean: NdArray<tf.Tensor1D>; readonly variance: NdArray<tf.Tensor1D> }
/** What is carried. */
export type Statistics = Live<HostStatistics>

const epsilon = 1e-5
const momentum = 0.1

/** Scale 1 and offset 0: the same for every seed. */
export const init = (channels: number): HostParams => ({
  scale: Init.ones([channels])({ key: [0, 0] }),
  offset: Init.zeros([channels])({ key: [0, 0] })
})

/** Mean 0 and variance 1, before any batch is seen. */
export const statistics = (channels: number): HostStatistics => ({
  mean: Init.zeros([channels])({ key: [0, 0] }),
  variance: Init.ones([channels])({ key: [0, 0] })
})

/** Values of a channel: over all places of all pictures. */
const places = (x: tf.Tensor4D): number => x.size / x.shape[3]

const scaled = (
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  mean: tf.Tensor1D,
  variance: tf.Tensor1D
): tf.Tensor4D => {
  const factor = tf.mul(scale, tf.rsqrt(tf.add(variance, epsilon)))
  return tf.add(tf.mul(x, factor), tf.sub(offset, tf.mul(mean, factor)))
}

// The derivative is stated whole, through the mean and the variance too: differentiating each operation passes over the
// pictures more often. It takes both as the functions of x that they are, so that differencing it again is right.
const normalized = (
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  mean: tf.Tensor1D,
  variance: tf.Tensor1D
): tf.Tensor4D =>
  tf.customGrad((...args) => {
    const [x, scale, offset, save] = args as unknown as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D, tf.GradSaveFunc]
    save([x, scale, mean, variance])
    return {
      value: scaled(x, scale, offset, mean, variance),
      gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => {
        const [x, scale, mean, variance] = saved as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D, tf.Tensor1D]
        const n = places(x)
        const inverse = tf.rsqrt(tf.add(variance, epsilon))
        const unit = tf.mul(tf.sub(x, mean), inverse)
        const alongOffset = tf.sum(dy, [0, 1, 2])
        const alongScale = tf.sum(tf.mul(dy, unit), [0, 1, 2])
        const centred = tf.sub(tf.sub(dy, tf.div(alongOffset, n)), tf.mul(unit, tf.div(alongScale, n)))
        return [tf.mul(centred, tf.mul(scale, inverse)), alongScale, alongOffset]
      }
    }
  })(x, scale, offset) as tf.Tensor4D

/**
 * Normalises by the batch's own mean and variance: [n, h, w, c] → the same, with the running statistics after it. These
 * move a tenth of the way to the batch's mean and unbiased variance, as PyTorch's do.
 *
 * Throws a `RangeError` where a channel has one value only, which has no variance.
 */
export const train = (
  { offset, scale }: Params,
  running: Statistics,
  x: tf.Tensor4D
): readonly [y: tf.Tensor4D, next: Statistics] => {
  const n = places(x)
  if (n < 2)
    throw new RangeError(`BatchNorm.train: [${x.shape}] has one value a channel: give more pictures or larger ones`)
  const mean = tf.mean<tf.Tensor1D>(x, [0, 1, 2])
  const variance = tf.mean<tf.Tensor1D>(tf.square(tf.sub(x, mean)), [0, 1, 2])
  const towards = (before: tf.Tensor1D, now: tf.Tensor1D, weight: number): tf.Tensor1D =>
    tf.add(tf.mul(before, 1 - momentum), tf.mul(now, momentum * weight))
  return [
    normalized(x, scale, offset, mean, variance),
    { mean: towards(running.mean, mean, 1), variance: towards(running.variance, variance, n / (n - 1)) }
  ]
}

/** Normalises by the running mean and variance: [n, h, w, c] → the same. */
export const evaluate = ({ offset, scale }: Params, { mean, variance }: Statistics, x: tf.Tensor4D): tf.Tensor4D =>
  scaled(x, scale, offset, mean, variance)
