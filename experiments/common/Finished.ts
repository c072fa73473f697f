import * as Effect from "effect/Effect"
import { Engine, Run, type Tree } from "tapweight"

/** A function of a finished model's variables, to be asked for batches until the scope ends. */
export const observed = <V extends Tree.Tree, B extends Tree.Tree, M extends Tree.Tree>(
  vars: Tree.Host<V>,
  f: (vars: V, batch: B) => M
) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const state = yield* Effect.acquireRelease(engine.upload<V>(vars), engine.release)
    const observe = yield* engine.observe(f)
    return (batch: Parameters<typeof observe>[1]) => Effect.mapError(observe(state, batch), Run.failedAt(0))
  })
