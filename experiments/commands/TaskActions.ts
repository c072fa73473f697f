/** What `tapweight data` does with tasks of texts. */
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { Dataset, Split, TextTable as Columns } from "tapweight"
import { Launch } from "tapweight/cli"
import * as Source from "../common/fetch/Source.ts"
import * as Benchmarks from "../language/tasks/Benchmarks.ts"
import * as Parting from "../language/tasks/Parting.ts"
import * as Read from "../language/tasks/Read.ts"
import type { Example, Kind } from "../language/tasks/Task.ts"
import * as Tasks from "../language/tasks/Tasks.ts"

type Format = "text" | "json"

/** The tasks known by name, as a table. */
export const listed = (): string =>
  Columns.words([
    ["name", "labels", "metric", "fetched", "what"],
    ...Benchmarks.all.map(({ about, labels, metric, name, range, sources }) => [
      name,
      range === undefined ? String(labels!.length) : range.join(" … "),
      metric,
      sources === undefined ? "" : "yes",
      about
    ])
  ])

/** How many rows have each label, or where scores lie. */
const labelsOf = (kind: Kind, examples: ReadonlyArray<Example>): { readonly [label: string]: number } => {
  const labels = examples.map(({ label }) => label)
  if (kind.type === "classes")
    return Object.fromEntries(kind.names.map((name, i) => [name, labels.filter((label) => label === i).length]))
  return { least: Math.min(...labels), most: Math.max(...labels) }
}

/** Reads a task and says what is in it. */
export const check = Effect.fnUntraced(function* (
  place: Tasks.Place,
  { format }: { readonly format: Format; readonly data: string }
) {
  const task = yield* Tasks.make(place, { seed: Parting.defaultSeed })
  const { kind, metric, name, summary } = task
  const rows = Split.count(task, (examples) => examples.length)
  const parts = { train: {}, validation: {}, test: {} } as { [P in Split.Part]: ReturnType<typeof labelsOf> }
  Split.count(task, (examples, part) => {
    parts[part] = labelsOf(kind, examples)
    return examples.length
  })
  const dropped = task.inputs.flatMap(({ dropped }) => dropped).reduce((sum, { rows }) => sum + rows, 0)
  const text = [
    summary,
    ...task.inputs.map(({ name, read, source }) => `${name}: ${read} rows of ${source}`),
    ...(dropped === 0 ? [] : [`${dropped} incomplete rows were left out`]),
    Columns.numbers([
      [`label (${metric})`, ...Object.keys(parts)],
      ...Object.keys(parts.train).map((label) => [label, ...Object.values(parts).map((counts) => `${counts[label]}`)])
    ])
  ]
  const files = task.inputs.map(({ name, read, sha256, source }) => ({ name, file: source, rows: read, sha256 }))
  yield* Launch.print(format, text.join("\n"), { name, metric, files, dropped, rows, labels: parts })
})

/** Fetches a task's files and reads them once. */
export const fetch = Effect.fnUntraced(function* (
  { schema }: Tasks.Place,
  options: { readonly name: string; readonly to: string; readonly format: Format; readonly quiet: boolean }
) {
  const { name, sources } = schema
  if (sources === undefined) {
    const reason = "no address is known to fetch it from: put its files where `tapweight data check` looks for them"
    return yield* new Dataset.DataError({ dataset: name, reason })
  }
  const say = Launch.saying(options.quiet)
  const next = `tapweight data check ${options.name} --data ${options.to}`
  for (const { file, ...source } of sources) yield* Source.fetch(source, join(options.to, file), next, say)
  const { parts } = yield* Read.read(options.to, schema)
  const rows = Object.fromEntries(Object.entries(parts).map(([part, { examples }]) => [part, examples.length]))
  const counts = Object.entries(rows).map(([part, count]) => `${count} ${part}`)
  const known = sources.every(({ sha256 }) => sha256 !== undefined)
  const how = known ? "hashes checked" : "no hash is declared for all; checked by columns and labels"
  yield* Launch.print(options.format, `${name}  ${options.to}\nrows: ${counts.join(", ")} (${how})`, { name, rows })
})
