/** The cells of chosen columns out of tables of several formats, as streams. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import { Printable } from "tapweight"
import { type Column, namesOf } from "./Column.ts"
import * as Csv from "./Csv.ts"
import * as Parquet from "./Parquet.ts"
import { type At, TableError } from "./TableError.ts"
import * as TextFile from "./TextFile.ts"

/** A column by its names, or by its place from 1 where a file names none. */
export type Cell = Column | number

/** The columns that are wanted, by what they are for. */
export type Wanted<K extends string> = { readonly [P in K]?: Cell | undefined }

/** The wanted cells of a row, undefined where it has none, and where it is. */
export interface Record<K extends string> {
  readonly cells: { readonly [P in K]?: unknown }
  readonly at: At
}

/** Formats of tables. TSV has no quoting: a cell holds whatever stands between two tabs. */
export type Format = "tsv" | "csv" | "jsonl" | "parquet"

const quoted = (names: ReadonlyArray<string>): string => {
  const shown = names.slice(0, 30).map((name) => `'${Printable.inline(name)}'`)
  return names.length > shown.length ? `${shown.join(", ")} and ${names.length - shown.length} more` : shown.join(", ")
}

/** Where the wanted columns stand in a header, or what is wrong with it. */
const placesOf = (
  file: string,
  header: ReadonlyArray<string>,
  columns: ReadonlyArray<Column>
): ReadonlyArray<number> | TableError => {
  const wrong = (reason: string) => new TableError({ file, problem: "column", reason })
  const names = header.map((name) => name.trim())
  const places = columns.map((column) => names.findIndex((name) => namesOf(column).includes(name)))
  const missing = columns.find((_, i) => places[i] === -1)
  if (missing !== undefined) {
    const what = namesOf(missing).map((name) => `'${name}'`)
    return wrong(`there is no column ${what.join(" or ")}; there are ${quoted(names)}`)
  }
  const twice = places.map((place) => names[place]!).find((name) => names.indexOf(name) !== names.lastIndexOf(name))
  return twice === undefined ? places : wrong(`two columns are called '${Printable.inline(twice)}'`)
}

/** Columns as pairs of what they are for and where they are. */
const entriesOf = <K extends string>(columns: Wanted<K>): ReadonlyArray<readonly [K, Cell]> =>
  (Object.entries(columns) as Array<[K, Cell | undefined]>).flatMap(([key, cell]) =>
    cell === undefined ? [] : [[key, cell] as const]
  )

const cellsOf = <K extends string>(keys: ReadonlyArray<K>, of: (i: number) => unknown): Record<K>["cells"] => {
  const cells: { [P in K]?: unknown } = {}
  for (const [i, key] of keys.entries()) cells[key] = of(i)
  return cells
}

/** Rows of cells, the first of which may name them, as records. */
const delimited = <K extends string>(
  file: string,
  rows: Stream.Stream<ReadonlyArray<Csv.Row>, TableError>,
  columns: Wanted<K>
): Stream.Stream<ReadonlyArray<Record<K>>, TableError> => {
  const entries = entriesOf(columns)
  const keys = entries.map(([key]) => key)
  const names = entries.flatMap(([, cell]) => (typeof cell === "number" ? [] : [cell]))
  const named = names.length === entries.length
  return Stream.mapAccumEffect(
    rows,
    () => undefined as { readonly places: ReadonlyArray<number>; readonly width: number } | undefined,
    Effect.fnUntraced(function* (state, chunk) {
      let [known, from] = [state, 0]
      if (known === undefined) {
        const first = chunk[0]!.cells
        const places = named ? placesOf(file, first, names) : entries.map(([, place]) => Number(place) - 1)
        if (places instanceof TableError) return yield* places
        const beyond = places.find((place) => place >= first.length)
        if (beyond !== undefined) {
          const reason = `column ${beyond + 1} is asked for, and the first row has ${first.length} cells`
          return yield* new TableError({ file, problem: "column", line: 1, reason })
        }
        ;[known, from] = [{ places, width: first.length }, named ? 1 : 0]
      }
      const { places, width } = known
      const records: Array<Record<K>> = []
      for (const { cells, line } of chunk.slice(from)) {
        if (cells.length > width) {
          const reason = `the row has ${cells.length} cells where the first has ${width}`
          return yield* new TableError({ file, problem: "row", line, reason })
        }
        const short = cells.length < width
        records.push({ cells: cellsOf(keys, (i) => (short ? undefined : cells[places[i]!])), at: { line } })
      }
      return [known, [records]] as const
    })
  )
}

