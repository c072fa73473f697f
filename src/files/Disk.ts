/** What the operating system says of a file, for people. */
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"

const causeOf = ({ reason }: PlatformError): unknown => ("cause" in reason ? reason.cause : undefined)

/** Whether there was no room on the disk. */
export const isFull = (error: PlatformError): boolean => {
  const cause = causeOf(error)
  return Predicate.hasProperty(cause, "code") && (cause.code === "ENOSPC" || cause.code === "EDQUOT")
}

/** What an error of reading or writing a file says. */
export const said = (error: PlatformError): string => {
  if (isFull(error)) return "the disk is full. Free some space and go on: what is complete is kept"
  if (error.reason._tag === "NotFound") return "there is no such file"
  const cause = causeOf(error)
  return cause instanceof Error ? cause.message : error.message
}
