/** The plans of a program's problems, for people and for scripts. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Fingerprints, fingerprints } from "../compiler/Fingerprint.ts"
import type { Problem } from "../dsl/Problem.ts"
import type { Var } from "../dsl/Var.ts"
import { CompileError, EngineError, failedAt } from "../engines/Engine.ts"
import { unavailable } from "../tensor/Rounding.ts"
import * as JsonFile from "../files/JsonFile.ts"
import * as Plan from "../runtime/plan/Plan.ts"
import * as PlanText from "../runtime/plan/PlanText.ts"
import { Wiring } from "../runtime/plan/Wiring.ts"
import * as Sharing from "../runtime/step/Sharing.ts"
import { levelsOf } from "../runtime/step/State.ts"
import { Plans } from "../runs/folder/PlanFile.ts"
import type { Problems } from "../runs/Program.ts"
import * as Load from "./launch/Load.ts"
import * as Options from "./Options.ts"

/** A problem of a program, by the program's name for it, with its plan. */
export interface Planned<out E = unknown, out R = unknown> {
  readonly name: string
  readonly problem: Problem<Var.Any, E, R>
  readonly plan: Plan.Plan
  readonly fingerprints: Fingerprints
}

/**
 * The plan of each problem. Every level's turn is traced, which computes nothing: an objective that throws fails here with the
 * `StepError` of the first tick, before there is a run.
 */
export const of = <E, R>(problems: Problems<E, R>) =>
  Effect.forEach(Object.entries(problems), ([name, problem]) =>
    Effect.gen(function* () {
      const plan = yield* Effect.fromResult(Plan.make(problem))
      const found = fingerprints(problem, plan)
      if (found.mistake?._tag === "StepFailure") return yield* failedAt(1)(found.mistake)
      return { name, problem, plan, fingerprints: found } satisfies Planned<E, R> as Planned<E, R>
    })
  )

/** What keeps a compiled engine from running one of the problems; undefined where nothing does. */
export const uncompiled = (planned: ReadonlyArray<Planned>): CompileError | undefined =>
  planned.flatMap(({ fingerprints: { mistake } }) => (mistake?._tag === "CompileError" ? [mistake] : []))[0]

/** What keeps an engine without numbers in 16 bits from running one of the problems. */
const rounded = (planned: ReadonlyArray<Planned>): CompileError | undefined => {
  for (const { plan } of planned) {
    for (const { name, precision = "" } of plan.levels) {
      const format = (["bfloat16", "float16"] as const).find((each) => precision.startsWith(each))
      if (format === undefined) continue
      return new CompileError({ op: "Level.precision", level: name, reason: unavailable(format) })
    }
  }
  return undefined
}

/** What keeps an engine from running one of the problems, as far as it can be told before there is a run. */
export const refused = (planned: ReadonlyArray<Planned>, engine: Options.EngineName): CompileError | undefined =>
  (Options.isCompiled(engine) ? uncompiled(planned) : undefined) ?? (engine === "xla" ? undefined : rounded(planned))

/** What devices share of each problem, for people. Fails where they cannot share some level's batches equally. */
export const shared = Effect.fnUntraced(function* (
  planned: ReadonlyArray<Planned>,
  devices: number,
  shardOptimizer: boolean
) {
  const texts: Array<string> = []
  for (const { name, problem } of planned) {
    const levels = [...levelsOf(problem).values()]
    const reason = Sharing.ofLevels(levels, devices)
    if (reason !== undefined) return yield* new EngineError({ kind: "Refused", engine: "xla", tick: null, reason })
    const text = Sharing.text(levels, devices, shardOptimizer)
    texts.push(planned.length === 1 ? text : `problem ${name} ${text}`)
  }
  return texts.join("\n")
})

/** Plans as they are written down. */
export const written = (planned: ReadonlyArray<Planned>): Plans => ({
  problems: Object.fromEntries(planned.map(({ name, plan }) => [name, plan]))
})

/** Reads plans from a .json file: a wiring, names in place of values as `Wiring.Wiring` describes, or {@link Plans}. */
export const ofFile = Effect.fnUntraced(function* (file: string) {
  const unreadable = (error: JsonFile.RunFileError) => new Load.ProgramError({ program: file, reason: error.reason })
  const json = yield* Effect.mapError(JsonFile.read(file, Schema.JsonObject), unreadable)
  if ("problems" in json) return yield* Effect.mapError(JsonFile.read(file, Plans), unreadable)
  const wiring = yield* Effect.mapError(JsonFile.read(file, Wiring), unreadable)
  return { problems: { [wiring.top]: yield* Effect.fromResult(Plan.fromWiring(wiring)) } } satisfies Plans
})

/** Each distinct plan once, under the names of its problems where there are several. */
const each = ({ problems }: Plans, print: (plan: Plan.Plan) => string, heading: (names: string) => string): string => {
  const names = new Map<string, ReadonlyArray<string>>()
  for (const [name, plan] of Object.entries(problems)) {
    const printed = print(plan)
    names.set(printed, [...(names.get(printed) ?? []), name])
  }
  if (Object.keys(problems).length === 1) return [...names.keys()].join("")
  return [...names].map(([printed, of]) => `${heading(of.join(", "))}\n${printed}`).join("\n\n")
}

/** Plans in a form that was asked for. */
export const forms = {
  text: (plans: Plans) => each(plans, PlanText.text, (names) => `problem ${names}`),
  mermaid: (plans: Plans) => each(plans, PlanText.mermaid, (names) => `%% problem ${names}`),
  json: (plans: Plans) => JSON.stringify(plans)
} as const
