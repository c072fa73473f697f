import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { DataError } from "../dsl/Dataset.ts"
import type { Problem } from "../dsl/Problem.ts"
import * as Seed from "../dsl/Seed.ts"
import type { Host, HostTree, Tree } from "../dsl/Tree.ts"
import { type Compiled, CompileError, type Device, Engine, type Failure, type Observer, StepError } from "./Engine.ts"
import * as Feed from "./Feed.ts"
import * as Moment from "./Moment.ts"
import * as Plan from "./Plan.ts"
import { initial, initialVars, type State, type Vars } from "./State.ts"
import * as Step from "./Step.ts"
import type * as Sweep from "./Sweep.ts"
import type { WiringError } from "./Wiring.ts"

/** How far a problem is run, from which seed, and what is looked at on the way. */
export interface Options {
  /** Last tick; ticks count from 1. */
  readonly ticks: number
  /** A run is a function of (problem, seed). */
  readonly seed: number
  /** Measures contributions and linear residuals every so many ticks; 0, the default, never. One more product a hop. */
  readonly diagnosticsEvery?: number
  /** A state to go on from, after `tick` ticks: what a checkpoint holds. */
  readonly from?: { readonly tick: number; readonly state: HostTree }
  /** Runs when the run is interrupted, with its last tick, before its tensors are released: the moment to checkpoint. */
  readonly onInterrupt?: (last: Tick) => Effect.Effect<void>
}

/** What a level reported at a tick, as numbers. */
export interface LevelReport {
  readonly loss: number
  readonly gradientNorm: number
  readonly metrics: { readonly [name: string]: number | ReadonlyArray<number> }
  /** Where the hypergradient came from; present on diagnostic ticks. */
  readonly report: Report | undefined
}

/** See `Sweep.Report`. */
export interface Report {
  readonly direct: number
  readonly parts: { readonly [level: string]: { readonly norm: number; readonly cosine: number } }
  readonly residuals: { readonly [level: string]: number }
}

/** One tick of a run. Its effects read the run's present state, so use them before asking for the next tick. */
export interface Tick {
  readonly index: number
  /** Levels that acted, in order, with what they reported. */
  readonly levels: { readonly [level: string]: LevelReport }
  /** The whole state on the host: what a checkpoint holds. */
  readonly snapshot: Effect.Effect<HostTree>
  /** Values of some variables on the host. */
  readonly read: (variables: ReadonlyArray<string>) => Effect.Effect<{ readonly [variable: string]: HostTree }>
  /** Evaluates a pure function of the variables on some data, leaving the run as it is. */
  readonly evaluate: <B extends Tree, M extends Tree>(
    f: (vars: Vars, batch: B) => M,
    batch: Host<B>
  ) => Effect.Effect<Host<M>, StepError | CompileError>
}

/** Everything a run can fail with, beside what its datasets fail with. */
export type RunError = WiringError | CompileError | StepError | DataError

const number = (array: { readonly data: ArrayLike<number> }): number => array.data[0]!

const reportOf = (host: Host<Sweep.LevelMetrics>): LevelReport => {
  const { metrics, report } = host as never as {
    readonly metrics: {
      readonly [name: string]: { readonly shape: ReadonlyArray<number>; readonly data: ArrayLike<number> }
    }
    readonly report: Host<Sweep.Report> | {}
  }
  return {
    loss: number(host.loss),
    gradientNorm: number(host.gradientNorm),
    metrics: Object.fromEntries(
      Object.entries(metrics).map(([name, value]) => [
        name,
        value.shape.length === 0 ? number(value) : Array.from(value.data)
      ])
    ),
    report:
      "direct" in report
        ? {
            direct: number(report.direct),
            parts: Object.fromEntries(
              Object.entries(report.parts).map(([name, p]) => [
                name,
                { norm: number(p.norm), cosine: number(p.cosine) }
              ])
            ),
            residuals: Object.fromEntries(Object.entries(report.residuals).map(([name, r]) => [name, number(r)]))
          }
        : undefined
  }
}

const notFinite = (tick: number, levels: { readonly [level: string]: LevelReport }): StepError | undefined => {
  for (const [level, report] of Object.entries(levels)) {
    for (const what of ["loss", "gradientNorm"] as const) {
      const value = report[what]
      if (Number.isFinite(value)) continue
      const name = what === "loss" ? "the loss" : "the norm of the gradient"
      const reason = `${name} is ${value}: lower the learning rate, clip gradients, or look for a division or logarithm of zero in the objective`
      return new StepError({ kind: "NonFinite", tick, level, reason })
    }
  }
  return undefined
}

const failedAt =
  (tick: number) =>
  (failure: Failure): StepError | CompileError =>
    // An engine that compiles a step when it first runs it refuses it then.
    failure instanceof CompileError
      ? failure
      : new StepError({ kind: "Objective", tick, level: failure.level, reason: failure.reason })

