/** Windows over which derivatives are carried forward: those of an update are told before a run, from its tick alone. */
import { sweepThrough } from "./Carriable.ts"
import type { Plan, PlannedLevel } from "./Plan.ts"
import * as Plans from "./Plan.ts"

/** What an update does with the derivatives its level carries: leaves them, begins them at zero, or goes on. */
export type Phase = "idle" | "begin" | "carry"

/** The level by whose variable a level carries its derivative. */
export const readerOf = (plan: Plan, name: string): PlannedLevel | undefined => {
  const reader = sweepThrough(plan.sweeps, name)?.level
  return plan.levels.find((level) => level.name === reader)
}

const over = ({ freeze }: PlannedLevel, tick: number): boolean => freeze !== null && tick > freeze

/** Phases of the updates that a level makes at a tick, or nothing where it is idle in all of them. */
export const phases = (plan: Plan, level: PlannedLevel, tick: number): ReadonlyArray<Phase> | undefined => {
  if (level.estimator?.kind !== "forward" || !Plans.acts(level, tick)) return undefined
  const reader = readerOf(plan, level.name)
  if (reader === undefined) return undefined
  const turn = Math.max(Math.ceil(tick / reader.period) * reader.period, Plans.firstTurn(reader))
  if (over(reader, turn) || over(level, turn)) return undefined
  const first = Math.max(0, Plans.updatesAt(level, turn) - level.estimator.steps) + 1
  const restarts = Plans.restarts(level, tick)
  const made = Plans.updatesAt(level, tick) - level.repeat
  const phaseOf = (update: number, j: number): Phase =>
    update < first ? "idle" : update === first || (restarts && j === 0) ? "begin" : "carry"
  const found = Array.from({ length: level.repeat }, (_, j) => phaseOf(made + j + 1, j))
  return found.every((phase) => phase === "idle") ? undefined : found
}
