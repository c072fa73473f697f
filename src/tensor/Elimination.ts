import * as tf from "@tensorflow/tfjs-core"

// A pivot below this share of the largest one is rounding.
const negligible = 1e-6

/** Above every number that is compared: what the least of none is. */
export const unmet = 3e38

/** The smaller one; the first where one of them is NaN, so that what came before numbers ended stays known. */
export const least = (a: tf.Scalar | undefined, b: tf.Scalar): tf.Scalar =>
  a === undefined ? b : tf.where(tf.less(b, a), b, a)

/**
 * Gauss-Jordan elimination without pivoting, which a positive definite matrix does not need: `matrix⁻¹ right` for a matrix
 * [n, n] and columns [n, m], and how far its smallest pivot is from rounding.
 */
export const elimination = (
  matrix: tf.Tensor2D,
  right: tf.Tensor2D
): readonly [solution: tf.Tensor2D, soundness: tf.Scalar] => {
  const [n, m] = right.shape
  const units = tf.eye(n)
  let system = tf.concat([matrix, right], 1) as tf.Tensor2D
  let [smallest, largest]: [tf.Scalar | undefined, tf.Scalar] = [undefined, tf.scalar(0)]
  for (let k = 0; k < n; k++) {
    const row = tf.slice(system, [k, 0], [1, n + m])
    const pivot = tf.slice(row, [0, k], [1, 1])
    const pivoted = tf.div(row, pivot) as tf.Tensor2D
    const size = tf.reshape(tf.abs(pivot), []) as tf.Scalar
    smallest = least(smallest, size)
    largest = tf.where(tf.greater(size, largest), size, largest)
    const factors = tf.sub(tf.slice(system, [0, k], [n, 1]), tf.slice(units, [0, k], [n, 1])) as tf.Tensor2D
    // In row k the factor is pivot − 1, and row − (pivot − 1) · row / pivot is row / pivot: no row needs a special case.
    system = tf.sub(system, tf.matMul(factors, pivoted)) as tf.Tensor2D
  }
  return [tf.slice(system, [0, n], [n, m]), tf.sub(smallest ?? 1, tf.mul(negligible, largest))]
}
