/** Labelled and unlabelled molecules out of files. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Printable } from "tapweight"
import { namesOf } from "../../common/tables/Column.ts"
import * as Csv from "../../common/tables/Csv.ts"
import { TableError } from "../../common/tables/TableError.ts"
import * as TextFile from "../../common/tables/TextFile.ts"
import { filesOf, type TableSchema } from "./TableSchema.ts"

export { TableError }

/** A table in memory. */
export interface Table {
  readonly schema: TableSchema
  readonly file: string
  /** One a row. */
  readonly smiles: ReadonlyArray<string>
  /** The names of the labels. */
  readonly tasks: ReadonlyArray<string>
  /** float32 [rows, tasks], NaN where a label is missing. */
  readonly labels: Float32Array
}

const quoted = (names: ReadonlyArray<string>): string => {
  const shown = names.slice(0, 30).map((name) => `'${Printable.inline(name)}'`)
  return names.length > shown.length ? `${shown.join(", ")} and ${names.length - shown.length} more` : shown.join(", ")
}

const doubled = (name: string): string => `two columns are called '${Printable.inline(name)}'`

interface Header {
  readonly smiles: number
  readonly labels: ReadonlyArray<number>
}

/** Places of the declared columns. */
const headerOf = (file: string, cells: ReadonlyArray<string>, schema: TableSchema): Header | TableError => {
  const names = cells.map((cell) => cell.trim())
  const wrong = (reason: string) => new TableError({ file, problem: "column", line: 1, reason })
  const allBut = "allBut" in schema.labels ? schema.labels : undefined
  const wanted = [schema.smiles, ...("allBut" in schema.labels ? [] : schema.labels)]
  const places = wanted.map((column) => names.findIndex((name) => namesOf(column).includes(name)))
  const missing = wanted.find((_, i) => places[i] === -1)
  if (missing !== undefined) {
    const what = namesOf(missing).map((name) => `'${name}'`)
    return wrong(`there is no column ${what.join(" or ")}, which '${schema.name}' needs; there are ${quoted(names)}`)
  }
  // Columns without a name are what a spreadsheet leaves behind the last one.
  const tasks = allBut && names.flatMap((name, i) => (name === "" || allBut.allBut.includes(name) ? [] : [i]))
  const needed = [...places, ...(tasks ?? [])].map((place) => names[place]!)
  const twice = needed.find((name) => names.indexOf(name) !== names.lastIndexOf(name))
  if (twice !== undefined) return wrong(doubled(twice))
  if (tasks === undefined) return { smiles: places[0]!, labels: places.slice(1) }
  const labels = tasks.filter((place) => place !== places[0])
  if (labels.length === allBut!.count) return { smiles: places[0]!, labels }
  return wrong(
    `there are ${labels.length} label columns where '${schema.name}' has ${allBut!.count}; there are ${quoted(names)}`
  )
}

// Number also reads 0x10 and 0b11, which no table means.
const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const missing = /^(?:|nan|na)$/i

const largest = 2 ** 128 - 2 ** 104

/** Reads one label, or says what is wrong with it. */
const labelOf = (text: string, { range, task }: TableSchema): number | string => {
  const trimmed = text.trim()
  if (missing.test(trimmed)) return Number.NaN
  const value = Number(trimmed)
  if (!decimal.test(trimmed) || !Number.isFinite(value)) return "is not a number"
  // Labels are kept in 32 bits.
  if (!Number.isFinite(Math.fround(value))) return `is too large: labels are at most ${largest.toPrecision(3)} in size`
  if (task === "classification" && value !== 0 && value !== 1) return "is neither 0 nor 1"
  if (range !== undefined && (value < range[0] || value > range[1])) return `is not in ${range[0]} to ${range[1]}`
  return value
}

/**
 * Reads a CSV file (gzipped or not) as its schema declares. Fails with a `TableError` on a file that is missing, empty,
 * cut short or wrongly quoted, lacks a declared column, or holds a label that is no number or out of range.
 */
