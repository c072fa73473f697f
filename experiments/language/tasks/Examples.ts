/** Rows as examples: labels by number, texts trimmed, sentences of a document together. */
import { Printable } from "tapweight"
import { type Column, namesOf } from "../../common/tables/Column.ts"
import { TableError } from "../../common/tables/TableError.ts"
import type { Row } from "./Rows.ts"
import type { Example, Kind } from "./Task.ts"
import { type Layout, spelled, type TaskSchema } from "./TaskSchema.ts"

/** What labels of a schema are. */
export const kindOf = ({ labels = [], range }: Pick<TaskSchema, "labels" | "range">): Kind =>
  range === undefined ? { type: "classes", names: labels.map((label) => namesOf(label)[0]!) } : { type: "score", range }

/** Reads a label, or says what is wrong with it. */
export type LabelOf = (cell: unknown) => number | string

const quoted = (cell: unknown): string => {
  const text = Printable.inline(String(cell))
  return `'${text.length > 60 ? `${text.slice(0, 59)}…` : text}'`
}

const withheld =
  "-1 stands where labels are withheld: such a file cannot be scored, take the validation file for a test"

const classOf = (spellings: ReadonlyArray<Column>): LabelOf => {
  const classes = new Map(spellings.flatMap((label, i) => namesOf(label).map((name) => [spelled(name), i] as const)))
  const all = spellings
    .map((label) =>
      namesOf(label)
        .map((name) => `'${name}'`)
        .join("/")
    )
    .join(", ")
  return (cell) => {
    const label = spelled(String(cell))
    const found = classes.get(label)
    if (found !== undefined) return found
    if (label === "-1") return withheld
    return `the label ${quoted(cell)} is none of ${all}: add it to a label's names, as ["${namesOf(spellings[0]!)[0]}", …]`
  }
}

// Number also reads 0x10 and 0b11, which no table means.
const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i

const scoreOf =
  ([low, high]: readonly [number, number]): LabelOf =>
  (cell) => {
    const text = String(cell).trim()
    const value = Number(text)
    if (!decimal.test(text)) return `the score ${quoted(cell)} is not a number`
    if (value >= low && value <= high) return value
    return value === -1 ? withheld : `the score ${quoted(cell)} is not in ${low} to ${high}`
  }

/** How labels are read under a layout. */
export const labelOf = ({ labels, range }: Pick<TaskSchema, "labels" | "range">, layout: Layout): LabelOf =>
  range === undefined ? classOf(layout.labels ?? labels ?? []) : scoreOf(range)

const isText = (cell: unknown): cell is string => typeof cell === "string"
const isAbsent = (cell: unknown): boolean =>
  cell === undefined || cell === null || (typeof cell === "string" && cell.trim() === "")

/** A row as an example without its place; "incomplete" where a cell lacks. */
export const exampleOf = (row: Row, label: LabelOf): Example | "incomplete" | TableError => {
  const { at, document, file, pair, text } = row
  const paired = "pair" in row
  if (isAbsent(text) || isAbsent(row.label) || (paired && isAbsent(pair))) return "incomplete"
  const wrong = (reason: string) => new TableError({ file, problem: "value", ...at, reason })
  if (!isText(text) || (paired && !isText(pair))) {
    const cell = isText(text) ? pair : text
    return wrong(
      `a text is wanted, and ${quoted(JSON.stringify(cell))} is ${Array.isArray(cell) ? "a list" : `a ${typeof cell}`}`
    )
  }
  const value = label(row.label)
  if (typeof value === "string") return wrong(value)
  return {
    text: text.trim(),
    ...(paired ? { pair: (pair as string).trim() } : {}),
    label: value,
    ...(document === undefined ? {} : { document })
  }
}

/** Examples whose documents stand together, each sentence with its place; documents in the order of their first sentences. */
export const placed = (examples: ReadonlyArray<Example>): ReadonlyArray<Example> => {
  const documents = new Map<string, Array<Example>>()
  const alone: Array<ReadonlyArray<Example>> = []
  for (const example of examples) {
    const { document } = example
    const own = document === undefined ? undefined : documents.get(document)
    if (own !== undefined) {
      own.push(example)
      continue
    }
    const begun = [example]
    if (document !== undefined) documents.set(document, begun)
    alone.push(begun)
  }
  return alone.flatMap((group) =>
    group[0]!.document === undefined
      ? group
      : group.map((example, at) => ({ ...example, place: { at, of: group.length } }))
  )
}
