/** Batches drawn ahead: those of the next tick while the device is busy with the present one. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Present from "./Present.ts"

/** Batches by tick, and how long a run had to wait for them. */
export interface Prefetch<A, E> {
  /** The batches of a tick: those drawn ahead, or drawn now. A failure to draw ahead is met here and not before. */
  readonly take: (tick: number) => Effect.Effect<A, E>
  /** Begins to draw the batches of a tick, and does not wait for them. */
  readonly ahead: (tick: number) => Effect.Effect<void>
  /** Milliseconds spent in `take` so far. */
  readonly waited: () => number
}

/** Draws at most one tick ahead; what is under way when the scope ends is interrupted. */
export const make = <A, E>(
  draw: (tick: number) => Effect.Effect<A, E>
): Effect.Effect<Prefetch<A, E>, never, Scope.Scope> =>
  Effect.zipWith(Effect.scope, Effect.clockWith(Effect.succeed), (scope, clock) => {
    let next: { readonly tick: number; readonly drawn: Fiber.Fiber<A, E> } | undefined
    let waited = 0
    const since = (begun: bigint): void => {
      waited += Number(clock.currentTimeNanosUnsafe() - begun) / 1e6
    }
    return {
      take: (tick) => {
        const begun = clock.currentTimeNanosUnsafe()
        const found = next?.tick === tick ? Fiber.join(next.drawn) : draw(tick)
        next = undefined
        if (Present.valueOf(found) === undefined)
          return Effect.ensuring(
            found,
            Effect.sync(() => since(begun))
          )
        since(begun)
        return found
      },
      ahead: (tick) =>
        Effect.suspend(() =>
          Effect.map(Effect.forkIn(draw(tick), scope), (drawn) => {
            next = { tick, drawn }
          })
        ),
      waited: () => waited
    }
  })