export const read = Effect.fnUntraced(function* (file: string, schema: TableSchema) {
  const smiles: Array<string> = []
  const labels: Array<Float32Array> = []
  let header: Header | undefined
  let tasks: ReadonlyArray<string> = []
  const take = (row: Csv.Row): TableError | undefined => {
    if (header === undefined) {
      const found = headerOf(file, row.cells, schema)
      if (found instanceof TableError) return found
      header = found
      tasks = found.labels.map((place) => row.cells[place]!.trim())
      return undefined
    }
    const values = new Float32Array(header.labels.length)
    for (const [task, place] of header.labels.entries()) {
      const text = row.cells[place]!
      const value = labelOf(text, schema)
      if (typeof value === "string") {
        const reason = `row ${smiles.length + 1}, column '${Printable.inline(tasks[task]!)}': '${Printable.inline(text)}' ${value}`
        return new TableError({ file, problem: "value", line: row.line, reason })
      }
      values[task] = value
    }
    smiles.push(row.cells[header.smiles]!.trim())
    labels.push(values)
    return undefined
  }
  yield* Stream.runForEach(Csv.rows(file), (rows) => {
    for (const row of rows) {
      const error = take(row)
      if (error !== undefined) return Effect.fail(error)
    }
    return Effect.void
  })
  if (smiles.length === 0) {
    const reason = header === undefined ? "the file is empty" : "there is a header and no row"
    return yield* new TableError({ file, problem: "empty", reason })
  }
  const all = new Float32Array(labels.length * tasks.length)
  for (const [i, row] of labels.entries()) all.set(row, i * tasks.length)
  return { schema, file, smiles, tasks, labels: all } satisfies Table
})

/**
 * The file of a set in a folder: `NAME.csv` or `NAME.csv.gz`, or under the name it has at its source. Fails with a
 * `TableError` where there is none.
 */
export const find = Effect.fnUntraced(function* (folder: string, schema: TableSchema) {
  const names = filesOf(schema)
  const file = names.map((name) => join(folder, name)).find((path) => existsSync(path))
  if (file !== undefined) return file
  const fetch = schema.source === undefined ? "" : `, or tapweight data fetch ${schema.name} --to ${folder}`
  const reason = `'${schema.name}' is called ${names.join(" or ")}, and none is here: name its folder${fetch}`
  return yield* new TableError({ file: folder, problem: "missing", reason })
})

const usual = ["smiles", "SMILES", "Smiles", "canonical_smiles", "mol"]

/**
 * The SMILES of a file of unlabelled molecules in chunks. A `.csv` file has a header with a column `smiles` (or one of
 * those named); in any other the SMILES are what each line begins with. Either may be gzipped.
 */
export const smilesOf = (
  file: string,
  options: { readonly columns?: ReadonlyArray<string> } = {}
): Stream.Stream<ReadonlyArray<string>, TableError> => {
  const rows = /\.csv(?:\.gz)?$/i.test(file)
    ? Stream.mapAccumEffect(
        Csv.rows(file),
        () => undefined as number | undefined,
        (place, chunk) => {
          const take = (rows: ReadonlyArray<Csv.Row>, at: number) =>
            [at, [rows.map(({ cells }) => cells[at]!.trim())]] as const
          if (place !== undefined) return Effect.succeed(take(chunk, place))
          const names = chunk[0]!.cells.map((cell) => cell.trim())
          const wanted = options.columns ?? usual
          const found = names.findIndex((name) => wanted.includes(name))
          if (found >= 0 && names.lastIndexOf(names[found]!) !== found) {
            return Effect.fail(new TableError({ file, problem: "column", line: 1, reason: doubled(names[found]!) }))
          }
          if (found >= 0) return Effect.succeed(take(chunk.slice(1), found))
          const reason = `there is no column ${wanted.map((name) => `'${name}'`).join(" or ")}; there are ${quoted(names)}. A schema in a .json file can name another`
          return Effect.fail(new TableError({ file, problem: "column", line: 1, reason }))
        }
      )
    : Stream.map(TextFile.lines(file), (chunk) =>
        chunk.flatMap(({ text }) => (text.trim() === "" ? [] : [text.trim().split(/\s+/)[0]!]))
      )
  return Stream.filter(rows, (chunk) => chunk.length > 0)
}

/** All SMILES of such a file. Fails with a `TableError` where there is none. */
export const allSmiles = Effect.fnUntraced(function* (
  file: string,
  options: { readonly columns?: ReadonlyArray<string> } = {}
) {
  const chunks = yield* Stream.runCollect(smilesOf(file, options))
  const smiles = chunks.flat()
  if (smiles.length > 0) return smiles
  return yield* new TableError({ file, problem: "empty", reason: "there is no molecule in it" })
})
