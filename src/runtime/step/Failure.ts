import * as Sentence from "../../dsl/errors/Sentence.ts"

/** What went wrong inside a step, with the level it went wrong in; a run turns it into a `StepError`, which has a tick. */
export class StepFailure extends Error {
  readonly _tag = "StepFailure"
  readonly level: string
  constructor(level: string, reason: string, cause?: unknown) {
    super(reason, { cause })
    this.level = level
  }
  get reason(): string {
    return this.message
  }
}

let current = ""

/** The level whose work is being done; empty outside of levels. Steps are synchronous, so there is one at a time. */
export const currentLevel = (): string => current

/** Runs `f`, naming the level in whatever it throws. */
export const inLevel = <A>(level: string, f: () => A): A => {
  const outer = current
  current = level
  try {
    return f()
  } catch (cause) {
    if (cause instanceof StepFailure) throw cause
    throw new StepFailure(level, Sentence.of(cause), cause)
  } finally {
    current = outer
  }
}
