import * as Predicate from "effect/Predicate"
import { EngineError } from "../engines/Engine.ts"

/** 0 done, 1 training failed, 2 usage or program, 3 a check failed, 4 data or checkpoint refused, 75 stopped by TERM, 130 Ctrl-C. */
export const codes = { done: 0, failed: 1, usage: 2, check: 3, refused: 4, terminated: 75, interrupted: 130 } as const

const byTag: { readonly [tag: string]: number } = {
  WiringError: codes.usage,
  ConfigError: codes.usage,
  ProgramError: codes.usage,
  RunFolderError: codes.usage,
  CompileError: codes.usage,
  VerifyError: codes.usage,
  TrialError: codes.usage,
  LiveError: codes.usage,
  ShowHelp: codes.usage,
  CheckError: codes.check,
  DataError: codes.refused,
  TableError: codes.refused,
  CacheError: codes.refused,
  FetchError: codes.refused,
  CheckpointError: codes.refused,
  RunFileError: codes.refused
}

/** The exit code of an error. */
export const codeOf = (error: unknown): number => {
  // An engine that does not start was asked for where it is not to be had; one that failed has failed the run.
  if (error instanceof EngineError) return error.kind === "Refused" ? codes.usage : codes.failed
  return Predicate.hasProperty(error, "_tag") && typeof error._tag === "string"
    ? (byTag[error._tag] ?? codes.failed)
    : codes.failed
}
