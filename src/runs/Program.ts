import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Precision } from "../dsl/Precision.ts"
import type { Problem } from "../dsl/Problem.ts"
import * as Closed from "../dsl/Problem.ts"
import type { Var } from "../dsl/Var.ts"
import type { Engine } from "../engines/Engine.ts"
import type * as Config from "./trial/Config.ts"
import * as LambdaChart from "./view/LambdaChart.ts"
import * as OutcomeText from "./view/OutcomeText.ts"
import type { Table } from "./folder/ResultFile.ts"
import type { Score } from "./folder/Score.ts"
import * as Records from "./folder/Records.ts"
import type { Session } from "./trial/Session.ts"

const TypeId = "~tapweight/runs/Program"

/** What a finished program says: numbers for scripts, a text for people, scores to compare, pictures by file name. */
export interface Result {
  readonly result: Schema.Json
  readonly text: string
  /** Of each method on each task with each seed: what `tapweight compare` reads. */
  readonly scores?: ReadonlyArray<Score>
  /** Tables that a run's page shows beside what its levels cost. */
  readonly tables?: ReadonlyArray<Table>
  readonly charts?: { readonly [file: string]: string }
}

/** Settings every program has. */
export const common = {
  /** A run is a function of (program, seed). */
  seed: Schema.Int,
  /** Ticks of the run. */
  ticks: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
}

/** The settings of a program that has no others. */
export const Common = Schema.Struct(common)

type Fields = { readonly [key: string]: Schema.ConstraintCodec<unknown, unknown> }

/** Settings of any program: {@link common}, and others. */
export type Settings = Schema.Struct<Fields & typeof common>

/** Problems by name. */
export type Problems<E = unknown, R = unknown> = { readonly [name: string]: Problem<Var.Any, E, R> }

/** A program whose data are at hand: every problem that it will run, and the running of them. */
export interface Prepared<out E = unknown, out R = unknown> {
  readonly problems: Problems<E, R>
  readonly run: (session: Session) => Effect.Effect<Result, E, R | Engine | Scope.Scope>
}

/**
 * A declarative experiment: what the command line runs, plans and verifies. Its type tells its settings, how it fails and
 * which services it needs beside the engine, which runs have and preparing does without.
 */
export interface Program<S extends Settings, out E = never, out R = never> {
  readonly [TypeId]: typeof TypeId
  /** Up to 64 of a-z, 0-9 and '-': names the run's folder. */
  readonly name: string
  readonly description: string
  readonly config: Config.Config<S>
  /**
   * Reads and works out the data, once, for the scope that the run lies in. Levels that state no precision compute in the one
   * given here.
   */
  prepare(
    settings: S["Type"],
    options?: { readonly precision?: Precision }
  ): Effect.Effect<Prepared<E, R>, E, R | Scope.Scope>
}

export declare namespace Program {
  /** Any program. */
  export type Any = Program<Settings, unknown, unknown>
  /** Any program that needs no services but these. */
  export type Needing<R> = Program<Settings, unknown, R>
}

/** Whether a value is a program. */
export const isProgram = (u: unknown): u is Program.Any => Predicate.hasProperty(u, TypeId)

type ProblemE<P extends Problems> = P[keyof P] extends Problem<Var.Any, infer E, unknown> ? E : never
type ProblemR<P extends Problems> = P[keyof P] extends Problem<Var.Any, unknown, infer R> ? R : never

/** Problems whose levels compute in `precision` where they state none. */
const allIn = <P extends Problems>(precision: Precision, problems: P): P =>
  Object.fromEntries(
    Object.entries(problems).map(([name, problem]) => [name, Closed.precision(precision)(problem)])
  ) as P

/**
 * A program in three steps: `prepare` reads the data (in the scope of the run), `problems` states every problem that will
 * be run, by name (`plan` prints each, the run's manifest identifies each, `verify --problem NAME` checks one), and `run` runs
 * them. Its settings include {@link common}.
 */
export const make = <
  S extends Settings,
  D,
  const P extends Problems,
  E1 = never,
  R1 = never,
  E2 = never,
  R2 = never
>(spec: {
  readonly name: string
  readonly description: string
  readonly config: Config.Config<S>
  readonly prepare: (settings: S["Type"]) => Effect.Effect<D, E1, R1 | Scope.Scope>
  readonly problems: (data: D, settings: S["Type"]) => P
  readonly run: (
    session: Session,
    prepared: { readonly data: D; readonly problems: P; readonly settings: S["Type"] }
  ) => Effect.Effect<Result, E2, R2 | Engine | Scope.Scope>
}): Program<S, E1 | E2 | ProblemE<P>, R1 | R2 | ProblemR<P>> => ({
  [TypeId]: TypeId,
  name: spec.name,
  description: spec.description,
  config: spec.config,
  prepare: (settings, { precision } = {}) =>
    Effect.map(spec.prepare(settings), (data) => {
      const stated = spec.problems(data, settings)
      const problems = precision === undefined ? stated : allIn(precision, stated)
      return {
        // Each fails with and needs no more than all together.
        problems: problems as Problems<ProblemE<P>, ProblemR<P>>,
        run: (session) => spec.run(session, { data, problems, settings })
      }
    })
})

/** A program that is one problem, run once. Its settings include {@link common}. */
export const fromProblem = <S extends Settings, V extends Var.Any, E, R>(spec: {
  readonly name: string
  readonly description: string
  readonly config: Config.Config<S>
  readonly problem: (settings: S["Type"]) => Problem<V, E, R>
  readonly diagnosticsEvery?: number
}) =>
  make({
    name: spec.name,
    description: spec.description,
    config: spec.config,
    prepare: () => Effect.void,
    problems: (_, settings) => ({ [spec.name]: spec.problem(settings) }),
    run: (session, { problems, settings }) =>
      Effect.gen(function* () {
        const { seed, ticks }: Settings["Type"] = settings
        const outcome = yield* session.trial("", {
          problem: problems[spec.name]!,
          seed,
          ticks,
          ...(spec.diagnosticsEvery === undefined ? {} : { diagnosticsEvery: spec.diagnosticsEvery })
        })
        const records = yield* Records.read(session.folder)
        const lambda = OutcomeText.lambdas(records)
        const chart = yield* LambdaChart.make(session.folder, [""], `seed ${seed}`)
        return {
          result: { tick: outcome.tick, variables: OutcomeText.short(outcome.vars), lambda },
          text: OutcomeText.text(outcome.vars, lambda),
          ...(chart === undefined ? {} : { charts: { "lambda.svg": chart } })
        }
      })
  })
