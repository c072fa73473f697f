import * as tf from "@tensorflow/tfjs-core"
import type { Preconditioner, Solver } from "../../dsl/Hypergradient.ts"
import * as Numbers from "../../dsl/errors/Numbers.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"

export { least } from "../../tensor/Elimination.ts"

/**
 * A solver that starts from zero each time and so has no state.
 *
 * ```ts
 * const half = Solver.stateless("half", { products: 0, productsPerElement: 0 }, (_, v) => Vector.scale(0.5, v))
 * half.update((u) => u, { w: tf.scalar(4) }, {}, (v) => v)[0] // => { w: 2 }
 * ```
 */
export const stateless = (
  name: string,
  cost: Solver["cost"],
  solve: <T extends Tree>(product: (u: T) => T, v: T, precondition: Preconditioner) => T,
  preconditioned = false
): Solver => ({
  name,
  cost,
  preconditioned,
  init: () => ({}),
  update: (product, v, state, precondition) => [solve(product, v, precondition), state]
})

/**
 * A solver without state that says how sound its solve was, and the least curvature that it met; `unsound` is what it means where
 * soundness is not positive.
 */
export const checked = (
  name: string,
  cost: Solver["cost"],
  unsound: string,
  solve: <T extends Tree>(
    product: (u: T) => T,
    v: T,
    precondition: Preconditioner
  ) => readonly [u: T, soundness: tf.Scalar | undefined, curvature?: tf.Scalar],
  preconditioned = false
): Solver => ({
  name,
  cost,
  preconditioned,
  unsound,
  init: () => ({}),
  update: (product, v, state, precondition) => {
    const [u, soundness, curvature] = solve(product, v, precondition)
    return curvature === undefined ? [u, state, soundness] : [u, state, soundness, curvature]
  }
})

/** How much a residual is below what it began with: negative where a series grows. */
export const shrinkage = (v: Tree, residual: Tree): tf.Scalar => tf.sub(Vector.norm(v), Vector.norm(residual))

/** Throws a `RangeError` unless `value` is a whole number of at least `least`. */
export const count = (solver: string, what: string, value: number, least: number): void =>
  Numbers.whole(`${solver}: ${what}`, value, least)

/** Throws a `RangeError` unless `value` is positive and finite. */
export const positive = (solver: string, what: string, value: number): void =>
  Numbers.positive(`${solver}: ${what}`, value)
