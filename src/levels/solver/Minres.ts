import * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../../dsl/Hypergradient.ts"
import { unmet } from "../../tensor/Elimination.ts"
import * as Vector from "../../tensor/Vector.ts"
import { count, least } from "./Stateless.ts"

// A pivot below this share of the largest one is rounding: along its direction H is singular, and no step makes the residual less.
const negligible = 1e-5

const ratio = (a: tf.Scalar, b: tf.Scalar): tf.Scalar => tf.divNoNan(a, b) as tf.Scalar

/**
 * MINRES for a fixed number of iterations (Paige and Saunders, "Solution of sparse indefinite systems of linear equations", SIAM J.
 * Numer. Anal. 1975): the `u` of least residual in the Krylov space, for any symmetric H.
 *
 * For a curvature that is negative somewhere, as away from a minimum, where {@link conjugateGradient} may divide by nearly nothing:
 * residuals never grow, and of a singular H it gives a solution of least squares, never NaN. With as many iterations as H has distinct
 * eigenvalues it is exact to rounding.
 *
 * Throws a `RangeError` unless `iterations` is a positive whole number.
 *
 * ```ts
 * const solver = Solver.minres({ iterations: 2 })
 * const indefinite = (x: tf.Tensor) => tf.mul(x, [2, -4])
 * solver.update(indefinite as never, tf.tensor([2, 8]), {}, (v) => v)[0] // => [1, -2]
 * ```
 */
export const minres = (options: { readonly iterations: number }): Solver => {
  const { iterations } = options
  count("minres", "iterations", iterations, 1)
  return {
    name: `minres(${iterations})`,
    cost: { products: iterations, productsPerElement: 0 },
    preconditioned: false,
    init: () => ({}),
    update: (product, v, state) => {
      let u = Vector.zeros(v)
      // Lanczos vectors, not normalised, and the two last directions of the solution.
      let [last, present]: [typeof v, typeof v] = [Vector.zeros(v), v]
      let [before, direction]: [typeof v, typeof v] = [Vector.zeros(v), Vector.zeros(v)]
      let beta = Vector.norm(v)
      let lastBeta = tf.scalar(0)
      // With less than this left to be solved directions are rounding.
      const enough = tf.mul(1e-4, beta)
      let curvature: tf.Scalar | undefined
      let highest = tf.scalar(0)
      let [delta1, epsilon, left] = [tf.scalar(0), tf.scalar(0), beta]
      let [cosine, sine] = [tf.scalar(-1), tf.scalar(0)]
      for (let i = 0; i < iterations; i++) {
        const unit = Vector.scale(ratio(tf.scalar(1), beta), present)
        let next = product(unit)
        if (i > 0) next = Vector.addScaled(next, tf.neg(ratio(beta, lastBeta)), last)
        const alpha = Vector.dot(unit, next)
        curvature = least(curvature, tf.where(tf.greater(left, enough), alpha, unmet))
        next = Vector.addScaled(next, tf.neg(ratio(alpha, beta)), present)
        ;[last, present, lastBeta] = [present, next, beta]
        beta = Vector.norm(next)
        // The tridiagonal matrix is made triangular by one rotation a column.
        const above = epsilon
        const delta = tf.add(tf.mul(cosine, delta1), tf.mul(sine, alpha)) as tf.Scalar
        const corner = tf.sub(tf.mul(sine, delta1), tf.mul(cosine, alpha)) as tf.Scalar
        epsilon = tf.mul(sine, beta)
        delta1 = tf.neg(tf.mul(cosine, beta))
        const pivot = tf.sqrt(tf.add(tf.square(corner), tf.square(beta))) as tf.Scalar
        highest = tf.where(tf.greater(pivot, highest), pivot, highest)
        const gamma = tf.where(tf.greater(pivot, tf.mul(negligible, highest)), pivot, 0) as tf.Scalar
        cosine = ratio(corner, gamma)
        sine = ratio(beta, gamma)
        const step = tf.mul(cosine, left) as tf.Scalar
        left = tf.mul(sine, left)
        const rest = Vector.addScaled(Vector.addScaled(unit, tf.neg(above), before), tf.neg(delta), direction)
        ;[before, direction] = [direction, Vector.scale(ratio(tf.scalar(1), gamma), rest)]
        u = Vector.addScaled(u, step, direction)
      }
      return [u, state, undefined, curvature!]
    }
  }
}
