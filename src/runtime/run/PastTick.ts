import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"

/** A tick that was looked at too late: the run has gone on, or is over (`present` is null), and the tick's state with it. */
export class PastTickError extends Schema.TaggedError<PastTickError>()("PastTickError", {
  tick: Schema.Int,
  present: Schema.NullOr(Schema.Int)
}) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    const now = this.present === null ? "the run is over" : `the run is at tick ${this.present}`
    return `tick ${this.tick}: ${now}, and the state after tick ${this.tick} is gone: use a tick's snapshot, read and evaluate before the next tick is asked for, in Stream.mapEffect or Stream.tap before whatever collects ticks (Stream.grouped, Stream.buffer, Stream.runCollect)`
  }
}
