/** States of runs on the host, and where two of them differ. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { DataError } from "../../dsl/Dataset.ts"
import type { NdArray } from "../../dsl/values/NdArray.ts"
import type { Problem } from "../../dsl/Problem.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import type { Var } from "../../dsl/Var.ts"
import type { Engine } from "../../engines/Engine.ts"
import * as Run from "../../runtime/run/Run.ts"

/** A state, and the tick after which it is one. */
export interface At {
  readonly tick: number
  readonly state: Run.Snapshot
}

/** The state after some ticks, from the start or from another state. */
export const after = <V extends Var.Any, E, R>(
  problem: Problem<V, E, R>,
  run: { readonly ticks: number; readonly seed: number; readonly from?: At }
): Effect.Effect<Run.Snapshot, E | Run.RunError | DataError, Exclude<R, Scope.Scope> | Engine> =>
  Run.ticks(problem, run).pipe(
    Stream.filter((tick) => tick.index === run.ticks),
    Stream.mapEffect((tick) => tick.snapshot),
    Stream.runHead,
    Effect.map(Option.getOrThrow)
  )

const form = ({ dtype, shape }: NdArray): string => `${dtype}[${shape.join(", ")}]`

/** ‖a − b‖ / ‖a‖. */
export const distance = (a: NdArray, b: NdArray): number => {
  let [difference, norm] = [0, 0]
  for (let i = 0; i < a.data.length; i++) {
    difference += (a.data[i]! - b.data[i]!) ** 2
    norm += a.data[i]! ** 2
  }
  return Math.sqrt(difference / (norm || 1))
}

/** Whether two arrays are the same bit for bit: 0 and −0 are not. */
const same = (a: NdArray, b: NdArray): boolean => {
  for (let i = 0; i < a.data.length; i++) if (!Object.is(a.data[i], b.data[i])) return false
  return true
}

/**
 * The leaves in which two states differ, each with by how much: in more than `bound` of its path, relative to its norm, or
 * where there are no bounds in any bit.
 */
export const differences = (
  wanted: Run.Snapshot,
  found: Run.Snapshot,
  bound?: (path: string) => number
): ReadonlyArray<string> => {
  const others = new Map(Tree.hostEntries(found as Tree.HostTree))
  const own = Tree.hostEntries(wanted as Tree.HostTree)
  const paths = new Set(own.map(([path]) => path))
  const added = [...others.keys()].filter((path) => !paths.has(path))
  return [
    ...own.flatMap(([path, leaf]) => {
      const other = others.get(path)
      if (other === undefined) return [`${path} is gone`]
      if (form(leaf) !== form(other)) return [`${path} is ${form(other)} for ${form(leaf)}`]
      if (bound === undefined) {
        return same(leaf, other) ? [] : [`${path} by ${distance(leaf, other).toExponential(1)}`]
      }
      const by = distance(leaf, other)
      return by <= bound(path) ? [] : [`${path} by ${by.toExponential(1)}`]
    }),
    ...added.map((path) => `${path} is new`)
  ]
}

const most = 4

/** Differences in words, the first few of them; nothing where there are none. */
export const inWords = (sentence: string, found: ReadonlyArray<string>): string | undefined => {
  if (found.length === 0) return undefined
  const rest = found.length > most ? ` and ${found.length - most} more` : ""
  return `${sentence}: ${found.slice(0, most).join(", ")}${rest}`
}
