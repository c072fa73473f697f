/** Solutions that are kept from tick to tick. */
import * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../../dsl/Hypergradient.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import { least } from "./Stateless.ts"

// A residual this many times what is solved for is no solution on its way.
const far = 100
export const ranAway =
  "the solution that it keeps runs away from tick to tick: lower the solver's rate, or use Solver.damped"

/** Whether a kept solution is on its way, from the residual it begins a tick with: not positive where it ran away. */
export const within = (residual: Tree, v: Tree): tf.Scalar =>
  tf.sub(tf.mul(far, Vector.norm(v)), Vector.norm(residual)) as tf.Scalar

/**
 * Starts from the previous tick's `u` instead of zero: `u ← u + solve(H, v − H u)`, one more product each time.
 *
 * With `neumann({ terms: 0, rate })` this is the single-loop step `u ← u − rate (H u − v)` of SOBA (Dagréou et al. 2022), for which
 * {@link descent} is the direct way; the error that restarting leaves each tick is then driven to zero over ticks.
 *
 * ```ts
 * Solver.warm(Solver.neumann({ terms: 0, rate: 0.1 })).name // => "warm neumann(0, 0.1)"
 * ```
 */
export const warm = (solver: Solver): Solver => ({
  name: `warm ${solver.name}`,
  cost: { ...solver.cost, products: solver.cost.products + 1 },
  preconditioned: solver.preconditioned,
  keeps: true,
  kept: { solution: (state, like) => (state as { readonly solution: typeof like }).solution },
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
    const near = within(residual, v)
    const sound = solver.strict === true ? soundness : soundness === undefined ? near : least(soundness, near)
    const after = { solution: u, inner: next }
    return sound === undefined ? [u, after] : [u, after, sound]
  }
})