/** The one owner of a run's tensors: its scope releases them however the run ends. */
const acquireCell = (
  engine: Engine["Service"],
  problem: Problem.Any,
  plan: Plan.Plan,
  options: Options
): Effect.Effect<{ state: Device<State> }, StepError | CompileError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(
      options.from === undefined
        ? engine
            .start(initial(problem, plan) as never, initialVars(problem, Seed.make(options.seed)) as never)
            .pipe(Effect.mapError(failedAt(0)))
        : engine.upload(options.from.state as never),
      (state) => ({ state: state as Device<State> })
    ),
    (cell) => engine.release(cell.state)
  )

/**
 * Runs a problem: a stream with one element per tick. Whether it ends, fails, is interrupted or an objective throws, the
 * scope of the stream releases every tensor.
 */
export const ticks = <E, R>(
  problem: Problem<never, E, R> | Problem<any, E, R>,
  options: Options
): Stream.Stream<Tick, E | RunError, Exclude<R, Scope.Scope> | Engine> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const engine = yield* Engine
      const scope = yield* Effect.scope
      const plan = yield* Effect.fromResult(Plan.make(problem))
      const feed = yield* Feed.open(problem, Seed.make(options.seed))
      const cell = yield* acquireCell(engine, problem, plan, options)
      const observers = new Map<unknown, Observer<Vars, never, never>>()
      const observe: Observe = (f) => {
        const known = observers.get(f)
        if (known !== undefined) return Effect.succeed(known as never)
        return Effect.tap(Scope.provide(engine.observe(f), scope), (made) =>
          Effect.sync(() => observers.set(f, made as never))
        )
      }
      let last: Tick | undefined
      // Registered after the cell, so that it runs before the cell is released.
      yield* Effect.addFinalizer((exit) =>
        Exit.hasInterrupts(exit) && last !== undefined && options.onInterrupt !== undefined
          ? options.onInterrupt(last)
          : Effect.void
      )
      const compiled = new Map<string, Compiled<State, Sweep.Batches, Step.Metrics>>()

      const stepOf = Effect.fnUntraced(function* (moment: Moment.Moment) {
        const key = Moment.key(moment)
        const known = compiled.get(key)
        if (known !== undefined) return known
        const made = yield* engine.compile(Step.make(problem, plan, moment)).pipe(Scope.provide(scope))
        compiled.set(key, made)
        return made
      })

      const tick = Effect.fnUntraced(function* (index: number) {
        // Steps hold the JavaScript thread: without this no signal, timer or other fiber would get a turn.
        yield* Effect.yieldNow
        const every = options.diagnosticsEvery ?? 0
        const moment = Moment.at(plan, index, every > 0 && index % every === 0)
        const batches = yield* feed(Moment.batchIndices(plan, index, moment))
        const step = yield* stepOf(moment)
        return yield* step(cell.state, batches).pipe(
          Effect.mapError(failedAt(index)),
          Effect.flatMap(([state, metrics]) => {
            cell.state = state
            const levels = Object.fromEntries(Object.entries(metrics).map(([name, m]) => [name, reportOf(m)]))
            const broken = notFinite(index, levels)
            if (broken !== undefined) return Effect.fail(broken)
            last = tickOf(engine, observe, cell, index, levels)
            return Effect.succeed(last)
          }),
          // The state and the last tick change together, or an interruption would checkpoint one under the other's name.
          Effect.uninterruptible
        )
      })

      const first = (options.from?.tick ?? 0) + 1
      return Stream.paginate(first, (index: number) =>
        index > options.ticks
          ? Effect.succeed([[], Option.none<number>()] as const)
          : Effect.map(tick(index), (done) => [[done], Option.some(index + 1)] as const)
      )
    })
  ) as never

/** Observers of a run by function: a function is compiled once however many ticks and batches it looks at. */
type Observe = <B extends Tree, M extends Tree>(
  f: (vars: Vars, batch: B) => M
) => Effect.Effect<Observer<Vars, B, M>, CompileError>

const tickOf = (
  engine: Engine["Service"],
  observe: Observe,
  cell: { readonly state: Device<State> },
  index: number,
  levels: Tick["levels"]
): Tick => ({
  index,
  levels,
  snapshot: Effect.suspend(() => engine.download(cell.state)) as Effect.Effect<HostTree>,
  read: (variables) =>
    Effect.suspend(() => {
      const { vars } = parts(cell.state)
      return engine.download(Object.fromEntries(variables.map((name) => [name, vars[name]!])) as never)
    }) as never,
  evaluate: (f, batch) =>
    Effect.flatMap(observe(f), (observer) =>
      Effect.mapError(observer(parts(cell.state).vars as never, batch), failedAt(index))
    )
})

// Device memory has the structure of what it holds, so a part of a state is found as in the state itself.
const parts = (state: Device<State>): { readonly vars: { readonly [name: string]: Device<Tree> } } => state as never
