/**
 * Functions that stay differentiable to any order: each derivative is stated through the function's *input* and is itself
 * made of such functions, so that it can be differentiated again.
 */
import * as tf from "@tensorflow/tfjs-core"

type SameShape = <T extends tf.Tensor>(x: T) => T

const differentiable = (
  value: (x: tf.Tensor) => tf.Tensor,
  derivative: (dy: tf.Tensor, x: tf.Tensor) => tf.Tensor
): SameShape =>
  tf.customGrad((...args) => {
    const [x, save] = args as unknown as [tf.Tensor, tf.GradSaveFunc]
    save([x])
    return { value: value(x), gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => derivative(dy, saved[0]!) }
  }) as SameShape

/** The same values, held constant: every derivative through it is zero. */
export const stopGradient: SameShape = differentiable(
  (x) => tf.clone(x),
  (_, x) => tf.zerosLike(x)
)

/** `eˣ`, element by element. */
export const exp: SameShape = differentiable(
  (x) => tf.exp(x),
  (dy, x) => tf.mul(dy, exp(x))
)

/** `1 / (1 + e⁻ˣ)`, element by element. */
export const sigmoid: SameShape = differentiable(
  (x) => tf.sigmoid(x),
  (dy, x) => {
    const y = sigmoid(x)
    return tf.mul(dy, tf.sub(y, tf.square(y)))
  }
)

/** `tanh x`, element by element. */
export const tanh: SameShape = differentiable(
  (x) => tf.tanh(x),
  (dy, x) => tf.sub(dy, tf.mul(dy, tf.square(tanh(x))))
)

/** `log(1 + eˣ)`, element by element, without overflow. */
export const softplus: SameShape = differentiable(
  (x) => tf.softplus(x),
  (dy, x) => tf.mul(dy, sigmoid(x))
)

/** `eˣ / Σ eˣ` along the last axis: [..., k] → [..., k]. */
export const softmax: SameShape = differentiable(
  (x) => tf.softmax(x),
  (dy, x) => {
    const y = softmax(x)
    const weighted = tf.mul(dy, y)
    return tf.sub(weighted, tf.mul(y, tf.sum(weighted, -1, true)))
  }
)

/** `log Σ eˣ` along the last axis, without overflow: [..., k] → [...]. */
export const logSumExp: (x: tf.Tensor) => tf.Tensor = differentiable(
  (x) => tf.logSumExp(x, -1),
  (dy, x) => tf.mul(tf.expandDims(dy, -1), softmax(x))
)

const normalDensity: SameShape = (x) => tf.mul(exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI))

const normalCdf: SameShape = differentiable(
  (x) => tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5),
  (dy, x) => tf.mul(dy, normalDensity(x))
)

/** `x Φ(x)`, element by element, with the exact normal distribution function Φ (Hendrycks and Gimpel 2016). */
export const gelu: SameShape = (x) => tf.mul(x, normalCdf(x))
