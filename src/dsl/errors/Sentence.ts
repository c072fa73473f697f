import * as Formatter from "effect/Formatter"
import * as Predicate from "effect/Predicate"

/** What an error says, whatever was thrown: an error's message or name, the reason of an object that has one, else its content. */
export const of = (error: unknown): string => {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(of).join("; ")
  if (error instanceof Error) return error.message === "" ? error.name : error.message
  if (typeof error === "string") return error
  return Predicate.hasProperty(error, "reason") ? of(error.reason) : Formatter.format(error)
}

/** An error that another one is the cause of. That is not part of what the error says, and two are equal without it. */
export const causedBy = <E extends Error>(error: E, cause: unknown): E =>
  Object.defineProperty(error, "cause", { value: cause, enumerable: false, configurable: true, writable: true })
