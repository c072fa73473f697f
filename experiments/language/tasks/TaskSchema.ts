/** How a task lies in files, declared once; a task of one's own is one such value in a .json file. */
import * as Schema from "effect/Schema"
import type { Split } from "tapweight"
import type { Source } from "../../common/fetch/Source.ts"
import { Column } from "../../common/tables/Column.ts"
import { Metric, goesWith } from "./Metric.ts"

/** A column by its name or names; or by its place from 1 in files that name none. */
const Cell = Schema.Union([Column, Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))])
export type Cell = typeof Cell.Type

/** One file, or several that are read one after the other; each by its name or, in a list of its own, by names it may have. */
const Files = Schema.Union([Schema.NonEmptyString, Schema.NonEmptyArray(Column)])
export type Files = typeof Files.Type

export const formats = ["tsv", "csv", "jsonl", "parquet", "abstracts", "folders"] as const
export const Format = Schema.Literals(formats)
export type Format = typeof Format.Type

const formFields = {
  /**
   * The files of each part, with or without what they end in. Where a part has none it is taken from the training part. A text file's
   * format is told by its ending.
   */
  files: Schema.Struct({
    train: Files,
    validation: Schema.optionalKey(Files),
    test: Schema.optionalKey(Files)
  }),
  /**
   * How rows lie in the files, where their ending does not tell: `abstracts` are lines `label TAB sentence` under a line `###id`,
   * `folders` hold a folder for each label with a text in each file.
   */
  format: Schema.optionalKey(Format),
  text: Schema.optionalKey(Cell),
  /** A column that stands before the text. */
  title: Schema.optionalKey(Cell),
  pair: Schema.optionalKey(Cell),
  label: Schema.optionalKey(Cell),
  /** The column whose value sentences of one document share. */
  document: Schema.optionalKey(Cell),
  /** Rows that may lack a cell, a text or a label: so many are left out and counted, none where absent. */
  incomplete: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
}

/** How rows lie in files. */
export interface Layout {
  readonly format?: Format
  readonly text?: Cell
  readonly title?: Cell
  readonly pair?: Cell
  readonly label?: Cell
  readonly document?: Cell
  readonly incomplete?: number
  /** How labels are written here, one for each class, where not by the schema's names. */
  readonly labels?: ReadonlyArray<Column>
}

/** One way in which a task lies in files. */
export interface Form extends Layout {
  readonly files: { readonly train: Files; readonly validation?: Files; readonly test?: Files }
  /** Folders that the files may be in. */
  readonly folders?: ReadonlyArray<string>
  /** What the files of one part have otherwise. */
  readonly ofPart?: { readonly [P in Split.Part]?: Layout }
}

const columnsOf = ({ document, format, label, pair, text, title }: Layout): true | string => {
  const cells = [text, title, pair, label, document].filter((cell) => cell !== undefined)
  if (format === "abstracts" || format === "folders")
    return (
      cells.length === 0 ||
      `files of the format '${format}' have no columns: leave text, title, pair, label, document out`
    )
  if (text === undefined || label === undefined) return "expected the columns 'text' and 'label'"
  const numbers = cells.filter((cell) => typeof cell === "number").length
  return numbers === 0 || numbers === cells.length || "expected either names or places for all columns"
}

const fields = {
  /** The name by which commands know it. */
  name: Schema.String.check(Schema.isPattern(/^[a-z0-9][a-z0-9-]*$/)),
  /** What the labels are. */
  about: Schema.String,
  /** Classes in order, each by the name or names that files write for it, of any case; their numbers are their places. */
  labels: Schema.optionalKey(
    Schema.NonEmptyArray(Column).check(
      Schema.makeFilter((labels) => {
        if (labels.length < 2) return "expected at least two labels"
        const names = labels.flatMap((label) => (typeof label === "string" ? [label] : label)).map(spelled)
        const twice = names.find((name, i) => names.indexOf(name) !== i)
        return twice === undefined || `label '${twice}' is named twice`
      })
    )
  ),
  /** In place of labels: the ends of a score. */
  range: Schema.optionalKey(
    Schema.Tuple([Schema.Finite, Schema.Finite]).check(
      Schema.makeFilter(([low, high]) => low < high || "expected the lower end first")
    )
  ),
  metric: Metric,
  licence: Schema.optionalKey(Schema.NonEmptyString)
}

/** A task with the ways in which it lies in files; the first whose files are there is read. */
export interface TaskSchema {
  readonly name: string
  readonly about: string
  readonly labels?: ReadonlyArray<Column>
  readonly range?: readonly [number, number]
  readonly metric: Metric
  readonly licence?: string
  /** Addresses of the files of one form, each with its path in the folder of data. */
  readonly sources?: ReadonlyArray<Source & { readonly file: string }>
  readonly forms: ReadonlyArray<Form>
}

/** What a .json file says of a task: one form. */
export const OwnTask = Schema.Struct({ ...fields, ...formFields }).check(
  Schema.makeFilter(columnsOf),
  Schema.makeFilter(({ labels, metric, range }) => {
    if ((labels === undefined) === (range === undefined))
      return "expected either 'labels', the classes, or 'range', the ends of a score"
    return goesWith(metric, labels?.length)
  })
)
export type OwnTask = typeof OwnTask.Type

/** The schema that a .json file stands for. */
export const ofOwn = ({
  document,
  files,
  format,
  incomplete,
  label,
  pair,
  text,
  title,
  ...rest
}: OwnTask): TaskSchema => {
  const given = { document, format, incomplete, label, pair, text, title }
  const own = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { ...rest, forms: [{ files, ...own }] }
}

/** A label as it is compared: of any case, and a whole number without decimals. */
export function spelled(label: string): string {
  const text = label.trim().toLowerCase()
  return /^[+-]?\d+\.0*$/.test(text) ? String(Number(text)) : text
}
