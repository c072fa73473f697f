import type { Plan, PlannedLevel } from "./Plan.ts"
import * as Plans from "./Plan.ts"

/** What distinguishes one tick's step from another's: ticks with equal moments run the same compiled step. */
export interface Moment {
  readonly acting: ReadonlyArray<string>
  readonly restarting: ReadonlyArray<string>
  readonly frozen: ReadonlyArray<string>
  /** Past updates to differentiate through, by unrolled level (fewer than asked for right after a start). */
  readonly past: { readonly [level: string]: number }
  readonly diagnostics: boolean
}

/** Updates a level has made since it last started from its initial value. */
export const updatesSinceStart = (level: PlannedLevel, tick: number): number => {
  const updates = Plans.updatesAt(level, tick)
  if (!level.restart || updates === 0) return updates
  // Restarts lie on the grid of turns, which a warm-up does not shift.
  const turn = Math.floor(Math.min(tick, level.freeze ?? tick) / level.period)
  return Math.min(updates, (((turn - 1) % level.unroll) + 1) * level.repeat)
}

/** The moment of a tick. */
export const at = (plan: Plan, tick: number, diagnostics: boolean): Moment => {
  const acting = plan.levels.filter((level) => Plans.acts(level, tick))
  const past = plan.levels.flatMap((level) =>
    level.estimator?.kind === "unrolled"
      ? [[level.name, Math.min(level.estimator.steps, updatesSinceStart(level, tick))] as const]
      : []
  )
  return {
    acting: acting.map((level) => level.name),
    restarting: acting.filter((level) => Plans.restarts(level, tick)).map((level) => level.name),
    frozen: plan.levels.filter((level) => level.freeze !== null && tick > level.freeze).map((level) => level.name),
    past: Object.fromEntries(past),
    diagnostics
  }
}

/** Equal for equal moments. */
export const key = (moment: Moment): string => JSON.stringify(moment)

/** The index of an update's batch, or of each of its micro-batches. */
export type BatchIndex = number | ReadonlyArray<number>

/** The batches of a level's update, which count from 0. */
const batchOf = ({ accumulate }: PlannedLevel, update: number): BatchIndex =>
  accumulate === undefined ? update : Array.from({ length: accumulate }, (_, i) => update * accumulate + i)

/** Indices of the batches each level needs at a tick: those it takes, and past ones that a sweep differentiates on. */
export const batchIndices = (
  plan: Plan,
  tick: number,
  moment: Moment
): { readonly [level: string]: ReadonlyArray<BatchIndex> } => {
  const sweeps = Plans.sweepsWhile(plan, new Set(moment.frozen))
  const swept = new Set(moment.acting.flatMap((name) => sweeps.get(name)!.hops.map((hop) => hop.level)))
  return Object.fromEntries(
    plan.levels.flatMap((level) => {
      const taken = moment.acting.includes(level.name) ? level.repeat : 0
      const needed = Math.max(taken, swept.has(level.name) ? (moment.past[level.name] ?? 1) : 0)
      const end = Plans.updatesAt(level, tick)
      return needed === 0
        ? []
        : [[level.name, Array.from({ length: needed }, (_, i) => batchOf(level, end - needed + i))] as const]
    })
  )
}
