/** Small functions that between them are made of every operation of graphs. */
import * as tf from "@tensorflow/tfjs-core"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import { directional } from "../../src/tensor/Directional.ts"
import * as Gradient from "../../src/tensor/Gradient.ts"
import * as Noise from "../../src/tensor/Noise.ts"
import * as Smooth from "../../src/tensor/Smooth.ts"

/** A function of x, its shape, and the numbers from which four units up x is drawn; −2 where absent. */
type Case = readonly [f: (x: any) => tf.Tensor, shape: ReadonlyArray<number>, from?: number]
const one = (name: string, from = -2): readonly [string, Case] => [name, [(x) => (tf as any)[name](x), [3, 5], from]]

const filters = (shape: [number, number, number, number]) =>
  tf.tensor4d(Seed.normal(Seed.make(3), NdArray.size(shape)), shape)
const ids = () => tf.tensor2d([4, 0, 2, 2, 1, 4], [2, 3], "int32")
/** The first part of x, and the rest in another shape. */
const parts = (x: tf.Tensor, ...shapes: ReadonlyArray<ReadonlyArray<number>>): any =>
  tf
    .split(
      x,
      shapes.map((shape) => NdArray.size(shape))
    )
    .map((part, i) => tf.reshape(part, [...shapes[i]!]))

