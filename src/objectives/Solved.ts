/**
 * Heads that are solved and not trained: the optimum on these features, by operations that an objective differentiates through.
 * A level above that scores an encoder θ by them has the derivative of ω*(θ) in its own gradient, with no level for ω.
 */
import * as tf from "@tensorflow/tfjs-core"
import { positive, whole } from "../dsl/errors/Numbers.ts"
import { elimination } from "../tensor/Elimination.ts"
import * as Vector from "../tensor/Vector.ts"

/** Weights [in, out] and bias [out] of a linear head: what `Mlp.affine` takes. */
export interface Head {
  readonly w: tf.Tensor2D
  readonly b: tf.Tensor1D
}

const largest = 512

const sized = (of: string, features: tf.Tensor2D, targets: tf.Tensor): void => {
  const [rows, inputs] = features.shape
  if (targets.shape[0] !== rows) {
    throw new RangeError(
      `${of}: features have ${rows} rows and targets ${targets.shape[0]}: give one target for each row`
    )
  }
  if (inputs > largest) {
    throw new RangeError(`${of}: ${inputs} features; it is for at most ${largest}: train a head in a level of its own`)
  }
}

/**
 * Ridge regression with a free bias: the head that minimizes `mean over rows of ‖x w + b − y‖² + penalty ‖w‖²`, for features [n, in] and
 * targets [n, out] (one-hot classes, say), by elimination. Costs what a matrix of in × in does, and its gradient.
 * Throws a `RangeError` unless the penalty is positive, above 512 features, or where rows do not match.
 *
 * ```ts
 * const features = tf.tensor2d([[-1], [1]])
 * Solved.ridge({ features, targets: tf.tensor2d([[0], [4]]), penalty: 1 }) // => { w: [[1]], b: [2] }
 * ```
 */
export const ridge = (options: {
  readonly features: tf.Tensor2D
  readonly targets: tf.Tensor2D
  readonly penalty: number
}): Head => {
  const { features, penalty, targets } = options
  positive("Solved.ridge: penalty", penalty)
  sized("Solved.ridge", features, targets)
  const [rows, inputs] = features.shape
  const [x, y] = [tf.mean(features, 0, true), tf.mean(targets, 0, true)] as [tf.Tensor2D, tf.Tensor2D]
  const centred = tf.sub(features, x) as tf.Tensor2D
  const gram = tf.div(tf.matMul(centred, centred, true, false), rows)
  const pull = tf.div(tf.matMul(centred, tf.sub(targets, y) as tf.Tensor2D, true, false), rows) as tf.Tensor2D
  const [w] = elimination(tf.add(gram, tf.mul(penalty, tf.eye(inputs))), pull)
  return { w, b: tf.reshape(tf.sub(y, tf.matMul(x, w)), [-1]) }
}

/**
 * Logistic regression with a free bias, by `steps` whole steps of Newton from zero: of the head [in, 1] that minimizes
 * `mean over rows of softplus(z) − z y + penalty/2 ‖w‖²` with `z = x w + b`, for targets y [n] in [0, 1]. `residual` is the norm of that
 * objective's gradient at the head: report it, as a head with steps too few, or a penalty so small that whole steps go astray,
 * shows there. The gradient passes through every step; of a head that is solved it is that of the optimum.
 * Throws a `RangeError` as {@link ridge} does, or unless steps are a positive integer.
 *
 * ```ts
 * const features = tf.tensor2d([[-1], [1]])
 * const { w } = Solved.logistic({ features, targets: tf.tensor1d([0, 1]), penalty: 0.5, steps: 6 })
 * w // => [[0.6748]]
 * ```
 */
export const logistic = (options: {
  readonly features: tf.Tensor2D
  readonly targets: tf.Tensor1D
  readonly penalty: number
  readonly steps: number
}): Head & { readonly residual: tf.Scalar } => {
  const { features, penalty, steps, targets } = options
  positive("Solved.logistic: penalty", penalty)
  whole("Solved.logistic: steps", steps, 1)
  sized("Solved.logistic", features, targets)
  const [rows, inputs] = features.shape
  const x = tf.concat([features, tf.ones([rows, 1])], 1) as tf.Tensor2D
  const y = tf.reshape(targets, [rows, 1])
  const penalties = tf.tensor2d(
    Float32Array.from({ length: inputs + 1 }, (_, i) => (i < inputs ? penalty : 0)),
    [inputs + 1, 1]
  )
  const ridges = tf.mul(penalties, tf.eye(inputs + 1))
  const probability = (u: tf.Tensor2D) => tf.sigmoid(tf.matMul(x, u))
  const slopeOf = (u: tf.Tensor2D, p: tf.Tensor) =>
    tf.add(tf.div(tf.matMul(x, tf.sub(p, y) as tf.Tensor2D, true, false), rows), tf.mul(penalties, u)) as tf.Tensor2D
  let u = tf.zeros([inputs + 1, 1]) as tf.Tensor2D
  for (let step = 0; step < steps; step++) {
    const p = probability(u)
    const weighted = tf.mul(x, tf.mul(p, tf.sub(1, p))) as tf.Tensor2D
    const curvature = tf.add(tf.div(tf.matMul(x, weighted, true, false), rows), ridges) as tf.Tensor2D
    u = tf.sub(u, elimination(curvature, slopeOf(u, p))[0])
  }
  return {
    w: tf.slice(u, [0, 0], [inputs, 1]),
    b: tf.reshape(tf.slice(u, [inputs, 0], [1, 1]), [-1]),
    residual: Vector.norm(slopeOf(u, probability(u)))
  }
}
