import * as tf from "@tensorflow/tfjs-core"
import * as NdArray from "../dsl/values/NdArray.ts"
import * as Var from "../dsl/Var.ts"
import * as Names from "./Names.ts"

/**
 * Tradeoff weights λ with a name each: the variable is β, a vector of logits whose softmax λ are. Its names are the one
 * place from which losses are matched with weights, and from which metrics, charts and tables take them.
 */
export interface Simplex<out Name extends string, out Part extends string> extends Var.Var<Name, tf.Tensor1D> {
  readonly elements: ReadonlyArray<Part>
}

/** A vector of weights [n] whose elements have names, in order. */
export interface Weights<Part extends string> {
  readonly names: ReadonlyArray<Part>
  readonly values: tf.Tensor1D
}

/** One number for each name. */
export type Shares<Part extends string> = { readonly [P in Part]: number }

/** Logits whose softmax is near 0 in float32 beside any other: log 0 has no number. */
const least = 1e-12

/** β whose softmax are these shares, in the names' order. Shares are at least 0 and need not sum to 1. */
const logitsOf = <Part extends string>(
  where: string,
  names: ReadonlyArray<Part>,
  shares: Shares<Part>
): NdArray.NdArray<tf.Tensor1D> => {
  Names.checkKeys(where, names, shares)
  const wrong = names.find((name) => !(shares[name] >= 0 && Number.isFinite(shares[name])))
  if (wrong !== undefined) {
    throw new RangeError(`${where}: the share of '${wrong}' is ${shares[wrong]}; give a number of at least 0`)
  }
  return NdArray.float32(
    [names.length] as const,
    names.map((name) => Math.log(Math.max(shares[name], least)))
  ) as NdArray.NdArray<tf.Tensor1D>
}

/**
 * A variable β of tradeoff weights by name, equal at first or at `initial` shares.
 *
 * Throws a `RangeError` where names are none, repeated or whole numbers, or where a share is missing or negative.
 *
 * ```ts
 * const tradeoff = Simplex.make("beta", ["mlm", "order"])
 * Simplex.weights(tradeoff, tf.tensor1d([0, 0])).values // => [0.5, 0.5]
 * ```
 */
export const make = <const Name extends string, const Part extends string>(
  name: Name,
  parts: ReadonlyArray<Part>,
  options: { readonly initial?: Shares<NoInfer<Part>> } = {}
): Simplex<Name, Part> => {
  const where = `Simplex '${name}'`
  Names.check(where, parts)
  const { initial } = options
  const first =
    initial === undefined
      ? (NdArray.float32([parts.length] as const, new Float32Array(parts.length)) as NdArray.NdArray<tf.Tensor1D>)
      : logitsOf(where, parts, initial)
  return { ...Var.make(name, () => first), elements: [...parts] } as never
}

/** β at these shares: what a problem without reweighting holds it at (`Level.fix(beta, Simplex.logits(beta, …))`). */
export const logits = <Part extends string>(
  self: Simplex<string, Part>,
  shares: Shares<NoInfer<Part>>
): NdArray.NdArray<tf.Tensor1D> => logitsOf(`Simplex '${self.name}'`, self.elements, shares)

/** λ = softmax(β) under its names, inside an objective: what `Objective.weighted` takes. */
export const weights = <Part extends string>(self: Simplex<string, Part>, beta: tf.Tensor1D): Weights<Part> => ({
  names: self.elements,
  values: tf.softmax(beta)
})

/** What the level that moves β reports: `beta` and `lambda`, whose names are those of the level's variable. */
export const metrics = (beta: tf.Tensor1D): { readonly beta: tf.Tensor1D; readonly lambda: tf.Tensor1D } => ({
  beta,
  lambda: tf.softmax(beta)
})

/** λ by name from a finished run's β, in float64. */
export const shares = <Part extends string>(
  self: Simplex<string, Part>,
  beta: { readonly data: ArrayLike<number> }
): Shares<Part> => {
  const values = Array.from(beta.data)
  if (values.length !== self.elements.length) {
    const reason = `it is of ${values.length} numbers for ${self.elements.length} names`
    throw new RangeError(`Simplex '${self.name}': ${reason}; give the value of this variable`)
  }
  const most = Math.max(...values)
  const exponentials = values.map((value) => Math.exp(value - most))
  const sum = exponentials.reduce((total, e) => total + e, 0)
  return Object.fromEntries(self.elements.map((name, i) => [name, exponentials[i]! / sum])) as never
}
