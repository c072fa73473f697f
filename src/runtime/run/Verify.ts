import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { DataError } from "../../dsl/Dataset.ts"
import type { NdArray } from "../../dsl/NdArray.ts"
import type { Problem } from "../../dsl/Problem.ts"
import * as Seed from "../../dsl/Seed.ts"
import * as Tree from "../../dsl/Tree.ts"
import type { Var } from "../../dsl/Var.ts"
import { type CompileError, Engine, type EngineError, failedAt } from "../../engines/Engine.ts"
import type { Failure, StepError } from "../../engines/Engine.ts"
import * as Feed from "./Feed.ts"
import type { Moment } from "../plan/Moment.ts"
import * as Objective from "../step/Evaluation.ts"
import * as Plan from "../plan/Plan.ts"
import { initial, initialVars, levelsOf, type State } from "../step/State.ts"
import * as Step from "../step/Step.ts"
import * as Sweep from "../step/Direction.ts"
import * as Wiring from "../plan/Wiring.ts"

/** What a verification looks at. */
export interface Options {
  readonly seed: number
  /** The level whose gradient is checked; the top level by default. */
  readonly level?: string
  /** Directions to compare along: coordinate axes if the variable is that small, random unit vectors otherwise. */
  readonly directions?: number
  /** Ticks given to the levels below to solve their problems, before each comparison. */
  readonly solveTicks?: number
  /** Step of the central difference, as a distance in the level's variable. */
  readonly radius?: number
}

/** A hypergradient beside what it should be, along some directions. */
export interface Verification {
  readonly level: string
  readonly variable: string
  /** Gradient norm of each level below after solving: how far from solved the comparison was made. */
  readonly solved: { readonly [level: string]: number }
  readonly directions: ReadonlyArray<{ readonly name: string; readonly swept: number; readonly difference: number }>
  /** ‖swept − difference‖ / ‖difference‖ over the directions. */
  readonly relativeError: number
}

/** The level asked for is not one whose hypergradient can be verified. */
export class VerifyError extends Schema.TaggedError<VerifyError>()("VerifyError", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}

const tagged = Predicate.or(Predicate.isTagged("StepFailure"), Predicate.isTagged("EngineError"))
const isFailure = (error: unknown): error is Failure => tagged(error)

type HostVector = ReadonlyArray<Float32Array>

const axes = (
  leaves: ReadonlyArray<NdArray>,
  count: number
): ReadonlyArray<readonly [string, HostVector]> | undefined => {
  const total = leaves.reduce((n, leaf) => n + leaf.data.length, 0)
  if (total > count) return undefined
  return leaves.flatMap((_, l) =>
    Array.from(leaves[l]!.data, (_value, i) => {
      const vector = leaves.map((leaf) => new Float32Array(leaf.data.length))
      vector[l]![i] = 1
      return [leaves.length === 1 ? `axis ${i}` : `axis ${l}.${i}`, vector] as const
    })
  )
}

const randomUnit = (leaves: ReadonlyArray<NdArray>, seed: Seed.Seed): HostVector => {
  const vector = leaves.map((leaf, i) => Seed.normal(Seed.fold(seed, i), leaf.data.length))
  const norm = Math.sqrt(vector.reduce((sum, part) => sum + part.reduce((s, x) => s + x * x, 0), 0))
  return vector.map((part) => part.map((x) => x / norm))
}

