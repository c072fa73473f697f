import type { Plan, PlannedLevel } from "./Plan.ts"
import * as Plans from "./Plan.ts"
import type { Sweep } from "./Sweep.ts"
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
  /** Levels whose estimate of a direction begins anew, and those whose batches are all taken for it; absent where there are none. */
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
    key += `${turn}${level.freeze !== null && tick > level.freeze ? "f" : ""}${pastOf(level, tick) ?? ""}${Window.phases(plan, level, tick)?.join(" ") ?? ""}${isDue(plan, level, tick) ? "w" : ""},`
  }
  let moment = known.get(key)
  if (moment === undefined) known.set(key, (moment = made(plan, tick)))
  return moment
}

/** Past updates of an unrolled level. */
const pastOf = (level: PlannedLevel, tick: number): number | undefined =>
  level.estimator?.kind === "unrolled" ? Math.min(level.estimator.steps, updatesSinceStart(level, tick)) : undefined

const frozenAt = (plan: Plan, tick: number): ReadonlyArray<string> =>
  plan.levels.filter((level) => level.freeze !== null && tick > level.freeze).map((level) => level.name)

const sweepAt = (plan: Plan, tick: number, level: string): Sweep =>
  Plans.sweepsWhile(plan, new Set(frozenAt(plan, tick))).get(level)!

/** Whether a level's estimate, where it is made of the last one, begins anew at a tick: once in a period, and where a level below froze. */
const isDue = (plan: Plan, level: PlannedLevel, tick: number): boolean => {
  if ((level.variance?.evaluations ?? 1) === 1 || !Plans.acts(level, tick)) return false
  const made = Plans.updatesAt(level, tick) - level.repeat
  const period = level.variance!.period
  if (period !== undefined && made % period === 0) return true
  const responding = (at: number) => sweepAt(plan, at, level.name).hops.length
  return made > 0 && responding(tick) !== responding(tick - level.period)
}

const wholeAt = (plan: Plan, tick: number): Moment["whole"] => {
  const due = plan.levels.filter((level) => isDue(plan, level, tick))
  if (due.length === 0) return undefined
  const whole = due.flatMap(({ name, variance }) =>
    variance!.period === undefined ? [] : [name, ...sweepAt(plan, tick, name).hops.map((hop) => hop.level)]
  )
  return { due: due.map(({ name }) => name), levels: [...new Set(whole)] }
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
  const whole = wholeAt(plan, tick)
  return {
    acting: acting.map((level) => level.name),
    restarting: acting.filter((level) => Plans.restarts(level, tick)).map((level) => level.name),
    frozen: frozenAt(plan, tick),
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