/** Of every operation at least one, moving every operand that can. */
const values: { readonly [name: string]: Case } = {
  ...Object.fromEntries(
    "abs neg relu sigmoid tanh softplus sin cos tan sinh cosh asinh atan exp expm1 erf floor ceil round sign"
      .split(" ")
      .map((name) => one(name))
  ),
  ...Object.fromEntries("log log1p sqrt rsqrt reciprocal acosh".split(" ").map((name) => one(name, 1.1))),
  "asin, acos, atanh": [
    (x) => tf.addN([tf.asin(tf.div(x, 3)), tf.mul(2, tf.acos(tf.div(x, 3))), tf.atanh(tf.div(x, 3))]),
    [3, 5]
  ],
  "sums, differences, products, quotients": [
    (x) => {
      const [a, b] = parts(x, [2, 1, 3], [4, 1])
      return tf.sub(tf.div(tf.mul(a, tf.add(a, b)), b), tf.add(tf.div(2, a), tf.div(a, 3)))
    },
    [10],
    1
  ],
  powers: [
    (x) => {
      const [a, b] = parts(x, [3, 2], [3, 2])
      return tf.addN([tf.pow(a, b), tf.pow(a, 3), tf.pow(3, b), tf.pow(a, 0.5), tf.pow(a, -1)])
    },
    [12],
    0.5
  ],
  remainders: [
    (x) => {
      const [a, b] = parts(x, [3, 2], [2])
      return tf.addN([tf.mod(a, b), tf.floorDiv(a, b), tf.mod(a, 0.7), tf.mod(tf.fill([3, 2], 9), b)])
    },
    [8],
    1
  ],
  "greater and less of two": [
    (x) => {
      const [a, b] = parts(x, [3, 2], [3, 2])
      return tf.addN([tf.maximum(a, tf.mul(2, b)), tf.minimum(a, b), tf.maximum(a, 0.5), tf.minimum(0.5, b)])
    },
    [12]
  ],
  choices: [
    (x) => {
      const [a, b] = parts(x, [3, 2], [2])
      return tf.add(tf.where(tf.greater(a, 0), a, tf.mul(a, b)), tf.where(tf.less(a, b), tf.onesLike(a), a))
    },
    [8]
  ],
  "truth values": [
    (x) =>
      tf.mul(
        x,
        tf.cast(tf.logicalOr(tf.logicalNot(tf.isNaN(x)), tf.logicalAnd(tf.isInf(x), tf.notEqual(x, 1))), "float32")
      ),
    [4]
  ],
  "reshape, transpose, slice": [
    (x) => tf.slice(tf.transpose(tf.reshape(x, [4, 3, 2]), [2, 0, 1]), [0, 1, 1], [2, 3, 2]),
    [2, 12]
  ],
  "slices with strides, backwards": [
    (x) =>
      tf.add(
        tf.stridedSlice(x, [0, 1, 0], [3, 4, 2], [2, 2, 1]),
        tf.stridedSlice(x, [2, 3, 1], [-4, 0, -3], [-2, -2, -1])
      ),
    [3, 4, 2]
  ],
  "concatenation with what does not move": [(x) => tf.concat([x, tf.ones([3, 2]), tf.exp(x)], 1), [3, 4]],
  "repetition and padding": [
    (x) =>
      tf.pad(
        tf.tile(x, [2, 3]),
        [
          [1, 2],
          [0, 3]
        ],
        0.5
      ),
    [3, 4]
  ],
  "mirrored padding": [
    (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 2],
          [2, 0]
        ],
        "reflect"
      ),
    [3, 4]
  ],
  reversal: [(x) => tf.reverse(x, [0, 2]), [3, 4, 2]],
  "rows by number": [(x) => tf.add(tf.gather(x, ids()), tf.gather(tf.exp(x), ids())), [5, 3]],
  "rows by number in batches": [(x) => tf.gather(x, ids(), 1, 1), [2, 5, 3]],
  "sums by number": [(x) => tf.unsortedSegmentSum(tf.exp(x), tf.tensor1d([1, 0, 1, 3], "int32"), 5), [4, 3]],
  "sums, means, variances": [(x) => tf.add(tf.sum(x, 1, true), tf.moments(x, [0, 2], true).variance), [3, 4, 2]],
  "greatest and least": [(x) => tf.add(tf.max(x, 1), tf.mul(tf.min(x, [1]), tf.max(x))), [3, 4, 2]],
  "products of all": [(x) => tf.add(tf.prod(x, 1), tf.prod(tf.slice(x, [0, 0], [2, 2]))), [3, 4]],
  "places of extremes": [(x) => tf.mul(tf.cast(tf.add(tf.argMax(x, 1), tf.argMin(x, 1)), "float32"), x), [3, 3]],
  "running sums": [(x) => tf.add(tf.cumsum(x, 1), tf.cumsum(x, 1, true, true)), [3, 4]],
  softmax: [(x) => tf.softmax(x), [3, 5]],
  "matrix products": [
    (x) => {
      const [a, b] = parts(x, [2, 4, 3], [2, 2, 4])
      return tf.add(
        tf.matMul(a, b, true, true),
        tf.matMul(tf.matMul(tf.transpose(a, [0, 2, 1]), a), tf.ones([2, 3, 2]))
      )
    },
    [40]
  ],
  "outer products": [
    (x) => {
      const [a, b] = parts(x, [3, 1], [1, 4])
      return tf.matMul(a, b)
    },
    [7]
  ],
  noise: [(x) => Noise.dropout(tf.exp(x), tf.tensor1d([1, 2], "int32"), 0.3, 5), [7, 3]],
  "a function of nothing that moves": [(x) => tf.mul(tf.ones([3]), tf.sum(tf.zerosLike(x))), [2]],
  "fused layers": [
    (x) => {
      const [a, b, bias] = parts(x, [3, 4], [4, 2], [2])
      return tf.fused.matMul({ a, b, bias, activation: "elu" })
    },
    [22]
  ],
  "max-pool, overlapping, padded": [(x) => tf.maxPool(x, 3, 2, "same"), [2, 5, 4, 2]],
  "a derivative of max-pool": [
    (x) => directional((at) => tf.maxPool(tf.exp(at) as tf.Tensor4D, 2, 1, "same"), x, tf.cos(x)),
    [1, 4, 3, 2]
  ],
  "mean pools": [(x) => tf.mul(tf.avgPool(x, 3, 1, "same"), tf.avgPool(x, [5, 4], 1, "valid")), [2, 5, 4, 2]],
  "convolution by what moves": [
    (x) => {
      const [image, filter] = parts(x, [1, 5, 4, 2], [3, 3, 2, 2])
      return tf.conv2d(image, filter, 2, "same")
    },
    [76]
  ],
  "transposed convolution": [
    (x) => {
      const [image, filter] = parts(x, [1, 3, 2, 2], [3, 3, 2, 2])
      return tf.conv2dTranspose(image, filter, [1, 6, 4, 2], 2, "same")
    },
    [48]
  ],
  resizes: [(x) => tf.mul(tf.image.resizeBilinear(x, [5, 3]), tf.image.resizeNearestNeighbor(x, [5, 3])), [1, 3, 2, 2]]
}

