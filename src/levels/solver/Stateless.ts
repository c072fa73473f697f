import type { Preconditioner, Solver } from "../../dsl/Hypergradient.ts"
import * as Numbers from "../../dsl/Numbers.ts"
import type { Tree } from "../../dsl/Tree.ts"

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

/** Throws a `RangeError` unless `value` is a whole number of at least `least`. */
export const count = (solver: string, what: string, value: number, least: number): void =>
  Numbers.whole(`${solver}: ${what}`, value, least)

/** Throws a `RangeError` unless `value` is positive and finite. */
export const positive = (solver: string, what: string, value: number): void =>
  Numbers.positive(`${solver}: ${what}`, value)
