import * as Effect from "effect/Effect"
import fc from "fast-check"
import type { Definition } from "../../dsl/Level.ts"
import type { Problem } from "../../dsl/Problem.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import type { Var } from "../../dsl/Var.ts"
import { stream } from "../Draws.ts"
import * as Property from "../Property.ts"
import * as Rewrite from "./Rewrite.ts"
import * as Snapshots from "./Snapshots.ts"

/** The problem with what each level is given and rests on named in another order. */
const reordered = <V extends Var.Any, E, R>(problem: Problem<V, E, R>, order: number): Problem<V, E, R> => {
  const draw = stream(Seed.fold(Seed.make(order), "order"))
  const shuffled = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> =>
    items
      .map((item) => [draw.unit(), item] as const)
      .toSorted(([a], [b]) => a - b)
      .map(([, item]) => item)
  return Rewrite.levels(problem, (level: Definition) => ({
    given: shuffled(level.given),
    upstream: shuffled(level.upstream)
  }))
}

/**
 * The order in which `given` and `upstream` are written changes no bit of a run. An objective that takes its variables by
 * their place instead of their names breaks it.
 *
 * ```ts
 * yield* Law.declarationOrder(problem)
 * ```
 */
export const declarationOrder: Property.Law = (problem, options = {}) =>
  Property.holds(
    "declarationOrder",
    fc.record({ seed: Property.seeds, order: Property.seeds }),
    options,
    ({ order, seed }) =>
      Effect.gen(function* () {
        const run = { seed, ticks: options.ticks ?? Property.defaults.ticks }
        const one = yield* Snapshots.after(problem, run)
        const other = yield* Snapshots.after(reordered(problem, order), run)
        return Snapshots.inWords(
          `after tick ${run.ticks}, another order of given and upstream changes`,
          Snapshots.differences(one, other)
        )
      })
  )
