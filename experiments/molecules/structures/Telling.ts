/** How far long work on molecules is, said now and then. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Progress } from "./Cache.ts"

const [first, pause] = [2_000, 10_000]

/** Lets words through at most every ten seconds, the first two seconds after it was made. */
export const paced = Effect.map(Clock.currentTimeMillis, (begun) => {
  let said = begun - pause + first
  return (words: Effect.Effect<void>): Effect.Effect<void> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (now - said < pause) return Effect.void
      said = now
      return words
    })
})

/** Whoever is told how far a list of molecules is. */
export type Told = (progress: Progress) => Effect.Effect<void>

/** Says how far molecules are. */
export const progress = (say: (text: string) => Effect.Effect<void>): Effect.Effect<Told> =>
  Effect.map(
    paced,
    (pace) =>
      ({ done, kind, rate, total }: Progress) =>
        pace(say(`${kind}: ${done} of ${total} molecules, ${Math.round(rate)} a second`))
  )
