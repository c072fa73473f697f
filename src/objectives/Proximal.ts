import * as tf from "@tensorflow/tfjs-core"
import * as Tree from "../dsl/values/Tree.ts"

/** How squared differences are put together: their sum, or their sum over the number of elements of the tree. */
export type Reduction = "sum" | "mean"

/**
 * The proximal term `R(ω, θ)` (TapWeight, equation 3): squared differences of two trees with equal paths and shapes.
 *
 * The paper calls it a mean squared error; its released code sums. A mean over millions of parameters needs another
 * learning rate above, so the reduction is stated, and is the sum unless told otherwise.
 *
 * Throws a `TypeError` that names the path where the trees differ.
 *
 * ```ts
 * Objective.proximal({ w: tf.tensor([1, 2]) }, { w: tf.tensor([0, 0]) }) // => 5
 * ```
 */
export const proximal = (
  first: Tree.Tree,
  second: Tree.Tree,
  options: { readonly reduction: Reduction } = { reduction: "sum" }
): tf.Scalar => {
  const others = new Map(Tree.entries(second))
  const pairs = Tree.entries(first).map(([path, a]) => {
    const b = others.get(path)
    if (b === undefined) throw new TypeError(`proximal: '${path}' is missing from the second tree`)
    if (!tf.util.arraysEqual(a.shape, b.shape)) {
      throw new TypeError(`proximal: '${path}' is [${a.shape}] in the first tree and [${b.shape}] in the second`)
    }
    others.delete(path)
    return [a, b] as const
  })
  const [extra] = others.keys()
  if (extra !== undefined) throw new TypeError(`proximal: '${extra}' is missing from the first tree`)
  const sum = tf.addN(pairs.map(([a, b]) => tf.sum(tf.square(tf.sub(a, b))))) as tf.Scalar
  return options.reduction === "sum"
    ? sum
    : tf.div(
        sum,
        pairs.reduce((count, [a]) => count + a.size, 0)
      )
}
