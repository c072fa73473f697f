/** Functions that a run is asked to evaluate, each made fast when it is first met. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Tree } from "../../dsl/values/Tree.ts"
import type { CompileError, Engine, Observer } from "../../engines/Engine.ts"

/** Functions that stay compiled after their last use: one written inline is another at every tick. */
const mostIdle = 8

export interface Observers<V extends Tree> {
  /** Compiles `f`, unless it is one of the last that were used. */
  readonly use: <B extends Tree, M extends Tree, A, E>(
    f: (vars: V, batch: B) => M,
    use: (observer: Observer<V, B, M>) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | CompileError>
}

interface Entry {
  readonly observer: unknown
  readonly scope: Scope.Closeable
  uses: number
}

/** Observers by function. What is compiled ends when many others have been used since, or with `scope`. */
export const make = <V extends Tree>(engine: Engine["Service"], scope: Scope.Scope): Observers<V> => {
  const known = new Map<unknown, Entry>()
  const one = Semaphore.makeUnsafe(1)

  const begin = <B extends Tree, M extends Tree>(f: (vars: V, batch: B) => M) =>
    one.withPermit(
      Effect.suspend(() => {
        const entry = known.get(f)
        if (entry !== undefined) {
          entry.uses++
          return Effect.succeed(entry)
        }
        return Effect.gen(function* () {
          const own = yield* Scope.fork(scope)
          const observer = yield* Scope.provide(engine.observe(f), own).pipe(
            Effect.onError(() => Scope.close(own, Exit.void))
          )
          const made: Entry = { observer, scope: own, uses: 1 }
          known.set(f, made)
          return made
        })
      })
    )

  // A map goes through its entries in the order of their coming, so that the longest unused is first.
  const end = (f: unknown, entry: Entry) =>
    one.withPermit(
      Effect.suspend(() => {
        entry.uses--
        known.delete(f)
        known.set(f, entry)
        const idle = [...known].filter(([, { uses }]) => uses === 0)
        return Effect.forEach(
          idle.slice(0, Math.max(0, idle.length - mostIdle)),
          ([key, { scope }]) => {
            known.delete(key)
            return Scope.close(scope, Exit.void)
          },
          { discard: true }
        )
      })
    )

  return {
    use: (f, use) =>
      Effect.acquireUseRelease(
        begin(f),
        // A function's observer has the types of the function.
        ({ observer }) => use(observer as Observer<V, Parameters<typeof f>[1], ReturnType<typeof f>>),
        (entry) => end(f, entry)
      )
  }
}
