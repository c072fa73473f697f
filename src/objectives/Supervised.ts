import * as tf from "@tensorflow/tfjs-core"
import { logSumExp, softplus } from "../tensor/Smooth.ts"

/**
 * Negative log-likelihood of each row: logits [n, k ≥ 2] and class numbers int32 [n] → nats [n]. Numbers outside of 0 to
 * k − 1 are an error where they are a field of the data; computed ones have no class, and `log Σ eᶻ` for their row.
 */
export const perExample = (logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor1D => {
  // Asked for float32 directly, the wasm backend's oneHot writes integer bits, which read as zeros.
  const chosen = tf.cast(tf.oneHot(labels, logits.shape[1]), "float32")
  return tf.sub(logSumExp(logits), tf.sum(tf.mul(logits, chosen), -1))
}

/**
 * Mean cross-entropy: logits [n, k] and class numbers int32 [n] → nats.
 *
 * ```ts
 * Objective.crossEntropy(tf.tensor2d([[0, 0]]), tf.tensor1d([1], "int32")) // => 0.6931
 * ```
 */
export const crossEntropy = (logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar => tf.mean(perExample(logits, labels))

/**
 * Cross-entropy with a weight per row: `Σ w l / max(Σ w, 1)`, for logits [n, k], class numbers int32 [n], weights [n].
 * A batch whose weights are all zero has loss zero.
 */
export const weightedCrossEntropy = (logits: tf.Tensor2D, labels: tf.Tensor1D, weights: tf.Tensor1D): tf.Scalar =>
  tf.div(tf.sum(tf.mul(weights, perExample(logits, labels))), tf.maximum(tf.sum(weights), 1))

/**
 * Mean binary cross-entropy of logits `z` against targets `y` in [0, 1], both of one shape: `softplus(z) - z y`.
 *
 * ```ts
 * Objective.binaryCrossEntropy(tf.tensor1d([0, 0]), tf.tensor1d([1, 0])) // => 0.6931
 * ```
 */
export const binaryCrossEntropy = (logits: tf.Tensor, targets: tf.Tensor): tf.Scalar =>
  tf.mean(tf.sub(softplus(logits), tf.mul(logits, targets)))

/**
 * The same over the targets there are: `Σ m (softplus(z) - z y) / max(Σ m, 1)` with m 1 where a target is known and 0 where
 * it is missing, all of one shape. What stands in a missing target's place has no influence as long as it is finite.
 */
export const maskedBinaryCrossEntropy = (logits: tf.Tensor, targets: tf.Tensor, known: tf.Tensor): tf.Scalar =>
  tf.div(tf.sum(tf.mul(known, tf.sub(softplus(logits), tf.mul(logits, targets)))), tf.maximum(tf.sum(known), 1))

/**
 * How badly positives and negatives are told apart: `softplus(z₋ - z₊)` over all pairs of a known positive and a known
 * negative of one task, a mean over pairs and then over the tasks that have any; logits `z`, targets `y` in {0, 1} and
 * `known` are [n, t]. At log 2 for logits that tell nothing, and at 0 as AUROC goes to 1 (Gao and Zhou 2015). Unlike
 * {@link maskedBinaryCrossEntropy} it does not ask how frequent positives are: adding a constant to a task's logits
 * changes nothing. A batch without pairs has loss zero.
 */
export const pairwiseRanking = (logits: tf.Tensor2D, targets: tf.Tensor2D, known: tf.Tensor2D): tf.Scalar => {
  const positive = tf.mul(known, targets)
  const pairs = tf.mul(tf.expandDims(positive, 1), tf.expandDims(tf.sub(known, positive), 0))
  const losses = tf.mul(pairs, softplus(tf.sub(tf.expandDims(logits, 0), tf.expandDims(logits, 1))))
  const counts = tf.sum(pairs, [0, 1])
  const means = tf.div(tf.sum(losses, [0, 1]), tf.maximum(counts, 1))
  return tf.div(tf.sum(means), tf.maximum(tf.sum(tf.minimum(counts, 1)), 1))
}

/**
 * Each task's logits less their mean and over their standard deviation, both over known rows; `logits` and `known` are [n, t].
 * A loss of them does not depend on a task's scale, as long as its deviation is well above 0.01, nor on what is added to it:
 * where most pairs are ranked wrongly, {@link pairwiseRanking} of the logits themselves falls as they shrink. Logits that
 * are all one number become zeros.
 */
export const standardised = (logits: tf.Tensor2D, known: tf.Tensor2D): tf.Tensor2D => {
  const count = tf.maximum(tf.sum(known, 0, true), 1)
  const mean = (x: tf.Tensor): tf.Tensor => tf.div(tf.sum(tf.mul(known, x), 0, true), count)
  const centred = tf.sub(logits, mean(logits))
  return tf.div(centred, tf.sqrt(tf.add(mean(tf.square(centred)), 1e-4)))
}

/** Mean squared error over the targets there are: `Σ m (z - y)² / max(Σ m, 1)`, `m` as in {@link maskedBinaryCrossEntropy}. */
export const maskedSquaredError = (predictions: tf.Tensor, targets: tf.Tensor, known: tf.Tensor): tf.Scalar =>
  tf.div(tf.sum(tf.mul(known, tf.square(tf.sub(predictions, targets)))), tf.maximum(tf.sum(known), 1))

/**
 * Mean squared error of predictions against targets of the same shape.
 *
 * ```ts
 * Objective.meanSquaredError(tf.tensor1d([1, 2]), tf.tensor1d([1, 4])) // => 2
 * ```
 */
export const meanSquaredError = (predictions: tf.Tensor, targets: tf.Tensor): tf.Scalar =>
  tf.mean(tf.square(tf.sub(predictions, targets)))
