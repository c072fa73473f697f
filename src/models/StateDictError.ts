import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../dsl/errors/ExitCode.ts"

/** Tensors that are not those of the network that was asked for: which, and what to change. */
export class StateDictError extends Schema.TaggedError<StateDictError>()("StateDictError", {
  missing: Schema.Array(Schema.String),
  extra: Schema.Array(Schema.String),
  /** `name: what it is, what the network has`. */
  misshapen: Schema.Array(Schema.String),
  remedy: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
  override get message(): string {
    const list = (what: string, names: ReadonlyArray<string>) =>
      names.length === 0
        ? []
        : [`${what} ${names.slice(0, 8).join(", ")}${names.length > 8 ? ` and ${names.length - 8} more` : ""}`]
    const found = [
      ...list("lacks", this.missing),
      ...list("has also", this.extra),
      ...list("misshapen:", this.misshapen)
    ]
    return `state dict: ${found.join("; ")}: ${this.remedy}`
  }
}
