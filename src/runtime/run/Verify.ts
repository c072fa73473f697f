import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import type { DataError } from "../../dsl/Dataset.ts"
import { positive, whole } from "../../dsl/errors/Numbers.ts"
import type { Problem } from "../../dsl/Problem.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import type { Host } from "../../dsl/values/Tree.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import type { Var } from "../../dsl/Var.ts"
import { type CompileError, Engine, type EngineError, failedAt } from "../../engines/Engine.ts"
import type { Compiled, Failure, StepError } from "../../engines/Engine.ts"
import * as Claim from "./Claim.ts"
import * as Directions from "./Directions.ts"
import * as Feed from "./Feed.ts"
import type { Moment } from "../plan/Moment.ts"
import * as Objective from "../step/Evaluation.ts"
import * as Plan from "../plan/Plan.ts"
import { initial, initialVars, levelsOf, type State } from "../step/State.ts"
import * as Step from "../step/Step.ts"
import * as Sweep from "../step/Direction.ts"
import * as Wiring from "../plan/Wiring.ts"

/** What a verification looks at, with what stands where nothing is given. */
export const defaults = { directions: 8, solveTicks: 200, radius: 0.01 }

/** What a verification looks at. */
export interface Options {
  readonly seed: number
  /** The level whose gradient is checked; the top level by default. */
  readonly level?: string
  /** Directions to compare along, 8 by default: coordinate axes if the variable is that small, see `Directions` else. */
  readonly directions?: number
  /** Ticks given to the levels below to solve their problems, before each comparison; 200 by default. */
  readonly solveTicks?: number
  /** Step of the central difference, as a distance in the level's variable; 0.01 by default. Half of it is also taken. */
  readonly radius?: number
}

/** A slope beside what it should be. */
export interface Slope {
  readonly name: string
  readonly swept: number
  readonly difference: number
  /** The difference at half the radius: how far the two are apart is what a difference is worth. */
  readonly atHalf: number
}

/** A hypergradient beside what its estimators claim it to be, along some directions. */
export interface Verification {
  readonly level: string
  readonly variable: string
  /** What was differenced: by phase, the levels solved or the updates gone through again. */
  readonly claim: ReadonlyArray<Claim.Phase>
  /** Gradient norm of each level below after solving: how far from solved the comparison was made. */
  readonly solved: { readonly [level: string]: number }
  readonly directions: ReadonlyArray<Slope>
  /** Norm of the swept gradient by leaf of the variable. */
  readonly leaves: { readonly [path: string]: number }
  /** Paths at which no gradient arrives: every element there is zero. */
  readonly silent: ReadonlyArray<string>
  /** ‖swept − difference‖ / ‖difference‖ over the directions. */
  readonly relativeError: number
  /** Cosine of the swept slopes with the differences. */
  readonly cosine: number
  /** ‖swept‖ / ‖difference‖ over the directions. */
  readonly scale: number
  /** ‖difference − difference at half the radius‖ / ‖difference‖: nothing below it can be told. */
  readonly noise: number
  /** Levels whose estimator claims a direction and no size, such as the identity. */
  readonly unsized: ReadonlyArray<string>
  /**
   * What the check is of: `relativeError`, or where an estimator claims no size the same error after scaling the swept
   * slopes to the norm of the differences. NaN where nothing could be compared.
   */
  readonly error: number
}

/** The level asked for is not one whose hypergradient can be verified. */
export class VerifyError extends Schema.TaggedError<VerifyError>()("VerifyError", { reason: Schema.String }) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    return this.reason
  }
}

const tagged = Predicate.or(Predicate.isTagged("StepFailure"), Predicate.isTagged("EngineError"))
const isFailure = (error: unknown): error is Failure => tagged(error)

// As many copies of the one batch as a sweep through the past takes.
const batchesOf = (level: Plan.PlannedLevel): number => Math.max(level.estimator?.steps ?? 1, 1)

const hostVector = (tree: Tree.HostTree): Directions.HostVector =>
  Tree.hostEntries(tree).map(([, leaf]) => Float32Array.from(leaf.data))

