import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Problem from "../dsl/Problem.ts"
import * as Tree from "../dsl/Tree.ts"
import type { Var } from "../dsl/Var.ts"
import { EngineError, StepError } from "../engines/Engine.ts"
import * as Wiring from "../runtime/plan/Wiring.ts"
import type { HostVars } from "../runtime/run/Run.ts"
import type { Selected } from "../runtime/run/Watch.ts"
import type * as Config from "./Config.ts"
import type * as JsonFile from "../files/JsonFile.ts"
import * as Manifest from "./Manifest.ts"
import type { RunFolder } from "./RunFolder.ts"
import * as Trial from "./Trial.ts"

const TypeId = "~tapweight/runs/Program"

/** One tick of one trial, as whoever watches the run is told. */
export interface Progress {
  readonly trial: string
  readonly tick: Selected
  readonly ticks: number
  /** Names of the tradeoff weights that a level reports as `lambda`, by level. */
  readonly weights: { readonly [level: string]: ReadonlyArray<string> }
}

/** What a program may use while it runs. */
export interface Session {
  readonly folder: RunFolder
  /** Notes in the manifest what the run reads; refuses to go on with other data or weights than it began with. */
  readonly inputs: (
    found: Manifest.Inputs
  ) => Effect.Effect<void, JsonFile.RunFileError, FileSystem.FileSystem | Path.Path>
  /** Runs a problem into `trials/<name>` of the run folder, or into the folder itself where the name is empty. */
  readonly trial: <V extends Var.Any, E, R, E2 = never, R2 = never>(
    name: string,
    options: Omit<Trial.Options<V, E, R, E2, R2>, "onTick">
  ) => ReturnType<typeof Trial.run<V, E, R, E2, R2>>
}

/** What a finished program says: numbers for scripts, a text for people, pictures by file name. */
export interface Result {
  readonly result: Schema.Json
  readonly text: string
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

type Settings = Schema.Struct<{ readonly [key: string]: Schema.ConstraintCodec<unknown, unknown> }>

/** A declarative experiment: what the command line runs, plans and verifies. */
export interface Program<S extends Settings = any> {
  readonly [TypeId]: typeof TypeId
  /** Up to 64 of a-z, 0-9 and '-': names the run's folder. */
  readonly name: string
  readonly description: string
  readonly config: Config.Config<S>
  /** The problem that `plan` prints and `verify` checks. */
  readonly problem: (config: S["Type"]) => Effect.Effect<Problem.Problem.Any, any, any>
  readonly run: (session: Session, config: S["Type"]) => Effect.Effect<Result, any, any>
}

/** Whether a value is a program. */
export const isProgram = (u: unknown): u is Program => Predicate.hasProperty(u, TypeId)

/** A program from its parts. Its settings include {@link common}. */
export const make = <S extends Settings & Schema.Struct<typeof common>>(
  spec: Omit<Program<S>, typeof TypeId>
): Program<S> => ({
  [TypeId]: TypeId,
  ...spec
})

const shown = 64

// A result shows what a person could read: variables that are one short array. All of them are in final.safetensors.
const small = (vars: HostVars): { readonly [variable: string]: ReadonlyArray<number> } =>
  Object.fromEntries(
    Tree.hostEntries(vars).flatMap(([path, { data }]) =>
      path in vars && data.length <= shown ? [[path, Array.from(data)] as const] : []
    )
  )

/** A program that is one problem, run once. Its settings include {@link common}. */
export const fromProblem = <S extends Settings & Schema.Struct<typeof common>, E, R>(spec: {
  readonly name: string
  readonly description: string
  readonly config: Config.Config<S>
  readonly problem: (config: S["Type"]) => Problem.Problem<any, E, R>
  readonly diagnosticsEvery?: number
}): Program<S> =>
  make({
    name: spec.name,
    description: spec.description,
    config: spec.config,
    problem: (config) => Effect.sync(() => spec.problem(config)),
    run: (session, config) =>
      Effect.gen(function* () {
        const { seed, ticks } = config as { readonly seed: number; readonly ticks: number }
        const outcome = yield* session.trial("", {
          problem: yield* Effect.sync(() => spec.problem(config)),
          seed,
          ticks,
          ...(spec.diagnosticsEvery === undefined ? {} : { diagnosticsEvery: spec.diagnosticsEvery })
        })
        const variables = small(outcome.vars)
        const lines = Object.entries(variables).map(
          ([path, values]) => `${path}  ${values.map((v) => Number(v.toPrecision(5))).join(" ")}`
        )
        return { result: { tick: outcome.tick, variables }, text: lines.join("\n") }
      })
  })

/** Where a trial of a run lies: `trials/<name>`, or the run's own folder where the name is empty. */
export const trialFolder = (folder: RunFolder, name: string): RunFolder =>
  name === "" ? folder : { ...folder, path: `${folder.path}/trials/${name}` }

/** The error of a trial says which one, where several are run. */
const ofTrial = <E>(name: string, error: E): E | StepError | EngineError => {
  if (error instanceof StepError) return new StepError({ ...error, reason: `${error.reason} (trial ${name})` })
  if (error instanceof EngineError) return new EngineError({ ...error, reason: `${error.reason} (trial ${name})` })
  return error
}

/** A session in a folder; `report` hears of every tick. */
export const session = (folder: RunFolder, report: (progress: Progress) => Effect.Effect<void>): Session => ({
  folder,
  inputs: (found) => Manifest.inputs(folder, found),
  trial: (name, options) =>
    Trial.run(trialFolder(folder, name), {
      ...options,
      onTick: (tick) => report({ trial: name, tick, ticks: options.ticks, weights: Wiring.elements(options.problem) })
    }).pipe(Effect.mapError((error) => (name === "" ? error : ofTrial(name, error))))
})
