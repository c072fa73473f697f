import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"

/** An engine that cannot be started, or a step that it cannot compile. */
export class CompileError extends Schema.TaggedError<CompileError>()("CompileError", {
  op: Schema.String,
  level: Schema.String,
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    return this.level === "" ? `${this.op}: ${this.reason}` : `level '${this.level}': ${this.op}: ${this.reason}`
  }
}
