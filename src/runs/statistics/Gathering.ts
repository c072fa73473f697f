/** The scores of several runs put together, where they may be. */
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as JsonFile from "../../files/JsonFile.ts"
import * as Manifest from "../folder/Manifest.ts"
import * as ResultFile from "../folder/ResultFile.ts"
import type { RunFolder } from "../folder/RunFolder.ts"
import type { Score } from "../folder/Score.ts"
import * as Config from "../trial/Config.ts"
import * as Labels from "../trial/Labels.ts"

/** Runs that cannot be compared, or not so. */
export class CompareError extends Schema.TaggedError<CompareError>()("CompareError", { reason: Schema.String }) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    return this.reason
  }
}

/** One run's part of a comparison. */
interface Part {
  readonly run: string
  readonly program: string
  readonly scores: ReadonlyArray<Score>
  readonly entries: Config.Entries
  readonly data: Manifest.Manifest["data"]
}

/** Scores to compare, and why they should not have been, where that was asked for. */
export interface Gathered {
  readonly runs: ReadonlyArray<string>
  readonly scores: ReadonlyArray<Score>
  readonly warnings: ReadonlyArray<string>
}

const partOf = Effect.fnUntraced(function* (folder: RunFolder) {
  const stored = yield* ResultFile.read(folder)
  if (stored === undefined) {
    return yield* new CompareError({ reason: `run ${folder.id} is not done: wait for it, or resume it` })
  }
  if (stored.scores === undefined || stored.scores.length === 0) {
    const reason = `run ${folder.id} says no scores: its program '${stored.program}' gives none with its result`
    return yield* new CompareError({ reason })
  }
  const entries = yield* JsonFile.readSealed((yield* Path.Path).join(folder.path, "config.json"), Config.Entries)
  const { data } = yield* Manifest.read(folder)
  return {
    run: folder.id,
    program: stored.program,
    scores: stored.scores,
    entries,
    data
  } satisfies Part as Part
})

/** How runs differ, in their programs and settings: what their methods are told apart by. */
const labelsOf = (parts: ReadonlyArray<Part>): ReadonlyArray<string> => {
  const programs = new Set(parts.map(({ program }) => program)).size > 1
  return Labels.labels(parts.map(({ entries }) => entries)).map((label, i) =>
    [...(programs ? [parts[i]!.program] : []), ...(label === "" ? [] : [label])].join(", ")
  )
}

/** Data sets of one name that are not the same, in words. */
const mixed = (parts: ReadonlyArray<Part>): ReadonlyArray<string> => {
  const known = new Map<string, { readonly run: string; readonly state: string }>()
  const found: Array<string> = []
  for (const { data, run } of parts) {
    for (const { name, sha256, split, version } of data) {
      const state = JSON.stringify([sha256, version, split])
      const before = known.get(name)
      if (before === undefined) known.set(name, { run, state })
      else if (before.state !== state)
        found.push(`data set '${name}' or its split is another in ${run} than in ${before.run}`)
    }
  }
  return found
}

const keyOf = ({ method, metric, seed, split, task }: Score): string =>
  JSON.stringify([method, task, seed, metric, split])

/**
 * The scores of finished runs. Methods of runs with other settings are told apart by these. Runs on other data, other splits or
 * other senses of a metric are refused, or with `force` put together with a warning; so is a score that two runs have.
 */
export const gather = Effect.fnUntraced(function* (folders: ReadonlyArray<RunFolder>, force: boolean) {
  const parts = yield* Effect.forEach(folders, partOf)
  const scores: Array<Score> = []
  const owners = new Map<string, string>()
  const senses = new Map<string, Score["better"]>()
  const warnings = [...mixed(parts)]
  const labels = labelsOf(parts)
  for (const [i, part] of parts.entries()) {
    const label = labels[i]!
    for (const score of part.scores) {
      const named = label === "" ? score : { ...score, method: `${score.method} (${label})` }
      const owner = owners.get(keyOf(named))
      if (owner !== undefined) {
        const reason = `${owner} and ${part.run} both have ${named.method} on ${named.task} with seed ${named.seed}: give one of them`
        return yield* new CompareError({ reason })
      }
      owners.set(keyOf(named), part.run)
      const sense = senses.get(named.metric)
      if (sense !== undefined && sense !== named.better) {
        warnings.push(`of '${named.metric}' more is better in one run and less in another`)
      }
      senses.set(named.metric, sense ?? named.better)
      scores.push(named)
    }
  }
  if (warnings.length > 0 && !force) {
    const reason = `these runs do not compare: ${[...new Set(warnings)].join("; ")}. Say --force to compare them all the same`
    return yield* new CompareError({ reason })
  }
  return { runs: parts.map(({ run }) => run), scores, warnings: [...new Set(warnings)] } satisfies Gathered as Gathered
})

/** What is compared: a metric on a split against a baseline, where something is said of it. */
export interface Choice {
  readonly metric: string | undefined
  readonly split: Score["split"] | undefined
  readonly baseline: string | undefined
}

const listed = (names: ReadonlyArray<string>): string => names.map((name) => `'${name}'`).join(", ")

/** The scores of one metric on one split: test where there is such, and the only metric; the first method is the baseline. */
export const choose = Effect.fnUntraced(function* (scores: ReadonlyArray<Score>, choice: Choice) {
  const refuse = (reason: string) => new CompareError({ reason })
  const metrics = [...new Set(scores.map(({ metric }) => metric))]
  const metric = choice.metric ?? (metrics.length === 1 ? metrics[0]! : undefined)
  if (metric === undefined) return yield* refuse(`several metrics: say --metric and one of ${listed(metrics)}`)
  if (!metrics.includes(metric)) return yield* refuse(`no score in '${metric}': there is ${listed(metrics)}`)
  const measured = scores.filter((score) => score.metric === metric)
  const split = choice.split ?? (measured.some((score) => score.split === "test") ? "test" : "validation")
  const own = measured.filter((score) => score.split === split)
  if (own.length === 0) return yield* refuse(`no score in '${metric}' on ${split}`)
  const methods = [...new Set(own.map(({ method }) => method))]
  const baseline = choice.baseline ?? methods[0]!
  if (!methods.includes(baseline)) return yield* refuse(`no method '${baseline}': there is ${listed(methods)}`)
  return { scores: own, baseline }
})
