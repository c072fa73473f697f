/** Matchers for Vitest; importing this module makes them known. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import type * as Layer from "effect/Layer"
import { expect } from "vitest"
import type { Problem } from "../dsl/Problem.ts"
import type { Engine, EngineError } from "../engines/Engine.ts"
import * as CompiledEngine from "../engines/compiled/CompiledEngine.ts"
import { type Law, LawError, type Options } from "./Property.ts"

/** How a problem is held against a law: the law's own options, and the engine, which is the compiled one where absent. */
export type Obeying<O extends Options = Options> = O & { readonly engine?: Layer.Layer<Engine, EngineError> }

/** A law that takes these options. */
type Obeyed<O extends Options> = Law & ((problem: never, options?: O) => unknown)

const obey = async (
  problem: Problem.Any,
  law: Law,
  { engine = CompiledEngine.layer({ threads: 1 }), ...options }: Obeying
) => {
  // A problem whose data need services is held against laws by `Law`, where they can be provided.
  const checked = law(problem as Problem<never, unknown, never>, options)
  const exit = await Effect.runPromiseExit(Effect.provide(checked, engine))
  if (Exit.isSuccess(exit)) return { pass: true, message: () => "the law holds, as far as it was tried" }
  const error = Cause.squash(exit.cause)
  // What is wrong with the engine or the options says nothing of the law, with `.not` neither.
  if (!(error instanceof LawError)) throw error
  return { pass: false, message: () => error.message }
}

expect.extend({
  toObey: (received: unknown, law: Obeyed<Options>, options: Obeying = {}) =>
    obey(received as Problem.Any, law, options)
})

declare module "vitest" {
  // The name and parameters of Vitest's own interface, which this one extends.
  interface Matchers<R extends void | Promise<void> = void | Promise<void>, T = unknown> {
    /**
     * Holds a problem against a law; what fails is printed with the seed and path that give it again.
     *
     * ```ts
     * await expect(problem).toObey(Law.resume, { cases: 5, ticks: 20 })
     * ```
     */
    toObey: <O extends Options>(
      law: Obeyed<O>,
      options?: Obeying<NoInfer<O>>
    ) => T extends Problem.Any ? Promise<void> : R
  }
}
