import * as tf from "@tensorflow/tfjs-core"

/**
 * The multi-objective loss `Σ λᵢ Lᵢ` (TapWeight, equation 1): weights `λ` of shape [n] and n scalar losses, in the order of
 * the record's keys. Each loss is reported under its key.
 *
 * Throws a `RangeError` unless there are as many weights as losses.
 */
export const weighted = <L extends { readonly [name: string]: tf.Scalar }>(
  weights: tf.Tensor,
  losses: L
): { readonly loss: tf.Scalar; readonly metrics: L } => {
  const names = Object.keys(losses)
  if (weights.rank !== 1 || weights.size !== names.length) {
    const found = `weights of shape [${weights.shape}] for ${names.length} losses (${names.join(", ")})`
    throw new RangeError(`weighted: ${found}; give one weight for each loss`)
  }
  return { loss: tf.sum(tf.mul(weights, tf.stack(Object.values(losses)))), metrics: losses }
}
