/** Rows of a CSV file, plain or gzipped, as a stream. */
import { pipeline } from "node:stream"
import { CsvError, type Options, parse } from "csv-parse"
import type * as Stream from "effect/Stream"
import { TableError } from "./TableError.ts"
import * as TextFile from "./TextFile.ts"

/** The cells of a row and the line that it ends in. */
export interface Row {
  readonly cells: ReadonlyArray<string>
  readonly line: number
}

const rowsAtOnce = 1024

async function* chunks<A>(items: AsyncIterable<A>): AsyncGenerator<ReadonlyArray<A>> {
  let chunk: Array<A> = []
  for await (const item of items) {
    chunk.push(item)
    if (chunk.length < rowsAtOnce) continue
    yield chunk
    chunk = []
  }
  if (chunk.length > 0) yield chunk
}

const isBlank = (cell: string): boolean => cell.trim() === ""

/**
 * A row with as many cells as the header. A spreadsheet writes empty cells behind the last column, as many as its widest row has:
 * they may be there and lack. Undefined where more or less than that differs.
 */
const fitted = (header: ReadonlyArray<string>, cells: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
  if (cells.length === header.length) return cells
  if (![...cells.slice(header.length), ...header.slice(cells.length)].every(isBlank)) return undefined
  return header.map((_, i) => cells[i] ?? "")
}

const quotingOf = (file: string, error: unknown): unknown => {
  if (!(error instanceof CsvError)) return error
  const line = Number(error["lines"] ?? 0)
  const quoting = /QUOTE/.test(error.code)
  const reason = quoting
    ? "quotation marks do not match: a quoted cell must be closed, and a mark inside one doubled"
    : error.message
  return new TableError({ file, problem: quoting ? "quoting" : "row", line, reason })
}

async function* checked(file: string): AsyncGenerator<Buffer> {
  for await (const { bytes } of TextFile.blocks(file)) yield bytes
}

async function* rowsOf(
  file: string,
  source: AsyncIterable<Buffer>,
  options: Options
): AsyncGenerator<ReadonlyArray<Row>> {
  const parser = parse({ ...options, skip_empty_lines: true, relax_column_count: true, info: true })
  pipeline(source, parser, () => {})
  let header: ReadonlyArray<string> | undefined
  try {
    for await (const found of chunks<{ readonly info: { readonly lines: number }; readonly record: Array<string> }>(
      parser
    )) {
      const rows = found.filter(({ record }) => !record.every(isBlank))
      header ??= rows[0]?.record
      yield rows.map(({ info, record }) => {
        const cells = fitted(header!, record)
        if (cells !== undefined) return { cells, line: info.lines }
        const reason = `the row has ${record.length} cells where the header has ${header!.length}`
        throw new TableError({ file, problem: "row", line: info.lines, reason })
      })
    }
  } catch (error) {
    throw quotingOf(file, error)
  }
}

/**
 * The rows of a CSV file (RFC 4180, with or without byte order marks) that are not blank, header first, in chunks. Each has as many
 * cells as the first. `utf8` refuses other encodings.
 */
export const rows = (
  file: string,
  { delimiter = ",", utf8 = false }: { readonly delimiter?: string; readonly utf8?: boolean } = {}
): Stream.Stream<ReadonlyArray<Row>, TableError> =>
  TextFile.streamed(file, () => rowsOf(file, utf8 ? checked(file) : TextFile.bytes(file), { delimiter }))
