import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { DataError } from "../../dsl/Dataset.ts"
import type { Problem } from "../../dsl/Problem.ts"
import { whole } from "../../dsl/errors/Numbers.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import type { Host, Tree } from "../../dsl/values/Tree.ts"
import type { Var } from "../../dsl/Var.ts"
import * as Cell from "./Cell.ts"
import {
  type Call,
  type Compiled,
  type CompileError,
  type Device,
  Engine,
  type Observer
} from "../../engines/Engine.ts"
import { EngineError, failedAt, type Sequences, type StepError } from "../../engines/Engine.ts"
import * as Feed from "./Feed.ts"
import * as Looks from "../plan/Looks.ts"
import * as Moment from "../plan/Moment.ts"
import * as Observers from "./Observers.ts"
import { PastTickError } from "./PastTick.ts"
import * as Pace from "./Pace.ts"
import * as Plan from "../plan/Plan.ts"
import * as Prefetch from "./Prefetch.ts"
import * as Present from "./Present.ts"
import { broken, type LevelReport, reportOf, type Unsound, unsound } from "./LevelReport.ts"
import { ambiguousPath, type HostVars, initial, initialVars, levelsOf, type State, type Vars } from "../step/State.ts"
import * as Step from "../step/Step.ts"
import type * as Sweep from "../step/Direction.ts"
import * as Sharing from "../step/Sharing.ts"
import type { WiringError } from "../plan/Wiring.ts"

export type { LevelReport, Report } from "./LevelReport.ts"
export { failedAt } from "../../engines/Engine.ts"
export { PastTickError } from "./PastTick.ts"
export type { HostVars, Vars } from "../step/State.ts"

/** How far a problem is run, from which seed, and what is looked at on the way. */
export interface Options<T = Tick> {
  /** Last tick; ticks count from 1. */
  readonly ticks: number
  /** A run is a function of (problem, seed). */
  readonly seed: number
  /**
   * Looks at every so many ticks where hypergradients come from, how well solves converged and what updates did; 0, the default,
   * never. A tick that is looked at is computed once more, with a product for each solve, by a function of its own: the run's
   * numbers are the same, bit for bit, whether or not it is looked at.
   */
  readonly diagnosticsEvery?: number
  /** A state to go on from, after `tick` ticks: what a checkpoint holds. */
  readonly from?: { readonly tick: number; readonly state: Snapshot }
  /** Runs when the run is interrupted, with its last tick, before its tensors are released: the moment to checkpoint. */
  readonly onInterrupt?: (last: T) => Effect.Effect<void>
}

/**
 * One tick of a run. Its effects see the state after it, and fail with a `PastTickError` once the next tick is asked for. `V` is what the
 * problem's variables hold, by name, and `H` the same on the host: a function of a tick asks for the variables that it
 * reads (`(tick: Tick<{ readonly omega: Omega }>) => …`) and takes a tick of any problem that has them.
 */
export interface Tick<out V = Vars, out H = HostVars<V>> {
  readonly index: number
  /** Levels that acted, in order, with what they reported. */
  readonly levels: { readonly [level: string]: LevelReport }
  /** Milliseconds that the run has waited for data since it began. */
  readonly waited: number
  /**
   * Milliseconds that computing it took; of ticks that were computed in one call, a share by the gradients that the plan counts.
   * Depends on the machine, and is no part of what a run computes.
   */
  readonly took: number
  /** The whole state on the host: what a checkpoint holds. */
  readonly snapshot: Effect.Effect<Snapshot, EngineError | PastTickError>
  /** Values of some variables on the host. */
  readonly read: <Name extends keyof H & string>(
    variables: ReadonlyArray<Name>
  ) => Effect.Effect<Pick<H, Name>, EngineError | PastTickError>
  /** Evaluates a pure function of the variables on some data, leaving the run as it is. */
  readonly evaluate: <B extends Tree, M extends Tree>(
    f: (vars: V, batch: B) => M,
    batch: Host<B>
  ) => Effect.Effect<Host<M>, StepError | CompileError | EngineError | PastTickError>
}

