import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"

/** A sweep that is not what it was taken for, or some of whose runs failed. */
export class SweepError extends Schema.TaggedError<SweepError>()("SweepError", {
  sweep: Schema.String,
  reason: Schema.String,
  failed: Schema.Boolean
}) {
  override get [errorExitCode](): number {
    return this.failed ? ExitCode.failed : ExitCode.usage
  }
  override get message(): string {
    return `sweep '${this.sweep}': ${this.reason}`
  }
}
