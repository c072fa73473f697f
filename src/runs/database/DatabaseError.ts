/** What goes wrong with the database that hands a sweep's runs out. */
import { errorExitCode } from "effect/Runtime"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as Sentence from "../../dsl/errors/Sentence.ts"

/** An address without its password and without what may hold one: what may be printed. */
export const address = (url: Redacted.Redacted): string => {
  try {
    const { host, pathname, username } = new URL(Redacted.value(url))
    return `${username === "" ? "" : `${username}@`}${host === "" ? "localhost" : host}${pathname}`
  } catch {
    return "the database"
  }
}

/** A text in which no secret of the address stands, whoever wrote it. */
const without = (url: Redacted.Redacted, text: string): string => {
  const secrets = [Redacted.value(url)]
  try {
    const { password, searchParams } = new URL(Redacted.value(url))
    for (const secret of [password, searchParams.get("password") ?? ""])
      secrets.push(secret, decodeURIComponent(secret))
  } catch {
    // What is no address has no part that could be told apart.
  }
  return secrets.filter((secret) => secret !== "").reduce((rest, secret) => rest.replaceAll(secret, "…"), text)
}

/**
 * The database cannot be had: it does not answer (`Unreachable`), what speaks to it is not installed (`Missing`), its tables are a
 * later version's (`Later`), or it refuses what it is asked (`Refused`).
 */
export class DatabaseError extends Schema.TaggedError<DatabaseError>()("DatabaseError", {
  kind: Schema.Literals(["Unreachable", "Missing", "Later", "Refused"]),
  address: Schema.String,
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return this.kind === "Unreachable" ? ExitCode.failed : ExitCode.usage
  }
  override get message(): string {
    return `database ${this.address}: ${this.reason}`
  }
}

/** What an error of the client, or of what it loads, says, down to its first cause. */
const sentenceOf = (error: unknown): string => {
  const said: Array<string> = []
  for (let next = error, i = 0; next !== undefined && next !== null && i < 6; i++) {
    const text = Sentence.of(next)
    if (text !== "" && !said.some((each) => each.includes(text))) said.push(text)
    next = typeof next === "object" ? (next as { readonly cause?: unknown }).cause : undefined
  }
  return said.join(": ")
}

/** Whether it is the connection that failed, or whoever connects, or neither. */
const kindOf = (error: unknown): DatabaseError["kind"] | undefined => {
  const reason = Predicate.hasProperty(error, "reason") ? error.reason : undefined
  if (Predicate.isTagged(reason, "ConnectionError")) return "Unreachable"
  return Predicate.isTagged(reason, "AuthenticationError") ? "Refused" : undefined
}

/** Whatever went wrong, as a {@link DatabaseError} that names no secret; of this kind where the error does not say which. */
export const because =
  (url: Redacted.Redacted, kind: DatabaseError["kind"]) =>
  (error: unknown): DatabaseError =>
    error instanceof DatabaseError
      ? error
      : new DatabaseError({
          kind: kindOf(error) ?? kind,
          address: address(url),
          reason: without(url, sentenceOf(error))
        })
