import * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../../dsl/Hypergradient.ts"
import { unmet } from "../../tensor/Elimination.ts"
import * as Vector from "../../tensor/Vector.ts"
import { checked, count, least, positive, shrinkage, stateless } from "./Stateless.ts"

/** `u = v`: the Hessian replaced by the identity, as DARTS and Betty's `darts` do. */
export const identity: Solver = stateless("identity", { products: 0, productsPerElement: 0 }, (_, v) => v)

/**
 * Truncated Neumann series `u = α Σⱼ₌₀..K (I − αH)ʲ v` with K = `terms` and α = `rate` (Lorraine et al. 2020, algorithm 3).
 * Converges to H⁻¹v as terms grow where 0 < α < 2/λmax.
 */
export const neumann = (options: { readonly terms: number; readonly rate: number }): Solver => {
  const { rate, terms } = options
  count("neumann", "terms", terms, 0)
  positive("neumann", "rate", rate)
  const unsound =
    `the series diverges: its rate ${rate} is above 2 / the largest curvature, or the curvature is negative along the solve: ` +
    "lower the rate, or use Solver.damped"
  return checked(`neumann(${terms}, ${rate})`, { products: terms, productsPerElement: 0 }, unsound, (product, v) => {
    let u = Vector.scale(rate, v)
    let soundness: tf.Scalar | undefined
    for (let j = 0; j < terms; j++) {
      const residual = Vector.subtract(v, product(u))
      soundness = least(soundness, shrinkage(v, residual))
      u = Vector.addScaled(u, rate, residual)
    }
    return [u, soundness]
  })
}

// A curvature below this share of the largest one met is rounding, not curvature.
const negligible = 1e-6
// A squared residual below this share of the first one leaves nothing to be solved that single precision would show.
const solved = 1e-8

const notPositive =
  "the curvature is not positive along the solve but zero to rounding, so that H is singular: use Solver.damped(solver, { damping }), " +
  "or regularise the level's objective"

/**
 * Conjugate gradient for a fixed number of iterations (Hestenes and Stiefel 1952). Needs a positive definite H: see {@link damped}
 * and `minres` for one that is not. A curvature that is zero to rounding ends a run; a negative one, with which the solution may still
 * be right, is on diagnostic ticks.
 *
 * ```ts
 * const solver = Solver.conjugateGradient({ iterations: 2 })
 * const [u] = solver.update((x) => Tree.map(x, (leaf) => tf.mul(leaf, [2, 4])) as typeof x, tf.tensor([2, 8]), {}, (v) => v)
 * u // => [1, 2]
 * ```
 */
export const conjugateGradient = (options: { readonly iterations: number }): Solver => {
  const { iterations } = options
  count("conjugateGradient", "iterations", iterations, 1)
  const cost = { products: iterations, productsPerElement: 0 }
  const solver = checked(`cg(${iterations})`, cost, notPositive, (product, v) => {
    let u = Vector.zeros(v)
    let residual = v
    let direction = v
    let squared = Vector.dot(residual, residual)
    const enough = tf.mul(solved, squared)
    let [lowest, highest]: [tf.Scalar | undefined, tf.Scalar] = [undefined, tf.scalar(0)]
    let signed: tf.Scalar | undefined
    for (let i = 0; i < iterations; i++) {
      const image = product(direction)
      // A residual of exactly zero means that u is the solution: the step is then zero, not 0/0.
      const along = Vector.dot(direction, image)
      const step = tf.divNoNan(squared, along) as tf.Scalar
      const quotient = tf.divNoNan(along, Vector.dot(direction, direction)) as tf.Scalar
      const curvature = tf.abs(quotient)
      const counts = tf.greater(squared, enough)
      lowest = least(lowest, tf.where(counts, curvature, unmet))
      signed = least(signed, tf.where(counts, quotient, unmet))
      highest = tf.where(tf.greater(curvature, highest), curvature, highest)
      u = Vector.addScaled(u, step, direction)
      residual = Vector.addScaled(residual, tf.neg(step), image)
      const next = Vector.dot(residual, residual)
      direction = Vector.addScaled(residual, tf.divNoNan(next, squared) as tf.Scalar, direction)
      squared = next
    }
    return [u, tf.sub(lowest!, tf.mul(negligible, highest)), signed!]
  })
  return { ...solver, strict: true }
}

const plain = <T>(product: (u: T) => T, u: T): T => product(u)

/**
 * Solves `(H + ρI) u = v` in place of `H u = v`, with ρ = `damping`: for a curvature that is singular or slightly negative.
 *
 * ```ts
 * const solver = Solver.damped(Solver.conjugateGradient({ iterations: 1 }), { damping: 2 })
 * solver.update((u) => u, tf.tensor([3, 6]), {}, (v) => v)[0] // => [1, 2]
 * ```
 */
export const damped = (solver: Solver, options: { readonly damping: number }): Solver => {
  const { damping } = options
  positive("damped", "damping", damping)
  const { kept } = solver
  return {
    ...solver,
    name: `damped(${damping}) ${solver.name}`,
    ...(kept === undefined
      ? {}
      : { kept: { ...kept, image: (product, u) => Vector.addScaled((kept.image ?? plain)(product, u), damping, u) } }),
    update: (product, v, state, precondition) =>
      solver.update((u) => Vector.addScaled(product(u), damping, u), v, state, precondition)
  }
}
