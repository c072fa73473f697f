import * as tf from "@tensorflow/tfjs-core"
import type { NdArray } from "../dsl/values/NdArray.ts"
import * as Seed from "../dsl/values/Seed.ts"
import type { Live } from "../dsl/values/Tree.ts"
import * as Init from "./Init.ts"

/** One dense layer on the host: weights [in, out] and bias [out]. */
export type HostDense = { readonly w: NdArray<tf.Tensor2D>; readonly b: NdArray<tf.Tensor1D> }

/** One dense layer. */
export type Dense = Live<HostDense>

/** The layers of a perceptron, first to last. */
export type Params = ReadonlyArray<Dense>

/** A dense layer from `inputs` to `outputs` features: Glorot weights, zero bias. */
export const dense =
  (inputs: number, outputs: number) =>
  (seed: Seed.Seed): HostDense => ({
    w: Init.glorot([inputs, outputs])(seed),
    b: Init.zeros([outputs])(seed)
  })

/** `x w + b`: [n, in] → [n, out]. */
export const affine = (params: Dense, x: tf.Tensor2D): tf.Tensor2D => tf.add(tf.matMul(x, params.w), params.b)

/** A perceptron of these layer sizes: `[784, 256, 10]` has two dense layers. Throws a `RangeError` below two sizes. */
export const init = (sizes: ReadonlyArray<number>) => {
  if (sizes.length < 2) throw new RangeError(`Mlp.init: sizes [${sizes}]; give at least inputs and outputs`)
  return (seed: Seed.Seed): ReadonlyArray<HostDense> =>
    sizes.slice(1).map((outputs, i) => dense(sizes[i]!, outputs)(Seed.fold(seed, i)))
}

/**
 * Outputs of the last layer, without activation: [n, in] → [n, out]. `activation` stands between layers.
 *
 * ```ts
 * const params = Var.initial(Var.make("net", Mlp.init([3, 8, 2])), Seed.make(0))
 * params.length // => 2
 * ```
 */
export const apply = (
  params: Params,
  x: tf.Tensor2D,
  activation: (x: tf.Tensor2D) => tf.Tensor2D = tf.relu
): tf.Tensor2D => params.reduce((h, layer, i) => affine(layer, i === 0 ? h : activation(h)), x)
