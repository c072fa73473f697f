import * as tf from "@tensorflow/tfjs-core"
import type { Definition } from "../../dsl/Level.ts"
import type { Problem } from "../../dsl/Problem.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Adjoint from "./Adjoint.ts"
import type { Moment } from "../plan/Moment.ts"
import * as Objective from "./Evaluation.ts"
import type { Plan, PlannedLevel } from "../plan/Plan.ts"
import * as Plans from "../plan/Plan.ts"
import * as Branch from "./Branch.ts"
import * as Forward from "./Forward.ts"
import * as LossScale from "./LossScale.ts"
import { readerOf } from "../plan/Window.ts"
import * as Vector from "../../tensor/Vector.ts"
import { levelsOf, type State } from "./State.ts"
import * as Sweep from "./Direction.ts"
import * as Variance from "./Variance.ts"

/** Metrics by level, for the levels that acted. */
export type Metrics = { readonly [level: string]: Sweep.LevelMetrics }

/** The one seam between the language and engines: pure, synchronous, no host reads, no randomness, fixed shapes. */
export type Step<S extends Tree, B extends Tree, M extends Tree> = (
  state: S,
  batch: B
) => readonly [state: S, metrics: M]

/** What a level moves, its buffers among it, with new values. */
const moved = (state: State, { buffers, own }: Definition, params: Tree, carried: Tree): State => ({
  ...state,
  vars: { ...state.vars, [own.name]: params, ...(buffers === undefined ? {} : { [buffers.name]: carried }) }
})

const restarted = (state: State, level: Definition): State => {
  const start = state.initial[level.own.name]!
  return {
    ...moved(state, level, start, level.buffers === undefined ? {} : state.initial[level.buffers.name]!),
    optimizer: { ...state.optimizer, [level.name]: level.optimizer.init(start) },
    clock: { ...state.clock, [level.name]: tf.scalar(0, "int32") }
  }
}

/** One update of a level along a direction: not made where that is not finite, which float16 may bring about. */
const made = (state: State, level: Definition, direction: Sweep.Direction): State => {
  const next = applied(state, level, direction)
  if (direction.finite === undefined || level.precision?._tag !== "float16") return next
  const { lossScale, ...rest } = state
  const scale = LossScale.moved(level.precision.lossScale, lossScale[level.name]!, direction.finite)
  const { lossScale: _, ...after } = next
  return { ...LossScale.either(direction.finite, after, rest), lossScale: { ...lossScale, [level.name]: scale } }
}

/** What an update makes of a state. */
const applied = (state: State, level: Definition, found: Sweep.Direction): State => {
  const { name, own } = level
  const clock = state.clock[name]!
  const optimizer = state.optimizer[name]!
  const [params, next] = level.optimizer.update(found.gradient, optimizer, state.vars[own.name]!, clock)
  const tape = state.tape[name]
  const past = Adjoint.remember(level, state.vars, optimizer, clock, found.gradient)
  return {
    ...moved(state, level, params, found.buffers),
    optimizer: { ...state.optimizer, [name]: next },
    clock: { ...state.clock, [name]: tf.add(clock, tf.scalar(1, "int32")) },
    solver:
      state.solver[name] === undefined
        ? state.solver
        : { ...state.solver, [name]: { ...state.solver[name], ...found.solver } },
    tape: tape === undefined ? state.tape : { ...state.tape, [name]: [...tape.slice(1), past] },
    variance: found.variance === undefined ? state.variance : { ...state.variance, [name]: found.variance }
  }
}

/** What an update of a level did to a state. */
const movement = (
  before: State,
  after: State,
  { name, optimizer, own }: Definition,
  gradient: Tree
): Sweep.Movement => {
  const params = before.vars[own.name]!
  return {
    moved: Vector.norm(Vector.subtract(after.vars[own.name]!, params)),
    taken: optimizer.taken === undefined ? {} : { norm: Vector.norm(optimizer.taken(gradient, params)) },
    rates: optimizer.rates?.(before.clock[name]!) ?? {}
  }
}

