import type { Plan, PlannedLevel } from "./Plan.ts"
import * as Plans from "./Plan.ts"
import * as Window from "./Window.ts"

/** What distinguishes one tick's step from another's: ticks with equal moments run the same compiled step. */
export interface Moment {
  readonly acting: ReadonlyArray<string>
  readonly restarting: ReadonlyArray<string>
  readonly frozen: ReadonlyArray<string>
  /** Past updates to differentiate through, by unrolled level (fewer than asked for right after a start). */
  readonly past: { readonly [level: string]: number }
  /** By level that carries its derivative forward, the phase of each of its updates; none where it carries nothing now. */
  readonly carrying?: { readonly [level: string]: ReadonlyArray<Window.Phase> }
  /** Levels whose direction is of all batches of a finite sum, and those whose batches that takes; absent where there are none. */
  readonly whole?: { readonly due: ReadonlyArray<string>; readonly levels: ReadonlyArray<string> }
  /** Whether reports are made of directions and updates: never in a step of a run. */
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

const moments = new WeakMap<Plan, Map<string, Moment>>()

/** The moment of a tick: equal ones of a plan are the same object, so that what is made of one is found by it. */
export const at = (plan: Plan, tick: number): Moment => {
  let known = moments.get(plan)
  if (known === undefined) moments.set(plan, (known = new Map<string, Moment>()))
  let key = ""
  for (const level of plan.levels) {
    const turn = Plans.acts(level, tick) ? (Plans.restarts(level, tick) ? "r" : "a") : ""
    key += `${turn}${level.freeze !== null && tick > level.freeze ? "f" : ""}${pastOf(level, tick) ?? ""}${Window.phases(plan, level, tick)?.join(" ") ?? ""}${isDue(level, tick) ? "w" : ""},`
  }
  let moment = known.get(key)
  if (moment === undefined) known.set(key, (moment = made(plan, tick)))
  return moment
}

/** Past updates of an unrolled level. */
const pastOf = (level: PlannedLevel, tick: number): number | undefined =>
  level.estimator?.kind === "unrolled" ? Math.min(level.estimator.steps, updatesSinceStart(level, tick)) : undefined

/** Whether all batches make a level's direction at a tick. */
const isDue = (level: PlannedLevel, tick: number): boolean =>
  level.variance?.period !== undefined &&
  Plans.acts(level, tick) &&
  (Plans.updatesAt(level, tick) - 1) % level.variance.period === 0

const wholeAt = (plan: Plan, tick: number, frozen: ReadonlyArray<string>): Moment["whole"] => {
  const due = plan.levels.flatMap((level) => (isDue(level, tick) ? [level.name] : []))
  if (due.length === 0) return undefined
  const sweeps = Plans.sweepsWhile(plan, new Set(frozen))
  const below = due.flatMap((name) => sweeps.get(name)!.hops.map((hop) => hop.level))
  return { due, levels: [...new Set([...due, ...below])] }
}

const made = (plan: Plan, tick: number): Moment => {
  const acting = plan.levels.filter((level) => Plans.acts(level, tick))
  const past = plan.levels.flatMap((level) => {
    const steps = pastOf(level, tick)
    return steps === undefined ? [] : [[level.name, steps] as const]
  })
  const carrying = acting.flatMap((level) => {
    const phases = Window.phases(plan, level, tick)
    return phases === undefined ? [] : [[level.name, phases] as const]
  })
  const frozen = plan.levels.filter((level) => level.freeze !== null && tick > level.freeze).map((level) => level.name)
  const whole = wholeAt(plan, tick, frozen)
  return {
    acting: acting.map((level) => level.name),
    restarting: acting.filter((level) => Plans.restarts(level, tick)).map((level) => level.name),
    frozen,
    past: Object.fromEntries(past),
    ...(carrying.length === 0 ? {} : { carrying: Object.fromEntries(carrying) }),
    ...(whole === undefined ? {} : { whole }),
    diagnostics: false
  }
}

/** The index of an update's batch, or of each of its micro-batches. */
export type BatchIndex = number | ReadonlyArray<number>

/** The batches of a level's update, which count from 0. */
const batchOf = ({ accumulate }: PlannedLevel, update: number): BatchIndex =>
  accumulate === undefined ? update : Array.from({ length: accumulate }, (_, i) => update * accumulate + i)

/** The batches of a finite sum, each once. */
const epoch = (terms: number): BatchIndex => Array.from({ length: terms }, (_, i) => i)

const needs = new WeakMap<Moment, ReadonlyArray<number>>()

/** How many batches each level needs: those it takes, and past ones that a sweep differentiates on. */
const needed = (plan: Plan, moment: Moment): ReadonlyArray<number> => {
  const known = needs.get(moment)
  if (known !== undefined) return known
  const sweeps = Plans.sweepsWhile(plan, new Set(moment.frozen))
  const swept = new Set(
    moment.acting.flatMap((name) => sweeps.get(name)!.hops.flatMap((hop) => [hop.level, ...(hop.moving ?? [])]))
  )
  const counts = plan.levels.map((level) => {
    const taken = moment.acting.includes(level.name) ? level.repeat : 0
    const past = level.estimator?.kind === "forward" ? 0 : (moment.past[level.name] ?? 1)
    return Math.max(taken, swept.has(level.name) ? past : 0)
  })
  needs.set(moment, counts)
  return counts
}

/** Indices of the batches each level needs at a tick, whose moment it is. */
export const batchIndices = (
  plan: Plan,
  tick: number,
  moment: Moment
): { readonly [level: string]: ReadonlyArray<BatchIndex> } => {
  const counts = needed(plan, moment)
  return Object.fromEntries(
    plan.levels.flatMap((level, at) => {
      const count = counts[at]!
      const end = Plans.updatesAt(level, tick)
      if (count === 0) return []
      const last = Array.from({ length: count }, (_, i) => batchOf(level, end - count + i))
      const whole = level.terms !== undefined && moment.whole?.levels.includes(level.name) === true
      return [[level.name, whole ? [...last.slice(0, -1), epoch(level.terms)] : last] as const]
    })
  )
}