export declare namespace Tick {
  /** Any tick, whatever its problem's variables. */
  export type Any = Tick<{}>
}

/** The whole state of a run on the host. */
export type Snapshot = Host<State>

/** Everything that a run, and looking at its ticks, can fail with beside what its datasets fail with. */
export type RunError = WiringError | CompileError | EngineError | StepError | DataError | PastTickError

/** The one owner of a run's tensors: its scope releases them however the run ends. */
const acquireCell = (
  engine: Engine["Service"],
  problem: Problem.Any,
  plan: Plan.Plan,
  options: Pick<Options, "from" | "seed">
): Effect.Effect<Cell.Cell, StepError | CompileError | EngineError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(
      options.from === undefined
        ? Effect.suspend(() => {
            const vars = initialVars(problem, Seed.make(options.seed))
            const ambiguous = ambiguousPath(problem, vars)
            return ambiguous === undefined ? engine.start(initial(problem, plan), vars) : Effect.fail(ambiguous)
          }).pipe(Effect.mapError(failedAt(0)))
        : engine.upload<State>(options.from.state),
      (state) => Cell.make(engine, options.from?.tick ?? 0, state)
    ),
    (cell) => cell.release
  )

/** The state of a run before its first tick, on the host: the paths, dtypes and shapes that a checkpoint of it has. */
export const start = Effect.fnUntraced(function* (problem: Problem.Any, seed: number) {
  const engine = yield* Engine
  const plan = yield* Effect.fromResult(Plan.make(problem))
  const cell = yield* acquireCell(engine, problem, plan, { seed })
  return yield* Effect.catchTag(cell.look(0, engine.download), "PastTickError", Effect.die)
}, Effect.scoped)

type RunStep = Compiled<State, Sweep.Batches, Step.Metrics>
type RunCall = Call<State, Sweep.Batches, Step.Metrics>
type ReportsOf = Observer<State, Sweep.Batches, { readonly [level: string]: Sweep.LevelMetrics["report"] }>

/** A tick that has been run, and not yet asked for. */
type Waiting = { readonly index: number; readonly metrics: Host<Step.Metrics>; readonly took: number }

/** What diagnostics say of a tick, by level. */
type Reports = { readonly [level: string]: Host<Sweep.LevelMetrics["report"]> }

/** Metrics with what diagnostics say. */
const diagnosed = (metrics: Host<Step.Metrics>, reports: Reports): Host<Step.Metrics> =>
  Object.fromEntries(Object.entries(metrics).map(([name, own]) => [name, { ...own, report: reports[name]! }]))

/** How the milliseconds of one call are shared among its ticks. */
const shared = (
  plan: Plan.Plan,
  moments: ReadonlyArray<Moment.Moment>,
  milliseconds: number
): ReadonlyArray<number> => {
  const evaluations = new Map(plan.cost.map((cost) => [cost.level, cost.evaluations]))
  const work = moments.map(({ acting }) => acting.reduce((sum, level) => sum + evaluations.get(level)!, 0))
  const whole = work.reduce((sum, each) => sum + each, 0)
  return work.map((each) => (milliseconds * each) / Math.max(whole, 1))
}