const moved = (tree: Tree.HostTree, direction: HostVector, distance: number): Tree.HostTree => {
  let next = 0
  return Tree.mapHost(tree, (leaf) => {
    const along = direction[next++]!
    return { ...leaf, data: Float32Array.from(leaf.data, (x, i) => x + distance * along[i]!) }
  })
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

// Enough copies of the one batch for a level's own turn and for a sweep through its past.
const batchesOf = (level: Plan.PlannedLevel): number => Math.max(level.repeat, level.estimator?.steps ?? 1, 1)

/**
 * Compares a program's hypergradient with central differences of the re-solved problem: one batch per level is held
 * fixed, the levels below are solved with their own optimizers, the variable is moved by ±radius, they are solved again,
 * and the change of the level's loss is held against the swept gradient.
 */
export const verify = <V extends Var.Any, E, R>(
  problem: Problem<V, E, R>,
  options: Options
): Effect.Effect<
  Verification,
  E | DataError | Wiring.WiringError | CompileError | EngineError | StepError | VerifyError,
  Exclude<R, Scope.Scope> | Engine
> =>
  Effect.scoped(
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
      const below = Wiring.closure(level).flatMap((l) => (l === level ? [] : [l.name]))
      const feed = yield* Feed.open(problem, Seed.make(options.seed))
      const batches = yield* feed(
        Object.fromEntries(plan.levels.map((l) => [l.name, Array.from({ length: batchesOf(l) }, () => 0)]))
      )
      const moment = (acting: ReadonlyArray<string>): Moment => ({
        acting,
        restarting: [],
        frozen: [],
        past: Object.fromEntries(
          plan.levels.flatMap((l) => (l.estimator === null ? [] : [[l.name, l.estimator.steps]]))
        ),
        diagnostics: false
      })
      const step = yield* engine.compile(Step.make(problem, plan, moment(below)))
      const gradientOf = yield* engine.observe(
        (state: State, b: Sweep.Batches) =>
          ({
            gradient: Sweep.direction(level, levels, sweep, state, b[name]!.at(-1)!, b, moment([name])).gradient
          }) as {
            readonly gradient: Tree.Tree
          }
      )
      const lossOf = yield* engine.observe((state: State, b: Sweep.Batches) => ({
        loss: Objective.evaluate(level, state.vars, b[name]!.at(-1)!).loss
      }))
      const cell = yield* Effect.acquireRelease(
        Effect.map(engine.start(initial(problem, plan), initialVars(problem, Seed.make(options.seed))), (state) => ({
          state
        })),
        (held) => engine.release(held.state)
      )
      const solve = Effect.gen(function* () {
        let norms: { readonly [level: string]: number } = {}
        for (let i = 0; i < (options.solveTicks ?? 200); i++) {
          const metrics = yield* Effect.uninterruptible(
            Effect.map(step.run(cell.state, batches), ([after, reported]) => {
              cell.state = after
              return reported
            })
          )
          norms = Object.fromEntries(Object.entries(metrics).map(([key, m]) => [key, m.gradientNorm.data[0]!]))
          yield* Effect.yieldNow
        }
        return norms
      })
      const norms = yield* solve
      const { gradient } = yield* gradientOf(cell.state, batches)
      const base = yield* engine.download(cell.state)

      const own = base.vars[level.own.name]!
      const leaves = Tree.hostEntries(own).map(([, leaf]) => leaf)
      const swept = Tree.hostEntries(gradient as Tree.HostTree).map(([, leaf]) => leaf)
      const count = options.directions ?? 8
      const random = Seed.fold(Seed.make(options.seed), "verify")
      const directions =
        axes(leaves, count) ??
        Array.from({ length: count }, (_, i) => [`random ${i}`, randomUnit(leaves, Seed.fold(random, i))] as const)
      const radius = options.radius ?? 0.01
      const lossAt = Effect.fnUntraced(function* (direction: HostVector, distance: number) {
        const vars = { ...base.vars, [level.own.name]: moved(own, direction, distance) }
        yield* engine.release(cell.state)
        cell.state = yield* engine.upload<State>({ ...base, vars })
        yield* solve
        return (yield* lossOf(cell.state, batches)).loss.data[0]!
      })
      const compared = yield* Effect.forEach(directions, ([label, direction]) =>
        Effect.gen(function* () {
          const ahead = yield* lossAt(direction, radius)
          const behind = yield* lossAt(direction, -radius)
          const along = swept.reduce((sum, leaf, l) => sum + dot(leaf.data, direction[l]!), 0)
          return { name: label, swept: along, difference: (ahead - behind) / (2 * radius) }
        })
      )
      const norm = (f: (c: (typeof compared)[number]) => number) =>
        Math.sqrt(compared.reduce((sum, c) => sum + f(c) ** 2, 0))
      return {
        level: name,
        variable: level.own.name,
        solved: norms,
        directions: compared,
        relativeError: norm((c) => c.swept - c.difference) / (norm((c) => c.difference) || 1)
      }
    }).pipe(Effect.mapError((error) => (isFailure(error) ? failedAt(0)(error) : error)))
  )

/** A verification for people. */
export const text = ({ directions, level, relativeError, solved, variable }: Verification): string => {
  const width = Math.max(9, ...directions.map((d) => d.name.length))
  const number = (x: number) => x.toExponential(5).padStart(13)
  return [
    `gradient of '${level}' with respect to '${variable}', on one batch a level`,
    ...Object.entries(solved).map(([name, norm]) => `  ${name} solved to a gradient norm of ${norm.toExponential(2)}`),
    `  ${"direction".padEnd(width)}  ${"swept".padStart(13)}  ${"difference".padStart(13)}`,
    ...directions.map((d) => `  ${d.name.padEnd(width)}  ${number(d.swept)}  ${number(d.difference)}`),
    `relative error ${relativeError.toExponential(2)}`
  ].join("\n")
}
