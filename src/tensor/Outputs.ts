/** Outputs of a model as an objective marks them, so that a curvature may hold the model's own derivative and bend only what is made of them. */
import * as tf from "@tensorflow/tfjs-core"

/** What is done with marked outputs as an objective is evaluated. */
type Use =
  | { readonly _tag: "Collect"; readonly values: Array<tf.Tensor> }
  | { readonly _tag: "Replace"; readonly values: ReadonlyArray<tf.Tensor>; readonly flows: boolean; at: number }

let use: Use | undefined

const during = <A>(present: Use, f: () => A): A => {
  const before = use
  use = present
  try {
    return f()
  } finally {
    use = before
  }
}

/**
 * Marks what a model says before a loss is made of it: the logits of a classifier, the predictions of a regression, or the loss of each row. The
 * value and all derivatives are those of `z`; what is marked is what `curvature` of `Hypergradient.implicit` is about.
 *
 * ```ts
 * Objective.outputs(tf.tensor1d([1, 2])) // => [1, 2]
 * ```
 */
export const outputs = <T extends tf.Tensor>(z: T): T => {
  if (use === undefined) return z
  if (use._tag === "Collect") {
    use.values.push(z)
    return z
  }
  const { flows, values } = use
  const value = values[use.at++]
  if (value === undefined) throw new RangeError("an objective marks other outputs each time: mark the same ones")
  const replaced = tf.customGrad(() => ({
    value: tf.clone(value),
    gradFunc: (dy: tf.Tensor) => (flows ? dy : tf.zerosLike(dy))
  }))
  return replaced(z) as T
}

/** What `f` marks, with what it returns. */
export const collected = <A>(f: () => A): readonly [A, ReadonlyArray<tf.Tensor>] => {
  const values: Array<tf.Tensor> = []
  return [during({ _tag: "Collect", values }, f), values]
}

/** `f` with these values in place of what it marks; first-order gradients pass to what stood there where they `flow`, or end. */
export const replaced = <A>(values: ReadonlyArray<tf.Tensor>, flows: boolean, f: () => A): A =>
  during({ _tag: "Replace", values, flows, at: 0 }, f)
