/** Operations as methods of tensors: `x.add(y)` for `tf.add(x, y)`. TensorFlow.js registers them in its union package only. */
import * as tf from "@tensorflow/tfjs-core"
// Their types: a module that only declares them.
export type * from "@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js"

/** Methods that are the operation of that name, with the tensor as its first argument. */
const alike = (
  "abs acos acosh add all any argMax argMin asin asinh atan atan2 atanh avgPool batchToSpaceND batchNorm broadcastTo cast " +
  "ceil clipByValue conv1d conv2d conv2dTranspose cos cosh cumprod cumsum depthToSpace depthwiseConv2d dilation2d div " +
  "divNoNan dot elu equal erf euclideanNorm exp expandDims expm1 fft floor floorDiv gather greater greaterEqual ifft irfft " +
  "isFinite isInf isNaN leakyRelu less lessEqual localResponseNormalization log log1p logSigmoid logSoftmax logSumExp " +
  "logicalAnd logicalNot logicalOr logicalXor matMul max maxPool maximum mean min minimum mirrorPad mod mul neg norm " +
  "notEqual oneHot onesLike pad pool pow prelu prod reciprocal relu relu6 reshape reverse rfft round rsqrt selu " +
  "separableConv2d sigmoid sign sin sinh slice softmax softplus spaceToBatchND split sqrt square squaredDifference squeeze " +
  "step stridedSlice sub sum tan tanh tile topk transpose unique unsortedSegmentSum unstack zerosLike"
).split(" ")

type Operation = (x: tf.Tensor, ...rest: ReadonlyArray<any>) => unknown
const operations = { ...tf, ...tf.spectral } as unknown as { readonly [name: string]: Operation }

const listed = (x: tf.Tensor | ReadonlyArray<tf.Tensor>): ReadonlyArray<tf.Tensor> => (x instanceof tf.Tensor ? [x] : x)

/** Methods that are something else. */
const apart: { readonly [name: string]: Operation } = {
  as1D: (x) => tf.reshape(x, [x.size]),
  as2D: (x, ...shape) => tf.reshape(x, [...shape]),
  as3D: (x, ...shape) => tf.reshape(x, [...shape]),
  as4D: (x, ...shape) => tf.reshape(x, [...shape]),
  as5D: (x, ...shape) => tf.reshape(x, [...shape]),
  asScalar: (x) => tf.reshape(x, []),
  asType: (x, dtype) => tf.cast(x, dtype),
  concat: (x, others, axis) => tf.concat([x, ...listed(others)], axis),
  flatten: (x) => tf.reshape(x, [x.size]),
  reshapeAs: (x, like) => tf.reshape(x, like.shape),
  resizeBilinear: (x, ...rest) => tf.image.resizeBilinear(x as tf.Tensor4D, ...(rest as [[number, number]])),
  resizeNearestNeighbor: (x, ...rest) =>
    tf.image.resizeNearestNeighbor(x as tf.Tensor4D, ...(rest as [[number, number]])),
  stack: (x, others, axis) => tf.stack([x, ...listed(others)], axis),
  toBool: (x) => tf.cast(x, "bool"),
  toFloat: (x) => tf.cast(x, "float32"),
  toInt: (x) => tf.cast(x, "int32"),
  where: (x, condition, other) => tf.where(condition, x, other)
}

/** Gives tensors the methods that they lack. */
export const registerMethods = (): void => {
  const prototype = tf.Tensor.prototype as unknown as { [name: string]: unknown }
  const all = [...alike.map((name) => [name, operations[name]!] as const), ...Object.entries(apart)]
  for (const [name, operation] of all) {
    if (name in prototype) continue
    prototype[name] = function (this: tf.Tensor, ...rest: ReadonlyArray<unknown>) {
      ;(this as unknown as { readonly throwIfDisposed: () => void }).throwIfDisposed()
      return operation(this, ...rest)
    }
  }
}
