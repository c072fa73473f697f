/** Hypergradients of one level at one place: the levels below are solved, and any estimators are asked there, on any batches. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { DataError } from "../dsl/Dataset.ts"
import * as ExitCode from "../dsl/errors/ExitCode.ts"
import { whole } from "../dsl/errors/Numbers.ts"
import type { Definition } from "../dsl/Level.ts"
import * as Problem from "../dsl/Problem.ts"
import * as Seed from "../dsl/values/Seed.ts"
import * as Tree from "../dsl/values/Tree.ts"
import type { Var } from "../dsl/Var.ts"
import { type CompileError, Engine, type EngineError, type Failure, failedAt } from "../engines/Engine.ts"
import type { StepError } from "../engines/Engine.ts"
import type { Moment } from "../runtime/plan/Moment.ts"
import * as Plan from "../runtime/plan/Plan.ts"
import * as Wiring from "../runtime/plan/Wiring.ts"
import type { HostVector } from "../runtime/run/Directions.ts"
import * as Feed from "../runtime/run/Feed.ts"
import * as Direction from "../runtime/step/Direction.ts"
import { type HostVars, initial, initialVars, levelsOf, type State } from "../runtime/step/State.ts"
import * as Step from "../runtime/step/Step.ts"

/** What is asked of a problem that it has not. */
export class DiagnoseError extends Schema.TaggedError<DiagnoseError>()("DiagnoseError", { reason: Schema.String }) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    return this.reason
  }
}

/** Where a problem is looked at. */
export interface Options {
  readonly seed: number
  /** The level whose hypergradient is looked at; the top level where absent. */
  readonly level?: string
  /** Ticks given to the levels below before anything is looked at; 200 where absent. */
  readonly solveTicks?: number
  /** Values of all variables from which that begins; the initial ones where absent. */
  readonly vars?: HostVars
  /** The norm of the hypergradient where a run began that ends here: what has come to a thousandth of it is at rest; 0 where absent. */
  readonly first?: number
}

/** Solves at least, after which it is looked at what a solver keeps. */
const keptTicks = 100

/** Ticks that the levels below get where nothing is said. */
export const solveTicks = 200

/** How a probe fails, beside how the problem's data do. */
export type ProbeError = DataError | Wiring.WiringError | CompileError | EngineError | StepError | DiagnoseError

/** A level and those below it, at values that can be moved and put back. */
export interface Probe<out E> {
  readonly level: string
  /** See {@link Options}. */
  readonly first: number
  /** The norm up to which a hypergradient is at rest, what is left of it being rounding. */
  readonly rest: number
  /** The levels below through whose solutions the gradient passes. */
  readonly passed: ReadonlyArray<Definition>
  /** Ticks in which the levels below update, on batch 0, this one staying where it is: norms of their gradients in the last. */
  readonly solve: (ticks: number) => Effect.Effect<{ readonly [level: string]: number }, E | ProbeError>
  /** One update of the level itself, the levels below staying where they are. */
  readonly move: Effect.Effect<void, E | ProbeError>
  readonly vars: Effect.Effect<HostVars, EngineError>
  readonly put: (vars: HostVars) => Effect.Effect<void, ProbeError>
  /** The hypergradient at the present values with levels below changed by `change`, on a batch of every level. */
  readonly gradient: (
    change?: (level: Definition) => Definition,
    batch?: number
  ) => Effect.Effect<HostVector, E | ProbeError>
  /** By level below: what its solver keeps after so many solves of such a gradient, on batch 0. */
  readonly kept: (
    change: (level: Definition) => Definition
  ) => Effect.Effect<{ readonly [level: string]: Tree.HostTree }, E | ProbeError>
}

const tagged = Predicate.or(Predicate.isTagged("StepFailure"), Predicate.isTagged("EngineError"))
const isFailure = (error: unknown): error is Failure => tagged(error)
const told = <E>(error: E) =>
  isFailure(error) ? failedAt(0)(error) : (error as Exclude<E, Extract<Failure, { readonly _tag: "StepFailure" }>>)

const still = (acting: ReadonlyArray<string>): Moment => ({
  acting,
  restarting: [],
  frozen: [],
  past: {},
  carrying: {},
  diagnostics: false
})

