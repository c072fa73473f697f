/** What the operating system says of a file, for people. */
import { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"

/** What the operating system gave as the cause of an error, with its code where it has one. */
const causeOf = (error: unknown): unknown => {
  if (!(error instanceof PlatformError)) return error
  return "cause" in error.reason && error.reason.cause !== undefined ? error.reason.cause : error
}

const codeOf = (error: unknown): unknown => {
  const cause = causeOf(error)
  return Predicate.hasProperty(cause, "code") ? cause.code : undefined
}

/** Whether there was no room on the disk. */
export const isFull = (error: unknown): boolean => ["ENOSPC", "EDQUOT"].includes(codeOf(error) as string)

/** What an error of reading or writing a file says; that of any other is its message. */
export const said = (error: { readonly message: string }): string => {
  if (isFull(error)) return "the disk is full. Free some space and go on: what is complete is kept"
  if (codeOf(error) === "ENOENT") return "there is no such file"
  if (error instanceof PlatformError && error.reason._tag === "NotFound") return "there is no such file"
  const cause = causeOf(error)
  return cause instanceof Error ? cause.message : error.message
}
