import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../dsl/errors/ExitCode.ts"

/** A check that was asked for and did not hold. */
export class CheckError extends Schema.TaggedError<CheckError>()("CheckError", { reason: Schema.String }) {
  override get [errorExitCode](): number {
    return ExitCode.check
  }
  override get message(): string {
    return this.reason
  }
}