const size = (slopes: ReadonlyArray<Slope>, of: (slope: Slope) => number): number =>
  Math.sqrt(slopes.reduce((sum, slope) => sum + of(slope) ** 2, 0))

const compare = (
  slopes: ReadonlyArray<Slope>,
  unsized: boolean
): Pick<Verification, "relativeError" | "cosine" | "scale" | "noise" | "error"> => {
  const [swept, difference] = [size(slopes, (s) => s.swept), size(slopes, (s) => s.difference)]
  const relative = (factor: number) => size(slopes, (s) => factor * s.swept - s.difference) / (difference || 1)
  return {
    relativeError: relative(1),
    cosine: slopes.reduce((sum, s) => sum + s.swept * s.difference, 0) / (swept * difference || 1),
    scale: swept / (difference || 1),
    noise: size(slopes, (s) => s.difference - s.atHalf) / (difference || 1),
    error: unsized && swept > 0 ? relative(difference / swept) : relative(1)
  }
}

/**
 * Compares a program's hypergradient with central differences of what its estimators claim to differentiate. One batch per
 * level is held fixed and the levels below are solved with their own optimizers. Then the variable is moved by ±radius;
 * implicit levels are solved again, unrolled and forward ones make their last updates again from where they stood before these, a
 * restart included, and detached ones stay. The change of the level's loss is held against the swept gradient.
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
 * const { error } = await Verify.verify(Problem.close(tune), { seed: 0 }).pipe(
 *   Effect.provide(CompiledEngine.layer()),
 *   Effect.runPromise
 * )
 * error < 0.01 // => true
 * ```
 */
export const verify = <V extends Var.Any, E, R>(
  problem: Problem<V, E, R>,
  options: Options
): Effect.Effect<
  Verification,
  E | DataError | Wiring.WiringError | CompileError | EngineError | StepError | VerifyError,
  Exclude<R, Scope.Scope> | Engine