/**
 * Runs a problem: a stream with one element per tick. Whether it ends, fails, is interrupted or an objective throws, the
 * scope of the stream releases every tensor. Where ticks are short, an engine runs several in one call (see `Pace`).
 * Throws a `RangeError` for numbers of ticks or a seed that are not whole.
 *
 * ```ts
 * const lambda = Var.make("lambda", Init.zeros([]))
 * const fit = Level.minimize(Var.make("w", Init.zeros([])), {
 *   given: [lambda],
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ lambda, w }) => tf.square(tf.sub(w, lambda))
 * }).pipe(Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact })))
 * const tune = Level.minimize(lambda, {
 *   upstream: [fit],
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ w }) => tf.square(tf.sub(w, 3))
 * })
 * const last = await Run.ticks(Problem.close(tune), { ticks: 200, seed: 0 }).pipe(
 *   Stream.filter((tick) => tick.index === 200),
 *   Stream.mapEffect((tick) => tick.read(["lambda"])),
 *   Stream.runCollect,
 *   Effect.provide(CompiledEngine.layer()),
 *   Effect.runPromise
 * )
 * last.map(({ lambda }) => lambda.data) // => [[3]]
 * ```
 */
export const ticks = <V extends Var.Any, E, R>(
  problem: Problem<V, E, R>,
  options: Options<Tick<Var.Named<V>>>
): Stream.Stream<Tick<Var.Named<V>>, E | RunError, Exclude<R, Scope.Scope> | Engine> => {
  whole("Run.ticks: ticks", options.ticks, 0)
  whole("Run.ticks: seed", options.seed, -Infinity)
  whole("Run.ticks: diagnosticsEvery", options.diagnosticsEvery ?? 0, 0)
  whole("Run.ticks: from.tick", options.from?.tick ?? 0, 0)
  return Stream.unwrap(
    Effect.gen(function* () {
      const engine = yield* Engine
      const scope = yield* Effect.scope
      const plan = yield* Effect.fromResult(Plan.make(problem))
      const unequal = Sharing.ofLevels(levelsOf(problem).values(), engine.devices ?? 1)
      if (unequal !== undefined)
        return yield* new EngineError({ kind: "Refused", engine: engine.name, tick: null, reason: unequal })
      const feed = yield* Feed.open(problem, Seed.make(options.seed))
      const cell = yield* acquireCell(engine, problem, plan, options)
      const observers = Observers.make<Var.Named<V>>(engine, scope)
      let last: Tick<Var.Named<V>> | undefined
      const steps = yield* Scope.fork(scope)
      // Registered after the cell and the steps, so that it runs before these are released: a look may run steps again.
      yield* Effect.addFinalizer((exit) =>
        Exit.hasInterrupts(exit) && last !== undefined && options.onInterrupt !== undefined
          ? options.onInterrupt(last)
          : Effect.void
      )
      const compiled = new Map<Moment.Moment, RunStep>()
      const looking = new Map<Moment.Moment, ReportsOf>()

      const stepOf = (moment: Moment.Moment): Effect.Effect<RunStep, CompileError> => {
        const known = compiled.get(moment)
        if (known !== undefined) return Effect.succeed(known)
        return Effect.suspend(() => engine.compile(Step.make(problem, plan, moment))).pipe(
          Scope.provide(steps),
          Effect.tap((made) => Effect.sync(() => compiled.set(moment, made)))
        )
      }

      const every = options.diagnosticsEvery ?? 0
      const momentOf = (index: number) => Moment.at(plan, index)
      /** Ticks after `index` that come before the next one that is looked at. */
      const unseen = (index: number) => (every === 0 ? Infinity : every - 1 - (index % every))
      const data = yield* Prefetch.make((index) => feed(Moment.batchIndices(plan, index, momentOf(index))))

      /** What runs a tick. */
      const callOf = (index: number): Effect.Effect<RunCall, E | RunError> => {
        const taken = data.take(index)
        const step = stepOf(momentOf(index))
        const [batch, made] = [Present.valueOf(taken), Present.valueOf(step)]
        if (batch !== undefined && made !== undefined) return Effect.succeed({ step: made, batch })
        return Effect.flatMap(taken, (found) => Effect.map(step, (compiled) => ({ step: compiled, batch: found })))
      }

      let pace = Pace.start
      const look: Look = (tick, use) =>
        Effect.suspend(() => {
          // The state of a tick may be kept for a while after the next: what is late is late however ticks are run.
          if (last !== undefined && tick !== last.index) {
            return Effect.fail(new PastTickError({ tick, present: last.index }))
          }
          pace = Pace.looked(pace, tick, cell.holds(tick))
          return cell.look(tick, use)
        })

      /** What diagnostics say of a tick that is about to be run, where it is one of theirs. */
      const diagnose = Effect.fnUntraced(function* (index: number, batch: Host<Sweep.Batches>) {
        if (unseen(index - 1) > 0) return undefined
        const moment = momentOf(index)
        let observer = looking.get(moment)
        if (observer === undefined) {
          observer = yield* Scope.provide(engine.observe(Step.reports(problem, plan, moment)), steps)
          looking.set(moment, observer)
        }
        const ready = observer
        const found = cell.look(index - 1, (state) => Effect.mapError(ready(state, batch), failedAt(index)))
        return yield* Effect.catchTag(found, "PastTickError", Effect.die)
      })

      const definitions = levelsOf(problem)
      let lastUnsound: Unsound | undefined
      /** Ends in a tick, or fails where its numbers are not finite. */
      const deliver = ({ index, metrics, took }: Waiting) => {
        const levels = Object.fromEntries(Object.entries(metrics).map(([name, m]) => [name, reportOf(m)]))
        lastUnsound = unsound(index, definitions, metrics) ?? lastUnsound
        const error = broken(index, levels, lastUnsound)
        if (error !== undefined) return Effect.fail(error)
        last = tickOf(engine, observers, look, { index, levels, waited: data.waited(), took })
        return Effect.succeed<readonly [Tick<Var.Named<V>>]>([last])
      }

      let asked = options.from?.tick ?? 0
      const alone = Effect.fnUntraced(function* () {
        const index = asked + 1
        const { batch, step } = yield* callOf(index)
        if (index < options.ticks) yield* data.ahead(index + 1)
        const reports = yield* diagnose(index, batch)
        const begun = performance.now()
        return yield* cell.step(step, batch).pipe(
          Effect.mapError(failedAt(index)),
          Effect.flatMap((metrics) => {
            asked = index
            const took = performance.now() - begun
            return deliver({ index, metrics: reports === undefined ? metrics : diagnosed(metrics, reports), took })
          }),
          // The state and the last tick change together, or an interruption would checkpoint one under the other's name.
          Effect.uninterruptible
        )
      })

      let waiting: ReadonlyArray<Waiting> = []
      let next = 0
      /** What comes after the waiting ticks, if it is known to be a failure. */
      let failed: Effect.Effect<never, E | RunError> | undefined
      const state = engine.sequences === undefined ? Infinity : cell.bytes(engine.sequences)
      const cycle = Looks.cycle(plan)
      const together = Effect.fnUntraced(function* (sequences: Sequences) {
        const from = asked
        const begun = performance.now()
        // A tick that is looked at is the first of its call: its state before is at hand then.
        const most = 1 + unseen(from + 1)
        const ticks = Math.min(most, Pace.length(pace, { tick: from, last: options.ticks, state, cycle }))
        const calls: Array<RunCall> = []
        for (let i = 1; i <= ticks && failed === undefined; i++) {
          const call = callOf(from + i)
          const made = Present.exitOf(call) ?? (yield* Effect.exit(call))
          if (Exit.isSuccess(made)) calls.push(made.value)
          else failed = Effect.failCause(made.cause)
        }
        if (calls.length === 0) return
        const drawn = performance.now() - begun
        const reports = yield* diagnose(from + 1, calls[0]!.batch)
        const started = performance.now()
        yield* Effect.uninterruptible(
          Effect.map(cell.sequence(sequences, calls), ({ bytes, failure, metrics }) => {
            const milliseconds = performance.now() - started
            const took = shared(
              plan,
              calls.map((_, i) => momentOf(from + 1 + i)),
              milliseconds
            )
            waiting = metrics.map((found, i) => ({
              index: from + 1 + i,
              metrics: i === 0 && reports !== undefined ? diagnosed(found, reports) : found,
              took: took[i]!
            }))
            next = 0
            asked = from + metrics.length
            if (failure !== undefined) failed = Effect.fail(failedAt(asked + 1)(failure))
            pace = Pace.ran(pace, { ticks: calls.length, milliseconds: drawn + milliseconds, bytes })
          })
        )
      })

      let turn = performance.now()
      // Steps, and those who look at ticks, hold the JavaScript thread: without this no signal, timer or other fiber would
      // get a turn.
      const yielding = Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => (turn = performance.now()))
      )
      const pull: Effect.Effect<readonly [Tick<Var.Named<V>>], E | RunError | Cause.Done> = Effect.suspend(() => {
        if (next < waiting.length) {
          if (performance.now() - turn > Pace.mostMilliseconds) return Effect.andThen(yielding, pull)
          return deliver(waiting[next++]!)
        }
        if (failed !== undefined) return failed
        if (asked >= options.ticks) return Cause.done()
        return Effect.andThen(
          yielding,
          engine.sequences !== undefined && Pace.holds(state)
            ? Effect.andThen(together(engine.sequences), pull)
            : alone()
        )
      })
      return Stream.fromPull(Effect.succeed(pull))
    })
  )
}

