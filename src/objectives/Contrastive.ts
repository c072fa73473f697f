import * as tf from "@tensorflow/tfjs-core"
import { logSumExp } from "../tensor/Smooth.ts"

// Keeps the length of a zero vector away from zero, where its derivative is infinite.
const tiny = 1e-12

const normalized = (x: tf.Tensor2D): tf.Tensor2D => tf.div(x, tf.sqrt(tf.add(tf.sum(tf.square(x), -1, true), tiny)))

/**
 * Contrastive loss with in-batch negatives (TapWeight, equation 16; SimCSE, Gao et al. 2021): two views [n, d] of the same
 * n inputs, similarity = cosine / temperature. Mean over the batch, in nats, where the paper sums, so that the loss does not
 * grow with the batch. SimCSE's temperature is 0.05.
 */
export const contrastive = (first: tf.Tensor2D, second: tf.Tensor2D, temperature: number): tf.Scalar => {
  const a = normalized(first)
  const b = normalized(second)
  const similarities = tf.div(tf.matMul(a, b, false, true), temperature)
  const positives = tf.div(tf.sum(tf.mul(a, b), -1), temperature)
  return tf.mean(tf.sub(logSumExp(similarities), positives))
}

/**
 * Mean Euclidean distance between two representations [n, d] of the same n inputs: mask-based contrastive learning
 * (TapWeight, equation 14), with a mean over the batch where the paper sums. It has no negatives.
 */
export const distance = (first: tf.Tensor2D, second: tf.Tensor2D): tf.Scalar =>
  tf.mean(tf.sqrt(tf.add(tf.sum(tf.square(tf.sub(first, second)), -1), tiny)))
