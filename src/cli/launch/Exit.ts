import * as Predicate from "effect/Predicate"
import { errorExitCode } from "effect/Runtime"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"

/** 0 done, 1 training failed, 2 usage or program, 3 a check failed, 4 data or checkpoint refused, 72 another program than was asked for, 73 another process works on it, 75 stopped by TERM, 130 Ctrl-C. */
export const codes = ExitCode

/** The exit code of an error: its own, that of wrong usage where Effect's command line refuses what was typed, else a failure's. */
export const codeOf = (error: unknown): number => {
  // Effect's own code for it is 1.
  if (Predicate.isTagged(error, "ShowHelp")) return ExitCode.usage
  const own = Predicate.hasProperty(error, errorExitCode) ? error[errorExitCode] : undefined
  return typeof own === "number" ? own : ExitCode.failed
}