/** Losses, whose gradients are differentiated: the operations that only gradients are made of, at least once each. */
const losses: { readonly [name: string]: Case } = {
  "softmax, log-softmax": [(x) => tf.mul(tf.softmax(x), tf.logSoftmax(x)), [3, 5]],
  "smooth functions": [
    (x) => tf.mul(tf.mul(Smooth.softmax(x), Smooth.gelu(x)), tf.expandDims(Smooth.logSumExp(Smooth.tanh(x)), -1)),
    [3, 5]
  ],
  "cross-entropy of TensorFlow.js": [
    (x) => tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d([2, 0, 1], "int32"), 4), x),
    [3, 4]
  ],
  embedding: [(x) => tf.exp(tf.gather(x, ids())), [5, 3]],
  "extremes and clipping": [(x) => tf.mul(tf.max(tf.square(x), 1, true), tf.clipByValue(tf.exp(x), 0.5, 2)), [3, 4]],
  "leaky, elu, selu, prelu": [
    (x) => tf.addN([tf.leakyRelu(tf.square(x)), tf.elu(x), tf.selu(x), tf.prelu(tf.exp(x), x)]),
    [3, 4]
  ],
  convolution: [(x) => tf.tanh(tf.conv2d(tf.square(x) as tf.Tensor4D, filters([3, 3, 2, 2]), 1, "same")), [1, 4, 3, 2]],
  "convolution of filters": [
    (x) => tf.tanh(tf.conv2d(tf.fill([1, 4, 3, 2], 0.05) as tf.Tensor4D, tf.square(x) as tf.Tensor4D, 1, "same")),
    [3, 3, 2, 2]
  ],
  "convolution, both, stride 2": [
    (x) => {
      const [image, filter] = parts(x, [1, 5, 4, 2], [3, 3, 2, 2])
      return tf.tanh(tf.conv2d(image, filter, 2, "same"))
    },
    [76]
  ],
  "depthwise convolution": [
    (x) => {
      const [image, filter] = parts(x, [1, 5, 4, 2], [3, 3, 2, 2])
      return tf.tanh(tf.depthwiseConv2d(image, filter, 2, "same"))
    },
    [76]
  ],
  "transposed convolution": [
    (x) => {
      const [image, filter] = parts(x, [1, 3, 2, 2], [3, 3, 2, 2])
      return tf.tanh(tf.conv2dTranspose(image, filter, [1, 6, 4, 2], 2, "same"))
    },
    [48]
  ],
  "max-pool": [(x) => tf.square(tf.maxPool(tf.exp(x) as tf.Tensor4D, 2, 1, "same")), [1, 4, 3, 2]],
  "mean pool": [(x) => tf.square(tf.avgPool(tf.exp(x) as tf.Tensor4D, 2, 1, "valid")), [1, 4, 3, 2]],
  "batch norm": [
    (x) => {
      const [image, scale, offset] = parts(x, [2, 3, 3, 2], [2], [2])
      const { mean, variance } = tf.moments(image, [0, 1, 2])
      return tf.sigmoid(tf.batchNorm(image, mean as tf.Tensor1D, variance as tf.Tensor1D, offset, scale, 1e-3))
    },
    [40]
  ],
  resizes: [(x) => tf.square(tf.image.resizeBilinear(tf.exp(x) as tf.Tensor4D, [5, 3])), [1, 3, 2, 2]],
  dropout: [(x) => tf.square(Noise.dropout(x, tf.tensor1d([1, 2], "int32"), 0.3, 5)), [7, 3]],
  "a stopped factor": [(x) => tf.mul(Smooth.stopGradient(tf.exp(x)), x), [4]]
}

export type Field = (x: tf.Tensor) => tf.Tensor

const weighted = (y: tf.Tensor): tf.Scalar =>
  tf.sum(tf.mul(tf.cast(y, "float32"), tf.reshape(tf.cos(tf.range(0, y.size)), y.shape)))

/** The gradient of a weighted sum of a function's values. */
export const gradientOf =
  (f: Field): Field =>
  (x) =>
    Gradient.valueAndGradient((at: tf.Tensor) => [weighted(f(at)), {}] as const, x).gradient

const drawn = (name: string, shape: ReadonlyArray<number>, from: number) =>
  NdArray.float32(
    shape,
    Seed.uniform(Seed.fold(Seed.make(11), name), NdArray.size(shape)).map((u) => from + 4 * u)
  )

/** Functions, each at a point and along a direction. */
export const cases: ReadonlyArray<{
  readonly name: string
  readonly f: Field
  readonly x: NdArray.NdArray
  readonly v: NdArray.NdArray
}> = [
  ...Object.entries(values).map(([name, each]) => [`of a function: ${name}`, ...each] as const),
  ...Object.entries(losses).map(([name, [f, ...at]]) => [`of a gradient: ${name}`, gradientOf(f), ...at] as const)
].map(([name, f, shape, from = -2]) => ({ name, f, x: drawn("x", shape, from), v: drawn("v", shape, -2) }))
