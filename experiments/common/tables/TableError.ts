import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import { ExitCode } from "tapweight"

/** A table or a text that cannot be read, or is not what its schema declares. */
export class TableError extends Schema.TaggedError<TableError>()("TableError", {
  file: Schema.String,
  problem: Schema.Literals([
    "missing",
    "unreadable",
    "truncated",
    "encoding",
    "empty",
    "quoting",
    "row",
    "column",
    "value"
  ]),
  /** The line that the trouble is in or was noticed at, counted from 1. */
  line: Schema.optionalKey(Schema.Int),
  /** The row, counted from 1, of a file that has no lines. */
  row: Schema.optionalKey(Schema.Int),
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
  override get message(): string {
    const [at] = [["line", this.line] as const, ["row", this.row] as const].filter(([, number]) => number !== undefined)
    return `${this.file}${at === undefined ? "" : `, ${at.join(" ")}`}: ${this.reason}`
  }
}

/** Where in a file something stands. */
export type At = { readonly line: number } | { readonly row: number } | {}

/** What reading a file has failed with, about this file. */
export const because = (file: string, error: Error & { readonly code?: string }): TableError => {
  if (error instanceof TableError) return error
  if (error.code === "ENOENT") return new TableError({ file, problem: "missing", reason: "there is no such file" })
  if (error.code?.startsWith("Z_") === true) {
    const reason = `the gzip stream is cut short or damaged (${error.message}): fetch or copy the file again`
    return new TableError({ file, problem: "truncated", reason })
  }
  return new TableError({ file, problem: "unreadable", reason: error.message })
}
