import * as tf from "@tensorflow/tfjs-core"
import type { Kept, Solver } from "../../dsl/Hypergradient.ts"
import type { Optimizer } from "../../dsl/Optimizer.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import { ranAway, within } from "./Kept.ts"
import { count } from "./Stateless.ts"

/** How a solution that is kept from tick to tick is moved and handed on. */
export interface DescentOptions {
  /** Steps a tick; 1 where absent. */
  readonly steps?: number
  /**
   * Which solution a tick hands on: the one that its steps leave, or the one that it began with, as methods do that compute all
   * directions from one snapshot (with `Problem.simultaneous`). `"after"` where absent.
   */
  readonly hands?: "after" | "before"
}

/**
 * Keeps `u` from tick to tick and moves it by an optimizer along `H u − v`, the gradient of `½⟨u, H u⟩ − ⟨v, u⟩`: the adjoint as
 * a variable of the run. With `Optimizer.sgd(rate)` this is Richardson's iteration, warm: what SOBA does once a tick (Dagréou et al.,
 * "A framework for bilevel optimization that enables stochastic and global variance reduction algorithms", NeurIPS 2022) and AmIGO
 * ten times (Arbel and Mairal, "Amortized implicit differentiation for stochastic bilevel optimization", ICLR 2022). Rates may
 * follow a schedule, whose clock counts steps.
 *
 * As it never restarts, its error goes to zero over ticks, where a truncated series from zero keeps one. H should be positive
 * definite; a step is stable for rates below 2 / its largest eigenvalue.
 *
 * Throws a `RangeError` unless `steps` is a positive whole number.
 *
 * ```ts
 * const solver = Solver.descent(Optimizer.sgd(0.5), { steps: 2 })
 * solver.name // => "descent(sgd(0.5), steps=2)"
 * const v = tf.tensor([4])
 * solver.update((u) => u, v, solver.init(v), (x) => x)[0] // => [3]
 * ```
 */
export const descent = (optimizer: Optimizer, options: DescentOptions = {}): Solver => {
  const { hands = "after", steps = 1 } = options
  count("descent", "steps", steps, 1)
  const details = [...(steps === 1 ? [] : [`steps=${steps}`]), ...(hands === "after" ? [] : [`hands=${hands}`])]
  type State = { readonly solution: Tree; readonly optimizer: Tree; readonly clock: tf.Scalar }
  const move: Kept["move"] = (slope, v, state) => {
    const { clock, optimizer: inner, solution } = state as State
    const [u, next] = optimizer.update(slope, inner, solution, clock)
    return [{ solution: u, optimizer: next, clock: tf.add(clock, tf.scalar(1, "int32")) }, within(slope, v)]
  }
  return {
    name: `descent(${[optimizer.name, ...details].join(", ")})`,
    cost: { products: steps, productsPerElement: 0 },
    preconditioned: false,
    keeps: true,
    kept: {
      solution: (state, like) => (state as { readonly solution: typeof like }).solution,
      ...(hands === "before" && steps === 1 ? { move } : {})
    },
    unsound: ranAway,
    init: (like) => ({
      solution: Vector.zeros(like),
      optimizer: optimizer.init(Vector.zeros(like)),
      clock: tf.scalar(0, "int32")
    }),
    update: (product, v, state) => {
      const before = state as { readonly solution: typeof v; readonly optimizer: Tree; readonly clock: tf.Scalar }
      let { clock, optimizer: inner, solution: u } = before
      let near: tf.Scalar | undefined
      for (let step = 0; step < steps; step++) {
        const slope = Vector.subtract(product(u), v)
        near ??= within(slope, v)
        ;[u, inner] = optimizer.update(slope, inner, u, clock)
        clock = tf.add(clock, tf.scalar(1, "int32"))
      }
      const after = { solution: u, optimizer: inner, clock }
      return [hands === "before" ? before.solution : u, after, near!]
    }
  }
}
