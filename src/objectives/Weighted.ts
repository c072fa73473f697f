import * as tf from "@tensorflow/tfjs-core"
import * as Names from "./Names.ts"
import type { Weights } from "./Simplex.ts"

/**
 * The multi-objective loss `Σ λᵢ Lᵢ` (TapWeight, equation 1): weights by name and a scalar loss for each of their names,
 * matched by name, whatever order the losses stand in. Each loss is reported under its name.
 *
 * Throws a `RangeError` where a loss lacks a weight or a weight a loss, where a name is a whole number, or where the
 * weights are no vector of as many numbers as names.
 *
 * ```ts
 * const tradeoff = Simplex.make("beta", ["mlm", "order"])
 * const weights = Simplex.weights(tradeoff, tf.tensor1d([0, 0]))
 * Objective.weighted(weights, { order: tf.scalar(4), mlm: tf.scalar(2) }).loss // => 3
 * ```
 */
export const weighted = <Part extends string>(
  weights: Weights<Part>,
  losses: { readonly [P in NoInfer<Part>]: tf.Scalar }
): { readonly loss: tf.Scalar; readonly metrics: { readonly [P in Part]: tf.Scalar } } => {
  const { names, values } = weights
  Names.check("weighted", names)
  if (values.rank !== 1 || values.size !== names.length) {
    const reason = `weights of shape [${values.shape}] for ${names.length} names (${names.join(", ")})`
    throw new RangeError(`weighted: ${reason}; give one weight for each name`)
  }
  Names.checkKeys("weighted: the losses", names, losses)
  const ordered = names.map((name) => losses[name])
  return {
    loss: tf.sum(tf.mul(values, tf.stack(ordered))),
    metrics: Object.fromEntries(names.map((name, i) => [name, ordered[i]!])) as never
  }
}
