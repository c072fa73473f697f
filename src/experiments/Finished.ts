import * as Effect from "effect/Effect"
import type { Tree } from "../dsl/Tree.ts"
import { Engine, StepError } from "../runtime/Engine.ts"
import type { Vars } from "../runtime/State.ts"
import type { HostVars } from "../runs/Trial.ts"

/** A function of a finished model's variables, to be asked for batches until the scope ends. */
export const observed = <B extends Tree, M extends Tree>(vars: HostVars, f: (vars: Vars, batch: B) => M) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const state = yield* Effect.acquireRelease(engine.upload<Vars>(vars as never), engine.release)
    const observe = yield* engine.observe(f)
    return (batch: Parameters<typeof observe>[1]) =>
      Effect.mapError(
        observe(state, batch),
        ({ level, reason }) => new StepError({ kind: "Objective", tick: 0, level, reason })
      )
  })
