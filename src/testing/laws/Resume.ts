import * as Effect from "effect/Effect"
import fc from "fast-check"
import * as Safetensors from "../../files/tensors/Safetensors.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import type * as Run from "../../runtime/run/Run.ts"
import * as Property from "../Property.ts"
import * as Snapshots from "./Snapshots.ts"

/** A state as a checkpoint gives it back: by the bytes of its file. */
const stored = (state: Run.Snapshot) =>
  Effect.map(
    Effect.fromResult(Safetensors.decode(Safetensors.encode(Tree.hostEntries(state as Tree.HostTree)))),
    ({ tensors }) => Tree.mapHost(state as Tree.HostTree, (_, path) => tensors.get(path)!) as typeof state
  )

/**
 * A run that is stopped after a random tick and goes on from what a checkpoint holds ends in the bits of an undisturbed
 * run. Whatever a program keeps elsewhere than in its state breaks it: a dataset with a position of its own, a counter.
 *
 * ```ts
 * yield* Law.resume(problem, { cases: 10, ticks: 20 })
 * ```
 */
export const resume: Property.Law = (problem, options = {}) =>
  Property.holds(
    "resume",
    fc
      .integer({ min: 2, max: Math.max(2, options.ticks ?? Property.defaults.ticks) })
      .chain((ticks) =>
        fc.record({ seed: Property.seeds, ticks: fc.constant(ticks), at: fc.integer({ min: 1, max: ticks - 1 }) })
      ),
    options,
    ({ at, seed, ticks }) =>
      Effect.gen(function* () {
        const whole = yield* Snapshots.after(problem, { ticks, seed })
        const state = yield* Effect.flatMap(Snapshots.after(problem, { ticks: at, seed }), stored)
        const resumed = yield* Snapshots.after(problem, { ticks, seed, from: { tick: at, state } })
        return Snapshots.inWords(
          `a run that goes on after tick ${at} differs at tick ${ticks} from one that was not stopped, in`,
          Snapshots.differences(whole, resumed)
        )
      })
  )