> => {
  const { directions: count, radius, solveTicks } = { ...defaults, ...options }
  whole("Verify.verify: directions", count, 1)
  whole("Verify.verify: solveTicks", solveTicks, 0)
  positive("Verify.verify: radius", radius)
  return Effect.scoped(
    Effect.gen(function* () {
      const engine = yield* Engine
      const plan = yield* Effect.fromResult(Plan.make(problem))
      const levels = levelsOf(problem)
      const name = options.level ?? problem.top.name
      const level = levels.get(name)
      const sweep = plan.sweeps.find((s) => s.level === name)
      if (level === undefined || sweep === undefined) {
        return yield* new VerifyError({
          reason: `there is no level '${name}': levels are ${[...levels.keys()].join(", ")}`
        })
      }
      const branched = sweep.hops.find((hop) => levels.get(hop.level)!.hypergradient?._tag === "Branches")
      if (branched !== undefined) {
        const reason = `'${branched.level}' has branches, which are differences of whole runs themselves, and at a radius of their own: there is no derivative to hold them against`
        return yield* new VerifyError({ reason })
      }
      const claim = Claim.phases(plan, sweep)
      const below = Wiring.closure(level).flatMap((l) => (l === level ? [] : [l.name]))
      const feed = yield* Feed.open(problem, Seed.make(options.seed))
      const batches = yield* feed(
        Object.fromEntries(plan.levels.map((l) => [l.name, Array.from({ length: batchesOf(l) }, () => 0)]))
      )
      // A phase counts single updates, whatever a turn of the level has.
      const single = { ...plan, levels: plan.levels.map((l) => ({ ...l, repeat: 1 })) }
      const moment = (
        acting: ReadonlyArray<string>,
        restarting: ReadonlyArray<string>,
        carrying: ReadonlyArray<string> = []
      ): Moment => ({
        acting,
        restarting,
        frozen: [],
        past: Object.fromEntries(
          plan.levels.flatMap((l) => (l.estimator === null ? [] : [[l.name, l.estimator.steps]]))
        ),
        carrying: Object.fromEntries(carrying.map((l) => [l, ["carry"]])),
        diagnostics: false
      })
      const carriers = new Set(plan.levels.flatMap((l) => (l.estimator?.kind === "forward" ? [l.name] : [])))
      const steps = new Map<string, Compiled<State, Sweep.Batches, Step.Metrics>>()
      const stepOf = Effect.fnUntraced(function* (acting: ReadonlyArray<string>, restart: boolean, claimed: boolean) {
        const key = `${restart} ${claimed} ${acting.join("\n")}`
        const known = steps.get(key)
        if (known !== undefined) return known
        const made = yield* engine.compile(
          Step.make(
            problem,
            single,
            moment(acting, restart ? acting : [], claimed ? acting.filter((l) => carriers.has(l)) : [])
          )
        )
        steps.set(key, made)
        return made
      })
      const gradientOf = yield* engine.observe((state: State, b: Sweep.Batches) => {
        const { gradient, solver } = Sweep.direction(
          level,
          levels,
          new Map(plan.sweeps.map((each) => [each.level, each])),
          state,
          b[name]!.at(-1)!,
          b,
          moment([name], [])
        )
        return { gradient, solver }
      })
      const lossOf = yield* engine.observe((state: State, b: Sweep.Batches) => ({
        loss: Objective.evaluate(level, state.vars, Objective.microBatches(b[name]!.at(-1)!).at(-1)!).loss
      }))
      const cell = yield* Effect.acquireRelease(
        Effect.map(engine.start(initial(problem, plan), initialVars(problem, Seed.make(options.seed))), (state) => ({
          state
        })),
        (held) => engine.release(held.state)
      )
      const put = Effect.fnUntraced(function* (host: Host<State>) {
        yield* engine.release(cell.state)
        cell.state = yield* engine.upload<State>(host)
      }, Effect.uninterruptible)

      let norms: { readonly [level: string]: number } = {}
      /** Updates of some levels, the first of them after a restart if one is asked for. */
      const updates = Effect.fnUntraced(function* (
        acting: ReadonlyArray<string>,
        times: number,
        restart = false,
        claimed = false
      ) {
        for (let i = 0; i < times; i++) {
          const step = yield* stepOf(acting, restart && i === 0, claimed)
          const metrics = yield* Effect.uninterruptible(
            Effect.map(step.run(cell.state, batches), ([after, reported]) => {
              cell.state = after
              return reported
            })
          )
          norms = {
            ...norms,
            ...Object.fromEntries(Object.entries(metrics).map(([key, m]) => [key, m.gradientNorm.data[0]!]))
          }
          yield* Effect.yieldNow
        }
      })
      /** What the estimators claim to differentiate. */
      const loop = Effect.forEach(claim, ({ lead, levels, updates: times }) =>
        times === undefined ? updates(levels, solveTicks) : updates(levels, times, lead === 0, true)
      )

      if (below.length > 0) yield* updates(below, solveTicks)
      for (const { lead = 0, levels } of claim) yield* updates(levels, lead, true)
      const begin = yield* engine.download(cell.state)
      yield* loop
      // A warm solver comes to its answer over as many ticks as it is asked.
      const asked = Object.values((yield* engine.download(cell.state)).solver[name] ?? {}).some(
        (tree) => Tree.hostEntries(tree).length > 0
      )
        ? solveTicks
        : 1
      let found = yield* gradientOf(cell.state, batches)
      for (let i = 1; i < asked; i++) {
        const host = yield* engine.download(cell.state)
        yield* put({ ...host, solver: { ...host.solver, [name]: { ...host.solver[name], ...found.solver } } })
        found = yield* gradientOf(cell.state, batches)
      }
      const solved = norms

      const own = begin.vars[level.own.name]!
      const swept = hostVector(found.gradient as Tree.HostTree)
      const lossAt = Effect.fnUntraced(function* (direction: Directions.HostVector, distance: number) {
        yield* put({ ...begin, vars: { ...begin.vars, [level.own.name]: Directions.moved(own, direction, distance) } })
        yield* loop
        return (yield* lossOf(cell.state, batches)).loss.data[0]!
      })
      const slopeAt = Effect.fnUntraced(function* (direction: Directions.HostVector, distance: number) {
        const [ahead, behind] = [yield* lossAt(direction, distance), yield* lossAt(direction, -distance)]
        return (ahead - behind) / (2 * distance)
      })
      const seed = Seed.fold(Seed.make(options.seed), "verify")
      const slopes = yield* Effect.forEach(Directions.choose(own, swept, count, seed), ({ name, vector }) =>
        Effect.gen(function* () {
          const difference = yield* slopeAt(vector, radius)
          const atHalf = yield* slopeAt(vector, radius / 2)
          return { name, swept: Directions.dot(swept, vector), difference, atHalf }
        })
      )
      const leaves = Object.fromEntries(Tree.hostEntries(own).map(([path], l) => [path, Directions.norm([swept[l]!])]))
      const unsized = Claim.unsized(levels, sweep)
      return {
        level: name,
        variable: level.own.name,
        claim,
        solved,
        directions: slopes,
        leaves,
        silent: Object.entries(leaves).flatMap(([path, length]) => (length === 0 ? [path] : [])),
        unsized,
        ...compare(slopes, unsized.length > 0)
      }
    }).pipe(Effect.mapError((error) => (isFailure(error) ? failedAt(0)(error) : error)))
  )
}

