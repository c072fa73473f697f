import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../dsl/errors/ExitCode.ts"
import * as Disk from "./Disk.ts"

/** A file of a run folder that cannot be written, or does not hold what it should. */
export class RunFileError extends Schema.TaggedError<RunFileError>()("RunFileError", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
  override get message(): string {
    return `${this.file}: ${this.reason}`
  }
}

/** A {@link RunFileError} about this file, from whatever reading or writing it has failed with. */
export const because =
  (file: string) =>
  (error: { readonly message: string }): RunFileError =>
    new RunFileError({ file, reason: Disk.said(error) })
