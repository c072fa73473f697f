/** Properties of programs: cases drawn by fast-check, each run as an effect; a failure says how to have it again. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import fc from "fast-check"
import * as ExitCode from "../dsl/errors/ExitCode.ts"
import * as Numbers from "../dsl/errors/Numbers.ts"
import type { Problem } from "../dsl/Problem.ts"
import type { Var } from "../dsl/Var.ts"
import type { Engine } from "../engines/Engine.ts"

/** A law that a problem breaks: what failed, in which case, and the `seed` and `path` that give this case again. */
export class LawError extends Schema.TaggedError<LawError>()("LawError", {
  law: Schema.String,
  reason: Schema.String,
  /** The smallest case found that breaks it, as JSON. */
  case: Schema.String,
  seed: Schema.Int,
  path: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.check
  }
  override get message(): string {
    return (
      `the law '${this.law}' does not hold: ${this.reason}\n` +
      `  in the case ${this.case}; have it again with { seed: ${this.seed}, path: "${this.path}" }`
    )
  }
}

/** How a law is tried. */
export interface Options {
  /** Cases to try; 3 where absent. */
  readonly cases?: number
  /** Ticks that runs may have at most, 6 where absent; laws that need all levels to act take more where the plan does. */
  readonly ticks?: number
  /** What cases are drawn from; 1 where absent, so that a test says the same at every run. */
  readonly seed?: number
  /** A case within those of `seed`: what a {@link LawError} says. */
  readonly path?: string
}

/** What stands where an option is absent. */
export const defaults = { cases: 3, ticks: 6, seed: 1 }

/** A law that any problem can be held against: it fails with a {@link LawError}, whatever went wrong. */
export type Law = <V extends Var.Any, E, R>(
  problem: Problem<V, E, R>,
  options?: Options
) => Effect.Effect<void, LawError, Exclude<R, Scope.Scope> | Engine>

const sentence = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

/** Tries drawn cases one after another; `broken` says what is wrong with one, and nothing if nothing is. */
export const holds = <A, E, R>(
  law: string,
  cases: fc.Arbitrary<A>,
  options: Options,
  broken: (drawn: A) => Effect.Effect<string | undefined, E, R>
): Effect.Effect<void, LawError, R> =>
  Effect.gen(function* () {
    const { cases: numRuns, seed } = { ...defaults, ...options }
    Numbers.whole(`${law}: cases`, numRuns, 1)
    const run = Effect.runPromiseExitWith(yield* Effect.context<R>())
    const property = (signal: AbortSignal) =>
      fc.asyncProperty(cases, async (drawn) => {
        const exit = await run(
          Effect.suspend(() => broken(drawn)),
          { signal }
        )
        if (Exit.isFailure(exit)) throw new Error(sentence(exit.cause))
        if (exit.value !== undefined) throw new Error(exit.value)
      })
    const found = yield* Effect.promise((signal) =>
      fc.check(property(signal), {
        seed,
        numRuns,
        ...(options.path === undefined ? {} : { path: options.path })
      })
    )
    if (!found.failed) return
    const { counterexample, counterexamplePath, errorInstance } = found
    return yield* new LawError({
      law,
      reason: errorInstance instanceof Error ? errorInstance.message : String(errorInstance),
      case: fc.stringify(counterexample?.[0]),
      seed,
      path: counterexamplePath ?? ""
    })
  })

/** Seeds of runs. */
export const seeds: fc.Arbitrary<number> = fc.nat({ max: 2 ** 31 - 1 })
