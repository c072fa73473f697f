import * as tf from "@tensorflow/tfjs-core"
import { weightedCrossEntropy } from "./Supervised.ts"

/** The hidden tokens of a batch: m slots a row, of which those with weight 0 are unused. */
export interface MaskedTokens {
  /** int32 [b, m]: rows of the hidden states taken as [b · t, d], that is `row · t + position`. */
  readonly positions: tf.Tensor2D
  /** int32 [b, m]: the tokens that stood there. */
  readonly targets: tf.Tensor2D
  /** float32 [b, m]: 1 where the slot is used, else 0. */
  readonly weights: tf.Tensor2D
}

/**
 * Masked language modelling (Devlin et al. 2019; TapWeight, appendix D.1): cross-entropy of the hidden tokens, in nats a
 * token, from hidden states [b, t, d] and an output embedding [v, d], which may be the input's (tied) or one of its own.
 */
export const maskedLanguage = (hidden: tf.Tensor3D, embedding: tf.Tensor2D, masked: MaskedTokens): tf.Scalar => {
  const states = tf.reshape(hidden, [-1, hidden.shape[2]]) as tf.Tensor2D
  const selected = tf.gather(states, tf.reshape(masked.positions, [-1]) as tf.Tensor1D)
  return weightedCrossEntropy(
    tf.matMul(selected, embedding, false, true),
    tf.reshape(masked.targets, [-1]) as tf.Tensor1D,
    tf.reshape(masked.weights, [-1]) as tf.Tensor1D
  )
}
