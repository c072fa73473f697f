/** What goes wrong at XLA, as the engine's errors. */
import * as Effect from "effect/Effect"
import { StepFailure } from "../../runtime/step/Evaluation.ts"
import { CompileError, EngineError, type Failure } from "../Engine.ts"

export const failed = (kind: EngineError["kind"], cause: unknown): EngineError =>
  new EngineError({ kind, engine: "xla", tick: null, reason: cause instanceof Error ? cause.message : String(cause) })

export const toFailure = (cause: unknown): Failure =>
  cause instanceof CompileError || cause instanceof StepFailure ? cause : failed("Threw", cause)

/** Work that other threads may have a hand in: what it reads and writes must be there until it is over. */
export const whole = <A, E>(options: { readonly try: () => Promise<A>; readonly catch: (cause: unknown) => E }) =>
  Effect.uninterruptible(Effect.tryPromise(options))