const tabbed = (file: string): Stream.Stream<ReadonlyArray<Csv.Row>, TableError> =>
  TextFile.lines(file).pipe(
    Stream.map((chunk) =>
      chunk.flatMap(({ line, text }) => (text.trim() === "" ? [] : [{ cells: text.split("\t"), line }]))
    ),
    Stream.filter((chunk) => chunk.length > 0)
  )

/** A row of JSON as a record, or what is wrong with it. */
const jsonOf = <K extends string>(
  file: string,
  { line, text }: TextFile.Line,
  entries: ReadonlyArray<readonly [K, Column]>
): Record<K> | TableError => {
  const wrong = (problem: "row" | "column", reason: string) => new TableError({ file, problem, line, reason })
  let row: unknown
  try {
    row = JSON.parse(text)
  } catch (error) {
    if (text.trim() === "[")
      return wrong("row", "the file is one JSON array; a row a line is wanted (jq -c '.[]' makes it so)")
    return wrong("row", `the line is no JSON (${Printable.inline((error as Error).message)})`)
  }
  if (Array.isArray(row))
    return wrong("row", "the line is a JSON array; an object a line is wanted (jq -c '.[]' makes them of an array)")
  if (!Predicate.isObject(row)) return wrong("row", "the line is no JSON object")
  const object = row as { readonly [key: string]: unknown }
  const places = entries.map(([, column]) => namesOf(column).find((name) => Object.hasOwn(object, name)))
  const absent = places.indexOf(undefined)
  if (absent >= 0) {
    const what = namesOf(entries[absent]![1]).map((name) => `'${name}'`)
    return wrong("column", `there is no key ${what.join(" or ")}; there are ${quoted(Object.keys(object))}`)
  }
  return {
    cells: cellsOf(
      entries.map(([key]) => key),
      (i) => object[places[i]!]
    ),
    at: { line }
  }
}

const jsonLines = <K extends string>(
  file: string,
  entries: ReadonlyArray<readonly [K, Column]>
): Stream.Stream<ReadonlyArray<Record<K>>, TableError> =>
  Stream.mapEffect(TextFile.lines(file), (chunk) => {
    const records: Array<Record<K>> = []
    for (const line of chunk) {
      if (line.text.trim() === "") continue
      const record = jsonOf(file, line, entries)
      if (record instanceof TableError) return Effect.fail(record)
      records.push(record)
    }
    return Effect.succeed(records)
  })

const parquet = <K extends string>(
  file: string,
  entries: ReadonlyArray<readonly [K, Column]>
): Stream.Stream<ReadonlyArray<Record<K>>, TableError> => {
  const keys = entries.map(([key]) => key)
  let chosen: ReadonlyArray<string> = []
  const columnsOf = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
    const places = placesOf(
      file,
      names,
      entries.map(([, column]) => column)
    )
    if (places instanceof TableError) throw places
    return (chosen = places.map((place) => names[place]!))
  }
  return Stream.map(Parquet.rows(file, columnsOf), ({ first, rows }) =>
    rows.map((row, i) => ({ cells: cellsOf(keys, (key) => row[chosen[key]!]), at: { row: first + i } }))
  )
}

/**
 * The cells of these columns, in chunks of rows. Fails with a `TableError` on a file that is not of its format, or lacks a column. A
 * row that is short has no cells.
 */
export const records = <K extends string>(
  file: string,
  format: Format,
  columns: Wanted<K>
): Stream.Stream<ReadonlyArray<Record<K>>, TableError> => {
  if (format === "tsv") return delimited(file, tabbed(file), columns)
  if (format === "csv") return delimited(file, Csv.rows(file, { utf8: true }), columns)
  const entries = entriesOf(columns)
  const named = entries.flatMap(([key, cell]) => (typeof cell === "number" ? [] : [[key, cell] as const]))
  if (named.length === entries.length) return format === "jsonl" ? jsonLines(file, named) : parquet(file, named)
  const reason = "its rows name their cells: give columns by name"
  return Stream.fail(new TableError({ file, problem: "column", reason }))
}
