import * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../../dsl/Hypergradient.ts"
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
const largest = 3e38

const notPositive =
  "the curvature is not positive along the solve but zero to rounding, so that H is singular: use Solver.damped(solver, { damping }), " +
  "or regularise the level's objective"

/**
 * Conjugate gradient for a fixed number of iterations (Hestenes and Stiefel 1952). Needs a positive definite H:
 * see {@link damped} for one that is not.
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
    for (let i = 0; i < iterations; i++) {
      const image = product(direction)
      // A residual of exactly zero means that u is the solution: the step is then zero, not 0/0.
      const along = Vector.dot(direction, image)
      const step = tf.divNoNan(squared, along) as tf.Scalar
      const curvature = tf.abs(tf.divNoNan(along, Vector.dot(direction, direction))) as tf.Scalar
      lowest = least(lowest, tf.where(tf.greater(squared, enough), curvature, largest))
      highest = tf.where(tf.greater(curvature, highest), curvature, highest)
      u = Vector.addScaled(u, step, direction)
      residual = Vector.addScaled(residual, tf.neg(step), image)
      const next = Vector.dot(residual, residual)
      direction = Vector.addScaled(residual, tf.divNoNan(next, squared) as tf.Scalar, direction)
      squared = next
    }
    return [u, tf.sub(lowest!, tf.mul(negligible, highest))]
  })
  return { ...solver, strict: true }
}

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
  return {
    ...solver,
    name: `damped(${damping}) ${solver.name}`,
    update: (product, v, state, precondition) =>
      solver.update((u) => Vector.addScaled(product(u), damping, u), v, state, precondition)
  }
}

// A residual this many times what is solved for is no solution on its way.
const far = 100
const ranAway = "the solution that it keeps runs away from tick to tick: lower the solver's rate, or use Solver.damped"

/**
 * Starts from the previous tick's `u` instead of zero: `u ← u + solve(H, v − H u)`, one more product each time.
 *
 * With `neumann({ terms: 0, rate })` this is the single-loop step `u ← u − rate (H u − v)` of SOBA (Dagréou et al. 2022);
 * the error that restarting leaves each tick is then driven to zero over ticks.
 *
 * ```ts
 * Solver.warm(Solver.neumann({ terms: 0, rate: 0.1 })).name // => "warm neumann(0, 0.1)"
 * ```
 */
export const warm = (solver: Solver): Solver => ({
  name: `warm ${solver.name}`,
  cost: { ...solver.cost, products: solver.cost.products + 1 },
  preconditioned: solver.preconditioned,
  ...(solver.strict === true ? { strict: true } : {}),
  unsound:
    solver.unsound === undefined || solver.strict === true
      ? (solver.unsound ?? ranAway)
      : `${solver.unsound}; or ${ranAway}`,
  init: (like) => ({ solution: Vector.zeros(like), inner: solver.init(like) }),
  update: (product, v, state, precondition) => {
    const { inner, solution } = state as { readonly solution: typeof v; readonly inner: typeof state }
    const residual = Vector.subtract(v, product(solution))
    const [correction, next, soundness] = solver.update(product, residual, inner, precondition)
    const u = Vector.add(solution, correction)
    const near = tf.sub(tf.mul(far, Vector.norm(v)), Vector.norm(residual)) as tf.Scalar
    const sound = solver.strict === true ? soundness : soundness === undefined ? near : least(soundness, near)
    const after = { solution: u, inner: next }
    return sound === undefined ? [u, after] : [u, after, sound]
  }
})
