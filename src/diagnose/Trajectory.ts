/** What only a run shows of a level: whether it comes to rest, and whether its value is worth as much to levels below that start anew. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { whole } from "../dsl/errors/Numbers.ts"
import type { Definition } from "../dsl/Level.ts"
import * as Problem from "../dsl/Problem.ts"
import * as Tree from "../dsl/values/Tree.ts"
import type { Var } from "../dsl/Var.ts"
import type { Engine } from "../engines/Engine.ts"
import * as Optimizer from "../levels/Optimizer.ts"
import { type HostVars, levelsOf } from "../runtime/step/State.ts"
import * as Run from "../runtime/run/Run.ts"
import { DiagnoseError } from "./Probe.ts"

/** Where a run is looked at. */
export interface Options {
  readonly seed: number
  /** The level that is looked at; the top level where absent. */
  readonly level?: string
  /** Ticks of the run. */
  readonly ticks: number
}

/** How a level's variable moved. */
export interface Velocity {
  /** Mean length of an update in the run's first fifth. */
  readonly first: number
  /** In its last fifth. */
  readonly last: number
  /** How far the last fifth's updates led, in parts of the way they made: 1 on a straight line, near 0 to and fro. */
  readonly straight: number
  readonly alarm?: string
}

/** What the level's loss is with levels below that learned beside it, and with others that started anew under its last value. */
export interface RetrainGap {
  /** Mean of the level's loss over the run's last tenth. */
  readonly online: number
  /** The same over the last tenth of a run of as many ticks in which the level stays where the first ended. */
  readonly retrained: number
  /** Their difference's standard error over these ticks, on the same batches. */
  readonly error: number
  readonly alarm?: string
}

/** A level's way through a run. */
export interface Trajectory {
  readonly level: string
  readonly ticks: number
  readonly velocity: Velocity
  readonly retrainGap: RetrainGap
  /** Norm of the level's first gradient. */
  readonly gradient: number
  /** Values of all variables after the last tick. */
  readonly vars: HostVars
}

/** A retrained loss above the online one by more than this share, and than twice its standard error, raises. */
export const tolerance = 0.05

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, each) => sum + each, 0) / values.length

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2
  return Math.sqrt(sum)
}

/** A variable's elements one after another. */
const flat = (value: Tree.HostTree): Float64Array =>
  Float64Array.from(Tree.hostEntries(value).flatMap(([, leaf]) => Array.from(leaf.data)))

/** Losses of a level and lengths of its updates, tick by tick where it acted, and its values where the last fifth begins and ends. */
const ran = <V extends Var.Any, E, R>(problem: Problem.Problem<V, E, R>, level: Definition, options: Options) =>
  Effect.gen(function* () {
    const own = level.own.name
    const losses: Array<number> = []
    const lengths: Array<number> = []
    let gradient: number | undefined
    let [before, late]: Array<Float64Array | undefined> = []
    let vars: HostVars | undefined
    const begins = Math.floor(0.8 * options.ticks)
    yield* Stream.runForEach(Run.ticks(problem, options) as Stream.Stream<Run.Tick, E | Run.RunError, Engine>, (tick) =>
      Effect.gen(function* () {
        const report = tick.levels[level.name]
        if (report !== undefined) losses.push(report.loss)
        gradient ??= report?.gradientNorm
        const now = flat((yield* tick.read([own]))[own]!)
        if (before !== undefined) lengths.push(distance(now, before))
        before = now
        if (tick.index === begins) late = now
        if (tick.index === options.ticks) vars = (yield* tick.snapshot).vars
      })
    )
    return {
      losses,
      lengths,
      gradient: gradient ?? 0,
      vars,
      led: late === undefined || before === undefined ? 0 : distance(before, late)
    }
  })

const velocityOf = ({ led, lengths }: { readonly lengths: ReadonlyArray<number>; readonly led: number }): Velocity => {
  const fifth = Math.max(1, Math.floor(lengths.length / 5))
  const [early, late] = [lengths.slice(0, fifth), lengths.slice(-fifth)]
  const [first, last] = [mean(early), mean(late)]
  const straight = last === 0 ? 0 : Math.min(1, led / late.reduce((sum, each) => sum + each, 0))
  const found = { first, last, straight }
  if (lengths.every((each) => each === 0)) {
    return { ...found, alarm: "the level never moves: its rate is zero, it is frozen, or its gradient is zero" }
  }
  if (last < 0.5 * first) return found
  if (straight < 0.2) {
    const alarm = `the level goes to and fro: its last updates are as long as its first, and lead ${straight.toPrecision(2)} of their way; lower its rate, let it fall, or take larger batches`
    return { ...found, alarm }
  }
  if (straight < 0.8) return found
  return {
    ...found,
    alarm:
      "the level is on its way still: its last updates are as long as its first and lead one way; give it more ticks"
  }
}

/** A level stays at a value; the levels below are given it as they were. */
const holding = ({ name, own }: Definition, value: Tree.HostTree) => {
  const held = { ...own, init: () => value }
  return Problem.mapLevels((each) => ({
    ...each,
    given: each.given.map((variable) => (variable === own ? held : variable)),
    ...(each.name === name ? { own: held, optimizer: Optimizer.sgd(0) } : {})
  }))
}

/**
 * Runs a problem, and once more with the level where the first run ended and the levels below from their initial values. It raises
 * where the level does not come to rest, and where levels below that learned beside it are better than those that start anew: what
 * they know of its way is then no part of its value (Vicol et al. 2022).
 */
export const trajectory = <V extends Var.Any, E, R>(
  problem: Problem.Problem<V, E, R>,
  options: Options
): Effect.Effect<Trajectory, E | Run.RunError | DiagnoseError, Engine | R> =>
  Effect.gen(function* () {
    whole("Diagnose.trajectory: ticks", options.ticks, 10)
    const name = options.level ?? problem.top.name
    const level = levelsOf(problem).get(name)
    if (level === undefined) {
      const reason = `there is no level '${name}': levels are ${[...levelsOf(problem).keys()].join(", ")}`
      return yield* new DiagnoseError({ reason })
    }
    const online = yield* ran(problem, level, options)
    const { vars } = online
    if (vars === undefined || online.losses.length < 2) {
      const reason = `in ${options.ticks} ticks the level '${name}' acts ${online.losses.length} times: give more`
      return yield* new DiagnoseError({ reason })
    }
    const anew = yield* ran(problem.pipe(holding(level, vars[level.own.name]!)), level, options)
    const tenth = Math.max(2, Math.floor(online.losses.length / 10))
    const apart = online.losses.slice(-tenth).map((each, i) => anew.losses.slice(-tenth)[i]! - each)
    const gap = mean(apart)
    const error = Math.sqrt(mean(apart.map((each) => (each - gap) ** 2)) / (tenth - 1))
    const [before, after] = [mean(online.losses.slice(-tenth)), mean(anew.losses.slice(-tenth))]
    const raised = gap > tolerance * Math.abs(before) && gap > 2 * error
    return {
      level: name,
      ticks: options.ticks,
      gradient: online.gradient,
      vars,
      velocity: velocityOf(online),
      retrainGap: {
        online: before,
        retrained: after,
        error,
        ...(raised
          ? {
              alarm: `levels below that start anew under the final '${level.own.name}' leave '${name}' a loss of ${after.toPrecision(4)}, not ${before.toPrecision(4)}: what they owe to its way is no part of its value; restart them (Level.restart), or judge the value by a run of its own`
            }
          : {})
      }
    }
  })
