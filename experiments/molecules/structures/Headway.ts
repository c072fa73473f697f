/** How far long work on molecules is, said now and then. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** How far a list is. */
export interface Headway {
  readonly kind: string
  /** Molecules that are done, those in the cache included. */
  readonly done: number
  /** Different molecules there are. */
  readonly total: number
  /** Molecules a second worked out since this began; 0 where all were in the cache. */
  readonly rate: number
}

/** Whoever hears how far a list of molecules is. */
export type Listener = (headway: Headway) => Effect.Effect<void>

const [first, pause] = [2_000, 10_000]

/** Lets words through at most every ten seconds, the first two seconds after it was made. */
export const paced = Effect.map(Clock.currentTimeMillis, (begun) => {
  let last = begun - pause + first
  return (words: Effect.Effect<void>): Effect.Effect<void> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (now - last < pause) return Effect.void
      last = now
      return words
    })
})

/** Says how far molecules are. */
export const listener = (say: (text: string) => Effect.Effect<void>): Effect.Effect<Listener> =>
  Effect.map(
    paced,
    (pace) =>
      ({ done, kind, rate, total }: Headway) =>
        pace(say(`${kind}: ${done} of ${total} molecules, ${Math.round(rate)} a second`))
  )
