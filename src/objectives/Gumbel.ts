import * as tf from "@tensorflow/tfjs-core"
import { positive } from "../dsl/errors/Numbers.ts"
import * as Noise from "../tensor/Noise.ts"
import { softmax } from "../tensor/Smooth.ts"

// A uniform number of 0 would be a noise of −∞.
const least = 2 ** -30

/**
 * A relaxed draw of one class along the last axis: `softmax((logits + g) / temperature)` with g Gumbel noise from a key (Jang, Gu and Poole,
 * "Categorical reparameterization with Gumbel-Softmax", ICLR 2017): logits [..., k] → [..., k]. The largest number is at a class with its
 * probability under the logits' softmax; the lower the temperature, the nearer the others are to 0. Derivatives of every order pass to logits.
 *
 * The key is a batch's (`int32 [2]`, see `Noise`), so that all evaluations of a tick see one draw. Give each place its own salt. Throws a
 * `RangeError` unless the temperature is positive.
 *
 * ```ts
 * const draw = Objective.gumbelSoftmax(tf.tensor1d([0, 0]), tf.tensor1d([1, 2], "int32"), { temperature: 0.5 })
 * tf.sum(draw) // => 1
 * ```
 */
export const gumbelSoftmax = <T extends tf.Tensor>(
  logits: T,
  key: tf.Tensor1D,
  options: { readonly temperature: number; readonly salt?: number }
): T => {
  const { salt = 0, temperature } = options
  positive("gumbelSoftmax: temperature", temperature)
  const uniform = tf.maximum(Noise.uniform(key, logits.shape, salt), least)
  const noise = tf.neg(tf.log(tf.neg(tf.log(uniform))))
  return softmax(tf.div(tf.add(logits, noise), temperature)) as T
}
