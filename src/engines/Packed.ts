/** Many arrays in one buffer, as they travel between threads and from devices. */
import { size } from "../dsl/values/NdArray.ts"
import type { LeafType } from "../compiler/graph/Graph.ts"

/** Numbers as they travel between threads. */
export type Numbers = Float32Array | Int32Array

/** Many arrays in one buffer, end to end: handing over each by itself would cost more than small ones hold. */
export type Packed = ArrayBuffer

/** The same memory as words, which are copied bit for bit. */
export const bits = (array: Numbers): Int32Array<ArrayBufferLike> =>
  array instanceof Int32Array ? array : new Int32Array(array.buffer, array.byteOffset, array.length)

/** A copy of arrays, to be handed over to another thread. */
export const pack = (arrays: ReadonlyArray<Numbers>): Packed => {
  const packed = new Int32Array(arrays.reduce((n, array) => n + array.length, 0))
  let at = 0
  for (const array of arrays) {
    packed.set(bits(array), at)
    at += array.length
  }
  return packed.buffer
}

/** The arrays that were packed from word `start` on, as views of the buffer. */
export const unpack = (types: ReadonlyArray<LeafType>, packed: Packed, start = 0): ReadonlyArray<Numbers> => {
  let at = start
  return types.map(({ dtype, shape }) => {
    const length = size(shape)
    const from = 4 * at
    at += length
    return dtype === "float32" ? new Float32Array(packed, from, length) : new Int32Array(packed, from, length)
  })
}
