import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"

/** What an error of reading or writing a file says to people; a full disk is called one. */
export const said = (error: PlatformError): string => {
  const cause = "cause" in error.reason ? error.reason.cause : undefined
  if (Predicate.hasProperty(cause, "code") && (cause.code === "ENOSPC" || cause.code === "EDQUOT")) {
    return "the disk is full. Free some space and run the same again: what is complete is kept"
  }
  return error.reason._tag === "NotFound" ? "there is no such file" : error.message
}