/** Opens a probe, for a scope. Only estimators that look at the present, implicit ones, can be asked. */
export const open = <V extends Var.Any, E, R>(
  problem: Problem.Problem<V, E, R>,
  options: Options
): Effect.Effect<Probe<E>, E | ProbeError, Engine | R | Scope.Scope> =>
  Effect.gen(function* () {
    const ticks = options.solveTicks ?? solveTicks
    whole("Diagnose: solveTicks", ticks, 0)
    const engine = yield* Engine
    const plan = yield* Effect.fromResult(Plan.make(problem))
    const levels = levelsOf(problem)
    const name = options.level ?? problem.top.name
    const level = levels.get(name)
    const sweep = plan.sweeps.find((each) => each.level === name)
    if (level === undefined || sweep === undefined) {
      const reason = `there is no level '${name}': levels are ${[...levels.keys()].join(", ")}`
      return yield* new DiagnoseError({ reason })
    }
    if (sweep.hops.length === 0) {
      const reason = `the gradient of '${name}' passes through no level below: there is no hypergradient to look at`
      return yield* new DiagnoseError({ reason })
    }
    const below = Wiring.closure(level).flatMap((each) => (each === level ? [] : [each.name]))
    const feed = yield* Feed.open(problem, Seed.make(options.seed))
    // Single updates, whatever a turn of the level has.
    const single = { ...plan, levels: plan.levels.map((each) => ({ ...each, repeat: 1 })) }
    const batchesAt = (index: number) =>
      feed(
        Object.fromEntries(plan.levels.map(({ estimator, name }) => [name, Array(estimator?.steps ?? 1).fill(index)]))
      )
    const first = yield* batchesAt(0)
    const began = yield* Effect.acquireRelease(
      Effect.map(
        engine.start(initial(problem, plan), options.vars ?? initialVars(problem, Seed.make(options.seed))),
        (state) => ({ state })
      ),
      ({ state }) => engine.release(state)
    )
    const scope = yield* Effect.scope
    const step = (acting: ReadonlyArray<string>) => engine.compile(Step.make(problem, single, still(acting)))
    const [lower, own] = [yield* step(below), yield* step([name])]
    const put = Effect.fnUntraced(function* (vars: HostVars) {
      const host = yield* engine.download(began.state)
      yield* engine.release(began.state)
      began.state = yield* engine.upload<State>({ ...host, vars })
    }, Effect.uninterruptible)
    const run = (step: typeof lower) =>
      Effect.uninterruptible(
        Effect.map(step.run(began.state, first), ([after, metrics]) => {
          began.state = after
          return metrics
        })
      )
    const solve = Effect.fnUntraced(function* (times: number) {
      let norms: { readonly [level: string]: number } = {}
      for (let i = 0; i < times; i++) {
        const metrics = yield* run(lower)
        norms = Object.fromEntries(Object.entries(metrics).map(([key, each]) => [key, each.gradientNorm.data[0]!]))
        yield* Effect.yieldNow
      }
      return norms
    }, Effect.mapError(told))
    /** A problem whose levels below are changed, made ready to be asked, until the scope ends. */
    const ready = Effect.fnUntraced(function* (change: (level: Definition) => Definition) {
      // Of levels below alone: the one that is looked at keeps what it is.
      const other = problem.pipe(Problem.mapLevels((each) => (each.name === name ? each : change(each))))
      const planned = yield* Effect.fromResult(Plan.make(other))
      const definitions = levelsOf(other)
      const sweeps = new Map(planned.sweeps.map((each) => [each.level, each]))
      for (const hop of sweeps.get(name)!.hops) {
        const { hypergradient } = definitions.get(hop.level)!
        if (hypergradient?._tag === "Implicit") continue
        const reason = `'${hop.level}' has an estimator that looks back (${hypergradient?._tag ?? "none"}), which has no answer at one point: give it an implicit one to look at`
        return yield* new DiagnoseError({ reason })
      }
      const ask = yield* engine.observe((state: State, b: Direction.Batches) => {
        const own = definitions.get(name)!
        const found = Direction.direction(own, definitions, sweeps, state, b[name]!.at(-1)!, b, still([name]))
        return { gradient: found.gradient, solver: found.solver }
      })
      return { ask, begin: initial(other, planned) }
    })
    type Ready = Effect.Success<ReturnType<typeof ready>>
    /** The problem as it stands is asked most: it is made ready once. */
    let stated: Ready | undefined
    const readyAs = (change: ((level: Definition) => Definition) | undefined) => {
      if (change !== undefined) return ready(change)
      return stated === undefined
        ? Effect.tap(
            Scope.provide(
              ready((each) => each),
              scope
            ),
            (made) => Effect.sync(() => (stated = made))
          )
        : Effect.succeed(stated)
    }
    const asked = Effect.fnUntraced(
      function* (change: ((level: Definition) => Definition) | undefined, batch: number, times: number) {
        const { ask, begin } = yield* readyAs(change)
        const batches = yield* batchesAt(batch)
        const values = (yield* engine.download(began.state)).vars
        const cell = yield* Effect.acquireRelease(
          Effect.map(engine.start(begin, values), (state) => ({ state })),
          ({ state }) => engine.release(state)
        )
        let found = yield* ask(cell.state, batches)
        // A warm solver comes to its answer over as many ticks as it is asked.
        const isWarm = Object.values(found.solver).some((tree) => Tree.hostEntries(tree as Tree.HostTree).length > 0)
        for (let i = 1; i < (isWarm ? times : 1); i++) {
          const host = yield* engine.download(cell.state)
          yield* engine.release(cell.state)
          cell.state = yield* Effect.uninterruptible(
            engine.upload<State>({
              ...host,
              solver: { ...host.solver, [name]: { ...host.solver[name], ...found.solver } }
            })
          )
          found = yield* ask(cell.state, batches)
        }
        return found
      },
      Effect.scoped,
      Effect.mapError(told)
    )
    yield* solve(ticks)
    return {
      level: name,
      first: options.first ?? 0,
      rest: 1e-3 * (options.first ?? 0),
      passed: sweep.hops.map((hop) => levels.get(hop.level)!),
      solve,
      move: Effect.mapError(Effect.asVoid(run(own)), told),
      vars: Effect.suspend(() => Effect.map(engine.download(began.state), (state) => state.vars)),
      put: (values) => Effect.mapError(put(values), told),
      gradient: (change, batch) =>
        Effect.map(asked(change, batch ?? 0, ticks), ({ gradient }) =>
          Tree.hostEntries(gradient as Tree.HostTree).map(([, leaf]) => Float32Array.from(leaf.data))
        ),
      kept: (change) =>
        Effect.map(
          asked(change, 0, Math.max(ticks, keptTicks)),
          ({ solver }) => solver as { readonly [level: string]: Tree.HostTree }
        )
    } satisfies Probe<E> as Probe<E>
  }).pipe(Effect.mapError(told))
