import * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../../dsl/Hypergradient.ts"
import * as Vector from "../../tensor/Vector.ts"
import { count, positive, stateless } from "./Stateless.ts"

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
  return stateless(`neumann(${terms}, ${rate})`, { products: terms, productsPerElement: 0 }, (product, v) => {
    let u = Vector.scale(rate, v)
    for (let j = 0; j < terms; j++) u = Vector.addScaled(u, rate, Vector.subtract(v, product(u)))
    return u
  })
}

/**
 * Conjugate gradient for a fixed number of iterations (Hestenes and Stiefel 1952). Needs a positive definite H.
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
  return stateless(`cg(${iterations})`, { products: iterations, productsPerElement: 0 }, (product, v) => {
    let u = Vector.zeros(v)
    let residual = v
    let direction = v
    let squared = Vector.dot(residual, residual)
    for (let i = 0; i < iterations; i++) {
      const image = product(direction)
      // A residual of exactly zero means that u is the solution: the step is then zero, not 0/0.
      const step = tf.divNoNan(squared, Vector.dot(direction, image)) as tf.Scalar
      u = Vector.addScaled(u, step, direction)
      residual = Vector.addScaled(residual, tf.neg(step), image)
      const next = Vector.dot(residual, residual)
      direction = Vector.addScaled(residual, tf.divNoNan(next, squared) as tf.Scalar, direction)
      squared = next
    }
    return u
  })
}

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
  init: (like) => ({ solution: Vector.zeros(like), inner: solver.init(like) }),
  update: (product, v, state, precondition) => {
    const { inner, solution } = state as { readonly solution: typeof v; readonly inner: typeof state }
    const [correction, next] = solver.update(product, Vector.subtract(v, product(solution)), inner, precondition)
    const u = Vector.add(solution, correction)
    return [u, { solution: u, inner: next }]
  }
})
