/** Functions on the device, by the forms of what they are called with. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Failure } from "../Engine.ts"
import { collect, formOf } from "../Handles.ts"
import type * as Client from "./pjrt/Client.ts"
import type * as ExecutablePool from "./ExecutablePool.ts"
import { failed, toFailure, whole } from "./Failure.ts"
import type { Placement } from "./Placement.ts"
import * as StepProgram from "./StepProgram.ts"

/** A compiled function. */
export interface Loaded extends Omit<StepProgram.StepProgram, "results" | "takes"> {
  readonly executable: Client.Executable
  /** Milliseconds of its last run, by which the next one is waited for here or aside. */
  milliseconds: number
}

/** Has a function compiled; it is to be unloaded from the pool by its program. */
export const load = Effect.fnUntraced(function* (
  executables: ExecutablePool.ExecutablePool,
  ...given: Parameters<typeof StepProgram.make>
) {
  const { results, takes, ...made } = yield* Effect.try({ try: () => StepProgram.make(...given), catch: toFailure })
  const executable = yield* whole({
    try: () => executables.load(made.program, takes, results),
    catch: (cause) => failed("Refused", cause)
  })
  return { ...made, executable, milliseconds: Infinity } satisfies Loaded as Loaded
})

/** The compiled form of a function for a state of this form and this batch. */
export type Specialized = (tree: object, form: string, batch: unknown) => Effect.Effect<Loaded, Failure>

/** The compiled forms of one function, made when they are first needed and let go of with the scope. */
export const specialized = (
  executables: ExecutablePool.ExecutablePool,
  f: StepProgram.Source,
  role: StepProgram.Role,
  placement: Placement
): Effect.Effect<Specialized, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Map<string, Loaded>()),
      (loadedBy) => Effect.sync(() => loadedBy.forEach(({ program }) => executables.unload(program)))
    ),
    (loadedBy): Specialized => {
      let latest: { readonly form: string; readonly loaded: Loaded } | undefined
      return (tree, form, batch) =>
        Effect.suspend(() => {
          // Forms are long to write, and most calls are like the one before.
          if (latest?.form === form && collect(latest.loaded.batch, batch, [])) return Effect.succeed(latest.loaded)
          const key = `${form} | ${formOf(batch)}`
          const known = loadedBy.get(key)
          if (known !== undefined) {
            latest = { form, loaded: known }
            return Effect.succeed(known)
          }
          return Effect.tap(load(executables, f, ["state", "batch"], [tree, batch], role, placement), (loaded) =>
            Effect.sync(() => loadedBy.set(key, loaded))
          )
        })
    }
  )
