import type * as tf from "@tensorflow/tfjs-core"

/**
 * Numbers on the host: a row-major array with its shape. `T` is the tensor it becomes on a device.
 *
 * Initialisers, datasets and checkpoints speak in these; objectives and optimizers speak in tensors.
 */
export interface NdArray<out T extends tf.Tensor = tf.Tensor> {
  readonly dtype: "float32" | "int32"
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array | Int32Array
  readonly "~tensor"?: T
}

/** The tensor type of a literal shape: `TensorOf<[2, 3]>` is `tf.Tensor2D`. */
export type TensorOf<S extends ReadonlyArray<number>> = number extends S["length"]
  ? tf.Tensor
  : S["length"] extends 0
    ? tf.Scalar
    : S["length"] extends 1
      ? tf.Tensor1D
      : S["length"] extends 2
        ? tf.Tensor2D
        : S["length"] extends 3
          ? tf.Tensor3D
          : S["length"] extends 4
            ? tf.Tensor4D
            : tf.Tensor

/** Number of elements of a shape. */
export const size = (shape: ReadonlyArray<number>): number => shape.reduce((product, n) => product * n, 1)

const checked = (shape: ReadonlyArray<number>, length: number): void => {
  if (size(shape) !== length) {
    throw new RangeError(`NdArray: shape [${shape.join(", ")}] holds ${size(shape)} elements, the data has ${length}`)
  }
}

const bad = (type: string, data: ArrayLike<unknown>, i: number, why: string): RangeError =>
  new RangeError(`NdArray.${type}: element ${i} is ${String(data[i])}, ${why}`)

const float32Of = (data: ArrayLike<number>): Float32Array => {
  if (data instanceof Float32Array) return data
  const values = Float32Array.from(data)
  for (let i = 0; i < values.length; i++) {
    if (typeof data[i] !== "number") throw bad("float32", data, i, "and not a number")
    if (Math.abs(values[i]!) === Infinity && Number.isFinite(data[i]))
      throw bad("float32", data, i, "which float32 does not reach: its largest number is 3.4e38")
  }
  return values
}

const int32Of = (data: ArrayLike<number>): Int32Array => {
  if (data instanceof Int32Array) return data
  const values = Int32Array.from(data)
  for (let i = 0; i < values.length; i++)
    if (values[i] !== data[i]) throw bad("int32", data, i, "and not a whole number from -2147483648 to 2147483647")
  return values
}

/**
 * A float32 array. Throws a `RangeError` where shape and data disagree, and for an element that is no number (NaN is one) or
 * lies beyond float32's range.
 *
 * ```ts
 * const matrix = NdArray.float32([2, 3], [1, 2, 3, 4, 5, 6])
 * NdArray.rows(matrix, [1]).data // => [4, 5, 6]
 * NdArray.float32([2, 2], [1, 2, 3]) // => throws "[2, 2]"
 * ```
 */
export const float32 = <const S extends ReadonlyArray<number>>(
  shape: S,
  data: ArrayLike<number>
): NdArray<TensorOf<S>> => {
  checked(shape, data.length)
  return { dtype: "float32", shape, data: float32Of(data) }
}

/** An int32 array. Throws a `RangeError` where shape and data disagree, and for an element that is not a whole number of 32 bits. */
export const int32 = <const S extends ReadonlyArray<number>>(
  shape: S,
  data: ArrayLike<number>
): NdArray<TensorOf<S>> => {
  checked(shape, data.length)
  return { dtype: "int32", shape, data: int32Of(data) }
}

/** A float32 scalar. */
export const scalar = (value: number): NdArray<tf.Scalar> => float32([], [value])

/** Rows `indices` of an array along its first axis. */
export const rows = <T extends tf.Tensor>(array: NdArray<T>, indices: ArrayLike<number>): NdArray<T> => {
  const width = size(array.shape.slice(1))
  const data =
    array.dtype === "int32" ? new Int32Array(indices.length * width) : new Float32Array(indices.length * width)
  for (let i = 0; i < indices.length; i++) {
    const row = indices[i]!
    data.set(array.data.subarray(row * width, (row + 1) * width), i * width)
  }
  return { dtype: array.dtype, shape: [indices.length, ...array.shape.slice(1)], data }
}
