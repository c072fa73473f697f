/** Cases for the kernels of networks that look at images. */
import * as tf from "@tensorflow/tfjs-core"
import { directional, type Forward } from "../../src/tensor/Directional.ts"

/** A function of some inputs and a batch. */
export type Case = {
  readonly shapes: { readonly [name: string]: ReadonlyArray<number> }
  readonly f: (x: any, b: any) => tf.Tensor
  /** Numbers are drawn from here up; −2 where absent. */
  readonly from?: number
  /** Whether only values are compared. */
  readonly flat?: boolean
}

/** A function of images and a filter. */
export const image = (
  f: (x: any, w: any) => tf.Tensor,
  x: ReadonlyArray<number>,
  w: ReadonlyArray<number> = [1]
): Case => ({
  shapes: { x, w },
  f: ({ w, x }) => f(x, w)
})

export const imageCases: { readonly [name: string]: Case } = {
  convolution: image((x, w) => tf.conv2d(x, w, 1, "same"), [2, 6, 5, 3], [3, 3, 3, 4]),
  "convolution, valid": image((x, w) => tf.conv2d(x, w, 1, "valid"), [2, 6, 5, 3], [3, 2, 3, 4]),
  "convolution, stride 2": image((x, w) => tf.conv2d(x, w, 2, "same"), [2, 7, 6, 3], [3, 3, 3, 4]),
  "convolution, stride 2, valid": image((x, w) => tf.conv2d(x, w, 2, "valid"), [2, 8, 6, 3], [3, 3, 3, 4]),
  "convolution, explicit padding": image((x, w) => tf.conv2d(x, w, 2, 1), [2, 7, 6, 3], [3, 3, 3, 4]),
  "convolution, 1 × 1": image((x, w) => tf.conv2d(x, w, 1, "same"), [2, 4, 4, 3], [1, 1, 3, 5]),
  "convolution, 1 × 1, stride 2": image((x, w) => tf.conv2d(x, w, 2, "same"), [2, 5, 4, 3], [1, 1, 3, 5]),
  "convolution, dilated": {
    ...image((x, w) => tf.conv2d(x, w, 1, "same", "NHWC", 2), [2, 7, 7, 3], [3, 3, 3, 4]),
    flat: true
  },
  "depthwise convolution": image((x, w) => tf.depthwiseConv2d(x, w, 1, "same"), [2, 6, 5, 3], [3, 3, 3, 2]),
  "depthwise convolution, stride 2": image((x, w) => tf.depthwiseConv2d(x, w, 2, "same"), [2, 7, 6, 3], [3, 3, 3, 1]),
  "separable convolution": image(
    (x, w) =>
      tf.separableConv2d(x, tf.slice(w, [0, 0, 0, 0], [3, 3, 3, 1]), tf.ones([1, 1, 3, 2]) as tf.Tensor4D, 1, "same"),
    [2, 6, 5, 3],
    [3, 3, 3, 2]
  ),
  "transposed convolution": image(
    (x, w) => tf.conv2dTranspose(x, w, [2, 8, 8, 4], 2, "same"),
    [2, 4, 4, 3],
    [3, 3, 4, 3]
  ),
  "max-pool": image((x) => tf.maxPool(x, 2, 2, "valid"), [2, 6, 6, 3]),
  "max-pool, overlapping, padded": image((x) => tf.maxPool(x, 3, 2, "same"), [2, 7, 6, 3]),
  "max-pool along a direction": {
    ...image(
      (x) => {
        const pool = (x: tf.Tensor4D) => tf.maxPool(x, 3, 2, "same")
        const [direction, weights] = [tf.cos(x), tf.cos(tf.reshape(tf.range(0, 2 * 4 * 3 * 3), [2, 4, 3, 3]))]
        // Eagerly there is no derivative forwards: the one backwards has the same product with it.
        return (tf.backend() as Partial<Forward>).directional === undefined
          ? tf.sum(tf.mul(direction, tf.grad(pool as never)(x, weights)))
          : tf.sum(tf.mul(weights, directional(pool, x, direction as tf.Tensor4D)))
      },
      [2, 7, 6, 3]
    ),
    flat: true
  },
  "mean pool": image((x) => tf.avgPool(x, 2, 2, "valid"), [2, 6, 6, 3]),
  "mean pool, overlapping": image((x) => tf.avgPool(x, 3, 1, "valid"), [2, 6, 6, 3]),
  "mean pool of the whole image": image((x) => tf.avgPool(x, [4, 4], 1, "valid"), [2, 4, 4, 3]),
  "batch norm": {
    shapes: { x: [3, 4, 4, 2], scale: [2], offset: [2] },
    f: ({ offset, scale, x }) => {
      const { mean, variance } = tf.moments(x, [0, 1, 2])
      return tf.batchNorm(x, mean as tf.Tensor1D, variance as tf.Tensor1D, offset, scale, 1e-3)
    }
  },
  "bilinear resize": image((x) => tf.image.resizeBilinear(x, [7, 5]), [2, 4, 4, 3]),
  "bilinear resize, corners aligned": image((x) => tf.image.resizeBilinear(x, [7, 5], true), [2, 4, 4, 3]),
  "bilinear resize, half-pixel centers": {
    ...image((x) => tf.image.resizeBilinear(x, [3, 8], false, true), [2, 4, 4, 3]),
    flat: true
  },
  // One image: from the second on, the gradient of TensorFlow.js's cpu backend reads the wrong image.
  "nearest resize": image((x) => tf.image.resizeNearestNeighbor(x, [8, 6]), [1, 4, 3, 3]),
  "a residual block": {
    shapes: { x: [2, 6, 6, 3], w: [3, 3, 3, 3], scale: [3] },
    f: ({ scale, w, x }) => {
      const y = tf.relu(tf.mul(tf.conv2d(x, w, 1, "same"), scale))
      return tf.mean(tf.relu(tf.add(tf.conv2d(y as tf.Tensor4D, w, 1, "same"), x)), [1, 2])
    }
  }
}