/** The step of one moment: which levels act, restart and are frozen is decided here, so that the step itself never branches. */
export const make = (problem: Problem.Any, plan: Plan, moment: Moment): Step<State, Sweep.Batches, Metrics> => {
  const levels = levelsOf(problem)
  const sweeps = Plans.sweepsWhile(plan, new Set(moment.frozen))
  const lowerFirst = plan.levels.filter((level) => moment.acting.includes(level.name))
  const acting = plan.upperFirst === true ? lowerFirst.toReversed() : lowerFirst
  const fresh = (planned: PlannedLevel, batches: Sweep.Batches, j: number): Objective.UpdateBatch =>
    batches[planned.name]!.at(j - planned.repeat)!
  const find = (
    planned: PlannedLevel,
    seen: State,
    batches: Sweep.Batches,
    j: number,
    departures: Sweep.Departures
  ): Sweep.Direction => {
    const level = levels.get(planned.name)!
    const batch = fresh(planned, batches, j)
    const take = (state: State, parts?: Sweep.Parts) =>
      Sweep.direction(level, levels, sweeps, state, batch, batches, moment, departures, parts)
    const batchOf = (of: string) => (of === level.name ? batch : batches[of]!.at(-1)!)
    return Objective.inLevel(level.name, () =>
      level.variance === undefined ? take(seen) : Variance.direction(level, levels, take, seen, batchOf, moment)
    )
  }
  const apply = (
    state: State,
    planned: PlannedLevel,
    direction: Sweep.Direction,
    batches: Sweep.Batches,
    j: number
  ): State =>
    Objective.inLevel(planned.name, () => {
      const level = levels.get(planned.name)!
      const next = made(state, level, direction)
      const phase = moment.carrying?.[planned.name]?.[j] ?? "idle"
      const estimator = level.hypergradient
      if (phase === "idle" || (estimator?._tag !== "Forward" && estimator?._tag !== "Branches")) return next
      const { name: reader, variable: by } = readerOf(plan, planned.name)!
      const batch = fresh(planned, batches, j)
      const tangents =
        estimator._tag === "Branches"
          ? Branch.grown(level, estimator, by, state, batch, phase, state.clock[reader]!)
          : Forward.carried(level, estimator, by, state, direction.gradient, batch, phase)
      return { ...next, tangents: { ...next.tangents, [planned.name]: tangents } }
    })
  const reported = (before: State, after: State, { name }: PlannedLevel, found: Sweep.Direction): Sweep.LevelMetrics =>
    moment.diagnostics
      ? {
          ...found.metrics,
          report: { ...found.metrics.report, ...movement(before, after, levels.get(name)!, found.gradient) }
        }
      : found.metrics
  const begin = (state: State): State =>
    moment.restarting.reduce((sofar, name) => Objective.inLevel(name, () => restarted(sofar, levels.get(name)!)), state)

  return (before, batches) => {
    let state = begin(before)
    const metrics: { [level: string]: Sweep.LevelMetrics } = {}
    if (plan.simultaneous) {
      const snapshot = state
      const found = acting.map((planned) => [planned, find(planned, snapshot, batches, 0, {})] as const)
      for (const [planned, direction] of found) {
        state = apply(state, planned, direction, batches, 0)
        metrics[planned.name] = reported(snapshot, state, planned, direction)
      }
    } else {
      const departures: { [level: string]: State["vars"] } = {}
      for (const planned of acting) {
        for (let j = 0; j < planned.repeat; j++) {
          const found = find(planned, state, batches, j, departures)
          const from = state
          departures[planned.name] = from.vars
          state = apply(from, planned, found, batches, j)
          metrics[planned.name] = reported(from, state, planned, found)
        }
      }
    }
    return [state, metrics]
  }
}

/** Where the directions of a moment come from and what its updates do, by level: looked at, and no step made. */
export const reports = (
  problem: Problem.Any,
  plan: Plan,
  moment: Moment
): ((state: State, batches: Sweep.Batches) => { readonly [level: string]: Sweep.LevelMetrics["report"] }) => {
  const step = make(problem, plan, { ...moment, diagnostics: true })
  return (state, batches) =>
    Object.fromEntries(Object.entries(step(state, batches)[1]).map(([name, { report }]) => [name, report]))
}
