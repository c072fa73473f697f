/** Trials of one method, and what of their curves belongs on one picture: those of all seeds over one another. */
import * as Seeds from "../view/Seeds.ts"
import type { Curves } from "./Curves.ts"
import type { Series } from "../view/Chart.ts"
import { thin, type Point } from "./Thin.ts"

/** One trial with its curves. */
export interface Trial {
  readonly name: string
  readonly curves: Curves
  readonly training: number
  readonly waiting: number
  readonly attempts: number
}

/** Trials that differ in their seed alone. */
export interface Group {
  readonly name: string
  readonly trials: ReadonlyArray<Trial & { readonly seed: string }>
}

/** Trials by method, in the order in which methods come; one whose name has no seed is alone. */
export const of = (trials: ReadonlyArray<Trial>): ReadonlyArray<Group> => {
  const groups = new Map<string, Array<Trial & { seed: string }>>()
  for (const trial of trials) {
    const [method, seed] = Seeds.seeded(trial.name)
    const key = seed === "" ? trial.name : method
    groups.set(key, [...(groups.get(key) ?? []), { ...trial, seed }])
  }
  return [...groups].map(([name, own]) => ({ name: own.length === 1 ? own[0]!.name : name, trials: own }))
}

/** One seed's share of what is drawn: how it is called, and what it has there. */
export interface Member<A> {
  readonly seed: string
  readonly own: A
}

/** What trials of a group have of one level each, by level. */
export const byLevel = <A extends { readonly level: string }>(
  { trials }: Group,
  of: (curves: Curves) => ReadonlyArray<A>
): ReadonlyArray<readonly [level: string, members: ReadonlyArray<Member<A>>]> => {
  const levels = new Map<string, Array<Member<A>>>()
  for (const { curves, seed } of trials)
    for (const own of of(curves)) levels.set(own.level, [...(levels.get(own.level) ?? []), { seed, own }])
  return [...levels]
}

/** Points of all lines of a picture together: more would make the page large, and nobody would see them. */
const most = 2400

/** Lines of all members; those of one name are one line of the key. */
export const lines = <A>(
  members: ReadonlyArray<Member<A>>,
  of: (own: A) => ReadonlyArray<Series>
): ReadonlyArray<Series & { readonly seed: string }> => {
  const all = members.flatMap(({ own, seed }) => of(own).map((series) => ({ ...series, seed })))
  const each = Math.max(40, Math.floor(most / Math.max(1, all.length)))
  return all.map((series) => ({ ...series, points: thin<Point>(series.points, each) }))
}
