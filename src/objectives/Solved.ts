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

/**
 * Logistic regression of several classes with free biases: the head [in, k] that minimizes `mean over rows of cross-entropy(x w + b, y) +
 * penalty/2 ‖w‖²`, for targets y [n, k] whose rows sum to 1 (one-hot classes, say). By `steps` steps of Newton's kind from zero, each with the
 * largest curvature that a softmax can have in place of its own (Böhning 1992): one elimination of in × in serves them all, none goes
 * astray, and the error falls by a factor a step that is the nearer to 1 the surer the head is of its rows and the smaller the penalty.
 * `residual` is the norm of the gradient at the head: report it, as steps too few show there. The gradient passes through every step;
 * of a head that is solved it is that of the optimum. Throws a `RangeError` as {@link logistic} does.
 *
 * ```ts
 * const features = tf.tensor2d([[-1], [1]])
 * const targets = tf.tensor2d([[1, 0], [0, 1]])
 * const { w } = Solved.softmax({ features, targets, penalty: 0.5, steps: 40 })
 * w // => [[-0.5213, 0.5213]]
 * ```
 */
export const softmax = (options: {
  readonly features: tf.Tensor2D
  readonly targets: tf.Tensor2D
  readonly penalty: number
  readonly steps: number
}): Head & { readonly residual: tf.Scalar } => {
  const { features, penalty, steps, targets } = options
  positive("Solved.softmax: penalty", penalty)
  whole("Solved.softmax: steps", steps, 1)
  sized("Solved.softmax", features, targets)
  const [rows, inputs] = features.shape
  const x = tf.concat([features, tf.ones([rows, 1])], 1) as tf.Tensor2D
  const penalties = tf.tensor2d(
    Float32Array.from({ length: inputs + 1 }, (_, i) => (i < inputs ? penalty : 0)),
    [inputs + 1, 1]
  )
  const mean = (y: tf.Tensor) => tf.div(tf.matMul(x, y as tf.Tensor2D, true, false), rows)
  const bound = tf.add(tf.mul(0.5, mean(x)), tf.mul(penalties, tf.eye(inputs + 1))) as tf.Tensor2D
  const [inverse] = elimination(bound, tf.eye(inputs + 1))
  const slopeOf = (u: tf.Tensor2D) => {
    const p = tf.softmax(tf.matMul(x, u))
    return tf.add(mean(tf.sub(p, targets)), tf.mul(penalties, u)) as tf.Tensor2D
  }
  let u = tf.zeros([inputs + 1, targets.shape[1]]) as tf.Tensor2D
  for (let step = 0; step < steps; step++) u = tf.sub(u, tf.matMul(inverse, slopeOf(u)))
  return {
    w: tf.slice(u, [0, 0], [inputs, targets.shape[1]]),
    b: tf.reshape(tf.slice(u, [inputs, 0], [1, targets.shape[1]]), [-1]),
    residual: Vector.norm(slopeOf(u))
  }
}