/** What a verification holds against a program, if its error may be at most `most`; nothing where it passes. */
export const failing = (found: Verification, most: number): string | undefined => {
  const { error, noise, silent, solved, unsized, variable } = found
  if (silent.length > 0) return silence(variable, silent)
  // A comparison with NaN is false, and NaN is no pass.
  if (error <= most) return undefined
  const above = `${unsized.length > 0 ? "error of the direction" : "relative error"} ${error.toExponential(2)} is above ${most}`
  const lost = Object.entries(solved).find(([, length]) => !Number.isFinite(length))
  if (lost !== undefined)
    return `${above}: '${lost[0]}' came to a gradient norm of ${lost[1]}, so that its own updates diverge: lower its rate`
  // What differences cannot tell is nothing against the program.
  if (noise <= most) return above
  return (
    `${above}, and the differences themselves are good to ${noise.toExponential(2)} only: solve the levels below further ` +
    "(--solve, a smaller gradientNorm of Optimizer.until), or take another --radius"
  )
}

const silence = (variable: string, silent: ReadonlyArray<string>): string =>
  `no gradient arrives at ${silent.map((path) => `'${variable}${path === "" ? "" : `.${path}`}'`).join(", ")}`

const claimed = ({ lead, levels, updates }: Claim.Phase): string => {
  if (updates === undefined) return `  ${levels.join(", ")}: solved again`
  const restart = lead === undefined ? "" : lead === 0 ? ", from a restart" : `, ${lead} after a restart`
  return `  ${levels.join(", ")}: the last ${updates} updates again${restart}`
}

/** A verification for people. */
export const text = (found: Verification): string => {
  const { claim, cosine, directions, level, noise, relativeError, scale, silent, solved, unsized, variable } = found
  const width = Math.max(9, ...directions.map((d) => d.name.length))
  const number = (x: number) => x.toExponential(5).padStart(13)
  const row = (name: string, ...columns: ReadonlyArray<string>) => `  ${name.padEnd(width)}  ${columns.join("  ")}`
  return [
    `gradient of '${level}' with respect to '${variable}', on one batch a level, beside central differences of`,
    ...(claim.length === 0 ? ["  its own loss"] : claim.map(claimed)),
    ...Object.entries(solved).map(
      ([name, length]) => `  ${name} came to a gradient norm of ${length.toExponential(2)}`
    ),
    row("direction", ...["swept", "difference", "at half"].map((title) => title.padStart(13))),
    ...directions.map((d) => row(d.name, number(d.swept), number(d.difference), number(d.atHalf))),
    `relative error ${relativeError.toExponential(2)}, cosine ${cosine.toFixed(4)}, scale ${scale.toPrecision(3)}; ` +
      `the difference itself is good to ${noise.toExponential(2)}`,
    ...(unsized.length === 0
      ? []
      : [
          `${unsized.join(", ")}: the estimator answers in a size of its own, so only the direction is checked: ` +
            `error of the direction ${found.error.toExponential(2)}`
        ]),
    ...(silent.length === 0 ? [] : [silence(variable, silent)])
  ].join("\n")
}
