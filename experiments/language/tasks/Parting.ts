/** The parts of a task: those that its files have, and those that are taken from training. */
import * as Effect from "effect/Effect"
import { Dataset, type Manifest, Seed, Split } from "tapweight"
import * as Partition from "../../common/Partition.ts"
import type { Loaded } from "./Read.ts"
import type { Example, Kind, Task } from "./Task.ts"

type Examples = ReadonlyArray<Example>

/** How parts are made. */
export interface Options {
  readonly seed: Seed.Seed
  /** Whether validation is what the files have for it, where they have it, or a ninth of training as for tasks that have none. */
  readonly validation?: "own" | "train"
}

/** Takes a share of examples away: whole documents where sentences have them, else the same share of each class. */
const taken = (
  seed: Seed.Seed,
  kind: Kind,
  examples: Examples,
  share: number
): readonly [rest: Examples, taken: Examples] => {
  const shares = { train: 1 - share, validation: 0 }
  const of = (rows: ArrayLike<number>): Examples => Array.from(rows, (row) => examples[row]!)
  const documents = [...new Set(examples.flatMap(({ document }) => document ?? []))]
  if (documents.length > 0) {
    const { test } = Partition.random(seed, documents.length, shares)
    const own = new Set(Array.from(test, (i) => documents[i]!))
    const isOwn = ({ document }: Example): boolean => document !== undefined && own.has(document)
    return [examples.filter((example) => !isOwn(example)), examples.filter(isOwn)]
  }
  const labels = examples.map(({ label }) => label)
  const { test, train } =
    kind.kind === "classification"
      ? Partition.stratified(seed, labels, shares)
      : Partition.random(seed, examples.length, shares)
  return [of(train), of(test)]
}

/** What an example reads, for telling whether another part has it too. */
const textOf = ({ pair = "", text }: Example): string => `${text}\t${pair}`

/**
 * The parts of a task as the paper has them: training and validation 8 : 1 where there is no validation file, and a tenth for a test where
 * there is no test file. Fails with a `DataError` where a part is empty.
 */
export const make = (
  { kind, parts: read, schema }: Loaded,
  { seed, validation = "own" }: Options,
  inputs: ReadonlyArray<typeof Manifest.Data.Type> = []
): Effect.Effect<Task, Dataset.DataError> => {
  let train: Examples = read.train.examples
  const rules: Array<string> = []
  const take = (part: Split.Part, own: Examples | undefined, share: number, said: string): Examples => {
    if (own !== undefined) return own
    const [rest, others] = taken(Seed.fold(seed, part), kind, train, share)
    train = rest
    rules.push(`${part} ${said} of training`)
    return others
  }
  const test = take("test", read.test?.examples, 0.1, "a tenth")
  const chosen = take("validation", validation === "own" ? read.validation?.examples : undefined, 1 / 9, "a ninth")
  const counts = { train: train.length, validation: chosen.length, test: test.length }
  const empty = Object.entries(counts).find(([, rows]) => rows === 0)
  if (empty !== undefined) {
    const reason = `its ${empty[0]} part is empty (${read.train.examples.length} rows for training were read): give more rows, or a file for this part`
    return Effect.fail(new Dataset.DataError({ dataset: schema.name, reason }))
  }
  const seen = new Set(test.map(textOf))
  const both = train.reduce((sum, example) => sum + Number(seen.has(textOf(example))), 0)
  const apart = train.some(({ document }) => document !== undefined) ? "whole documents" : "rows"
  const summary = [
    `${schema.name}: ${counts.train} train, ${counts.validation} validation, ${counts.test} test`,
    ...(rules.length === 0 ? [] : [`${rules.join(", ")}, in ${apart}`]),
    ...(both === 0 ? [] : [`${both} training rows are test rows too`])
  ].join("; ")
  const { metric, name } = schema
  return Effect.succeed({
    name,
    kind,
    metric,
    summary,
    inputs,
    ...Split.apart({ train, validation: chosen, test })
  })
}
