/** Rows of a text file, plain or gzipped, as a stream: a file may be larger than memory. */
import { createReadStream } from "node:fs"
import { open } from "node:fs/promises"
import { createInterface } from "node:readline"
import { Duplex, pipeline, type Readable } from "node:stream"
import { createGunzip } from "node:zlib"
import { CsvError, parse } from "csv-parse"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import { ExitCode } from "tapweight"
import * as Stream from "effect/Stream"

/** A table that cannot be read, or is not what its schema declares. */
export class TableError extends Schema.TaggedError<TableError>()("TableError", {
  file: Schema.String,
  problem: Schema.Literals(["missing", "unreadable", "truncated", "empty", "quoting", "row", "column", "value"]),
  /** The line that the trouble is in or was noticed at, counted from 1. */
  line: Schema.optionalKey(Schema.Int),
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
  override get message(): string {
    return `${this.file}${this.line === undefined ? "" : `, line ${this.line}`}: ${this.reason}`
  }
}

/** The cells of a row and the line that it ends in. */
export interface Row {
  readonly cells: ReadonlyArray<string>
  readonly line: number
}

const errorOf = (file: string, error: Error & { readonly code?: string }): TableError => {
  if (error instanceof TableError) return error
  if (error instanceof CsvError) {
    const line = Number(error["lines"] ?? 0)
    const quoting = /QUOTE/.test(error.code)
    const reason = quoting
      ? "quotation marks do not match: a quoted cell must be closed, and a mark inside one doubled"
      : error.message
    return new TableError({ file, problem: quoting ? "quoting" : "row", line, reason })
  }
  if (error.code === "ENOENT") return new TableError({ file, problem: "missing", reason: "there is no such file" })
  if (error.code?.startsWith("Z_") === true) {
    const reason = `the gzip stream is cut short or damaged (${error.message}): fetch or copy the file again`
    return new TableError({ file, problem: "truncated", reason })
  }
  return new TableError({ file, problem: "unreadable", reason: error.message })
}

const gzipped = async (file: string): Promise<boolean> => {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(2), 0, 2, 0)
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b
  } finally {
    await handle.close()
  }
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

const mark = Buffer.of(0xef, 0xbb, 0xbf)

/** Bytes without the byte order marks that they begin with: who saves a table twice may have written two. */
async function* unmarked(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let head: Buffer | undefined = Buffer.alloc(0)
  for await (const chunk of source) {
    if (head === undefined) {
      yield chunk
      continue
    }
    head = Buffer.concat([head, chunk])
    while (head.subarray(0, mark.length).equals(mark)) head = head.subarray(mark.length)
    if (mark.subarray(0, head.length).equals(head)) continue
    yield head
    head = undefined
  }
  if (head !== undefined && head.length > 0) yield head
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

async function* csvRows(file: string): AsyncGenerator<ReadonlyArray<Row>> {
  const parser = parse({ bom: true, skip_empty_lines: true, relax_column_count: true, info: true })
  const gunzip = (await gzipped(file)) ? [createGunzip()] : []
  pipeline([createReadStream(file), ...gunzip, Duplex.from(unmarked), parser], () => {})
  let header: ReadonlyArray<string> | undefined
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
}

async function* textLines(file: string): AsyncGenerator<Row> {
  const gunzip = (await gzipped(file)) ? createGunzip() : undefined
  const source = createReadStream(file)
  const input: Readable = gunzip === undefined ? source : (pipeline(source, gunzip, () => {}) as unknown as Readable)
  let line = 0
  // An error of the input does not end the lines by itself.
  const failed = new Promise<never>((_, reject) => input.once("error", reject))
  failed.catch(() => {})
  const lines = createInterface({ input, crlfDelay: Infinity })[Symbol.asyncIterator]()
  for (;;) {
    const next = await Promise.race([lines.next(), failed])
    if (next.done === true) {
      if (input.errored) throw input.errored
      return
    }
    line++
    const text = line === 1 ? next.value.replace(/^\ufeff+/, "") : next.value
    if (text.trim() !== "") yield { cells: text.trim().split(/\s+/), line }
  }
}

const streamOf = (file: string, rows: AsyncIterable<ReadonlyArray<Row>>) =>
  Stream.fromAsyncIterable(rows, (error) => errorOf(file, error as Error))

/**
 * The rows of a CSV file (RFC 4180, with or without byte order marks) that are not blank, header first, in chunks. Each has as many
 * cells as the header.
 */
export const csv = (file: string): Stream.Stream<ReadonlyArray<Row>, TableError> =>
  Stream.suspend(() => streamOf(file, csvRows(file)))

/** The lines of a text file that are not blank, cut at white space, in chunks. */
export const lines = (file: string): Stream.Stream<ReadonlyArray<Row>, TableError> =>
  Stream.suspend(() => streamOf(file, chunks(textLines(file))))
