/** The parts of a task: those that its files have, and those that are drawn from training. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Dataset, Seed, Split } from "tapweight"
import * as Partition from "../../common/Partition.ts"
import type { Loaded } from "./Read.ts"
import type { Example, Kind, Task } from "./Task.ts"

type Examples = ReadonlyArray<Example>

/** What parts are drawn by where nobody says: a task has the same for every seed of a comparison. */
export const defaultSeed = Seed.fold(Seed.make(0), "parts")

/** How parts are made. */
export const Rules = Schema.Struct({
  /** Whether validation is what the files have for it (`own`, where they have it), or is drawn from all rows that are not for the test. */
  validation: Schema.Literals(["own", "drawn"]),
  /** The share of rows, or of documents, that is drawn for validation. */
  share: Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThan(1)),
  /** Whether training and validation may have texts of the test part, as published splits do (`keep`), or not. */
  overlap: Schema.Literals(["keep", "drop"])
})
export type Rules = typeof Rules.Type

/** The paper's parts: 8 : 1 where files have no validation. */
export const paper: Rules = { validation: "own", share: 1 / 9, overlap: "keep" }

/** The rules, those of the paper where absent, and what is drawn by. */
export type Options = Partial<Rules> & { readonly seed: Seed.Seed }

/** Rows that belong together: those of one document, or one that is of none. */
const groupsOf = (examples: Examples): ReadonlyArray<Examples> => {
  const documents = new Map<string, Array<Example>>()
  const groups: Array<Array<Example>> = []
  for (const example of examples) {
    const { document } = example
    const own = document === undefined ? undefined : documents.get(document)
    if (own !== undefined) own.push(example)
    else {
      const group = [example]
      groups.push(group)
      if (document !== undefined) documents.set(document, group)
    }
  }
  return groups
}

const inDocuments = (examples: Examples): boolean => examples.some(({ document }) => document !== undefined)

/** Parts a share of examples off: whole documents where sentences have them, else the same share of each class. */
const parted = (
  seed: Seed.Seed,
  kind: Kind,
  examples: Examples,
  share: number
): readonly [rest: Examples, drawn: Examples] => {
  const groups = groupsOf(examples)
  const shares = { train: 1 - share, validation: 0 }
  const labels = groups.map(([first]) => first!.label)
  const { test, train } =
    kind.type === "classes" && !inDocuments(examples)
      ? Partition.stratified(seed, labels, shares)
      : Partition.random(seed, groups.length, shares)
  const of = (rows: Int32Array): Examples => Array.from(rows, (row) => groups[row]!).flat()
  return [of(train), of(test)]
}

/** What an example reads, for telling whether another part has it too. */
const textOf = ({ pair = "", text }: Example): string => `${text}\t${pair}`

/** Without documents of which more than half the texts are among these: a formula that abstracts share makes none. */
const without = (examples: Examples, texts: ReadonlySet<string>): Examples =>
  groupsOf(examples)
    .filter((group) => 2 * group.filter((example) => texts.has(textOf(example))).length <= group.length)
    .flat()

/** A share in words. */
const said = (share: number): string => `${Number((100 * share).toFixed(1))} %`

/**
 * The parts of a task: of its files, or drawn by the seed from training where they have none, a tenth for the test and a ninth of the rest
 * for validation. Fails with a `DataError` where a part is empty; throws a `RangeError` on a share that is none.
 */
export const make = (
  { kind, parts: read, schema }: Loaded,
  options: Options
): Effect.Effect<Omit<Task, "inputs">, Dataset.DataError> => {
  const { overlap, seed, share, validation } = { ...paper, ...options }
  if (!(share > 0 && share < 1))
    throw new RangeError(`Parting.make: share ${share} for validation; give one between 0 and 1`)
  const { metric, name } = schema
  const all = read.train.examples
  const rules: Array<string> = []
  const draw = (part: Split.Part, from: Examples, share: number) => {
    rules.push(`${part} ${said(share)} of ${inDocuments(from) ? "documents" : "rows"}`)
    return parted(Seed.fold(seed, part), kind, from, share)
  }
  const [outside, test] = read.test === undefined ? draw("test", all, 0.1) : [all, read.test.examples]
  const texts = new Set(test.map(textOf))
  const apart = (examples: Examples): Examples => (overlap === "drop" ? without(examples, texts) : examples)
  const own = read.validation?.examples
  const [train, chosen] =
    own !== undefined && validation === "own"
      ? [apart(outside), apart(own)]
      : draw("validation", apart([...outside, ...(own ?? [])]), share)
  const counts = { train: train.length, validation: chosen.length, test: test.length }
  const empty = Object.entries(counts).find(([, rows]) => rows === 0)
  if (empty !== undefined) {
    const reason = `its ${empty[0]} part is empty (${all.length} rows for training were read): give more rows, or a file for this part`
    return Effect.fail(new Dataset.DataError({ dataset: name, reason }))
  }
  const before = outside.length + (own?.length ?? 0)
  const dropped = overlap === "drop" ? before - train.length - chosen.length : 0
  const both = [...train, ...chosen].filter((example) => texts.has(textOf(example))).length
  const summary = [
    `${name}: ${counts.train} train, ${counts.validation} validation, ${counts.test} test`,
    ...rules,
    ...(dropped === 0 ? [] : [`${dropped} rows dropped, whose texts are in the test part`]),
    ...(both === 0 ? [] : [`${both} rows for training and validation have texts of the test part`])
  ].join("; ")
  return Effect.succeed({ name, kind, metric, summary, ...Split.apart({ train, validation: chosen, test }) })
}