/** Uses the state as it was after a tick. */
type Look = <A, E>(
  tick: number,
  use: (state: Device<State>) => Effect.Effect<A, E>
) => Effect.Effect<A, E | EngineError | PastTickError>

const tickOf = <V extends Vars>(
  engine: Engine["Service"],
  observers: Observers.Observers<V>,
  look: Look,
  told: Pick<Tick, "index" | "levels" | "waited" | "took">
): Tick<V> => {
  const { index } = told
  return {
    ...told,
    snapshot: Effect.mapError(look(index, engine.download), atTick(index)),
    read: (variables) =>
      Effect.mapError(
        look(index, (state) => read<V, (typeof variables)[number]>(engine, state, variables)),
        atTick(index)
      ),
    evaluate: (f, batch) =>
      observers
        .use(f, (observer) => look(index, (state) => observer(varsOf<V>(state), batch)))
        .pipe(Effect.mapError((error) => (error._tag === "PastTickError" ? error : failedAt(index)(error))))
  }
}

const atTick =
  (tick: number) =>
  (error: EngineError | PastTickError): EngineError | PastTickError =>
    error._tag === "EngineError" ? new EngineError({ ...error, tick }) : error

/**
 * The variables of a state on a device, which has the structure of what it holds: a part is found as in the state itself.
 * The problem's type knows the variables by name, where a state only knows that there are some.
 */
const varsOf = <V>(state: Device<State>): Device<V & Tree> & { readonly [Name in keyof V]: Device<Tree> } =>
  (state as unknown as { readonly vars: Device<V & Tree> & { readonly [Name in keyof V]: Device<Tree> } }).vars

/** Some variables on the host, in one request. */
const read = <V, Name extends keyof V & string>(
  engine: Engine["Service"],
  state: Device<State>,
  variables: ReadonlyArray<Name>
): Effect.Effect<Pick<HostVars<V>, Name>, EngineError> => {
  const vars = varsOf<V>(state)
  const strange = variables.find((name) => !Object.hasOwn(vars, name))
  if (strange !== undefined) {
    return Effect.die(new TypeError(`there is no variable '${strange}': there is ${Object.keys(vars).join(", ")}`))
  }
  const part = Object.fromEntries(variables.map((name) => [name, vars[name]]))
  // As above: what lies on the device under a variable's name is what the variable holds.
  return engine.download(part as unknown as Device<Vars>) as Effect.Effect<Pick<HostVars<V>, Name>, EngineError>
}
