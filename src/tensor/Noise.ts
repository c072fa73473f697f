/**
 * Noise inside a step: numbers expanded from a key in the batch, by the generator of {@link Seed}.
 *
 * A step may not draw randomness of its own: both evaluations of a finite difference must see the same noise, and a traced
 * step would bake one draw into its graph. So noise is one kernel, `Threefry2x32`, a pure function of its inputs, which
 * every engine implements for itself.
 */
import * as tf from "@tensorflow/tfjs-core"
import { size } from "../dsl/values/NdArray.ts"
import { threefry } from "../dsl/values/Seed.ts"

/**
 * Name of the kernel: input `key` (int32 [2]), attributes `shape` and `salt`, output float32 of `shape`.
 *
 * @internal
 */
export const Threefry2x32 = "Threefry2x32"

/**
 * What {@link Threefry2x32} computes: number `i` is word `i mod 2` of the block at counter (⌊i/2⌋, salt).
 *
 * @internal
 */
export const expand = (key: ArrayLike<number>, count: number, salt: number): Float32Array => {
  const block = new Uint32Array(2)
  const out = new Float32Array(count)
  for (let i = 0; i < count; i += 2) {
    threefry(key[0]!, key[1]!, i >>> 1, salt, block, 0)
    out[i] = (block[0]! >>> 8) / 0x100_0000
    if (i + 1 < count) out[i + 1] = (block[1]! >>> 8) / 0x100_0000
  }
  return out
}

const kernelFunc: tf.KernelFunc = ({ inputs, backend, attrs }) => {
  const { readSync, write } = backend as tf.KernelBackend
  const { shape, salt } = attrs as { readonly shape: Array<number>; readonly salt: number }
  const key = readSync.call(backend, inputs["key"]!.dataId) as Int32Array
  const dataId = write.call(backend, expand(key, size(shape), salt), shape, "float32")
  return { dataId, shape, dtype: "float32" }
}

/**
 * Numbers uniform in [0, 1), float32 of `shape`: a function of the key and the salt. Another salt (a whole number below
 * 2³²) gives independent numbers. With salt 0 they are those of `Seed.uniform`. No gradient passes.
 *
 * Threefry-2x32-20 (Salmon et al., SC 2011).
 */
export const uniform = (key: tf.Tensor1D, shape: ReadonlyArray<number>, salt = 0): tf.Tensor => {
  const backendName = tf.getBackend()
  if (tf.getKernel(Threefry2x32, backendName) === undefined) {
    tf.registerKernel({ kernelName: Threefry2x32, backendName, kernelFunc })
  }
  return tf.engine().runKernel(Threefry2x32, { key }, { shape: [...shape], salt })
}

/**
 * Inverted dropout (Srivastava et al. 2014): each element is zero with probability `rate` and is else scaled by
 * `1 / (1 - rate)`. Give each place of a network its own salt. Throws a `RangeError` unless 0 ≤ rate < 1.
 *
 * ```ts
 * const x = tf.ones([1000])
 * const half = Noise.dropout(x, tf.tensor1d([1, 2], "int32"), 0.5, 0)
 * Math.abs((tf.mean(half).dataSync()[0] ?? 0) - 1) < 0.1 // => true
 * ```
 */
export const dropout = <T extends tf.Tensor>(x: T, key: tf.Tensor1D, rate: number, salt: number): T => {
  if (!(rate >= 0 && rate < 1)) throw new RangeError(`dropout: rate is ${rate}; give a number in [0, 1)`)
  const kept = tf.cast(tf.greaterEqual(uniform(key, x.shape, salt), rate), "float32")
  return tf.mul(x, tf.mul(kept, 1 / (1 - rate)))
}
