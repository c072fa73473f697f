/** What becomes of a sweep, said once, or whenever it has changed. */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { State } from "../../runs/sweep/SweepFolder.ts"
import * as Launch from "../launch/Launch.ts"

/** A sweep at one time. */
export interface Look {
  readonly text: string
  readonly json: unknown
  readonly states: ReadonlyArray<State>
}

const count = (states: ReadonlyArray<State>, ...of: ReadonlyArray<State>): number =>
  states.filter((state) => of.includes(state)).length

const duration = (seconds: number): string => {
  const minutes = Math.ceil(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** How long what is left takes, at the pace since it was first looked at: undefined before anything was done since. */
export const left = (first: Look, now: Look, seconds: number): string | undefined => {
  const done = count(now.states, "done") - count(first.states, "done")
  const rest = count(now.states, "queued", "running")
  return done > 0 && rest > 0 ? `about ${duration((rest * seconds) / done)} left at this pace` : undefined
}

/** Says what is there, and with `watch` again whenever it has changed, until nothing is left to run. */
export const say = Effect.fnUntraced(function* <E, R>(
  look: Effect.Effect<Look, E, R>,
  format: "text" | "json",
  watch: boolean
) {
  const [first, began] = [yield* look, yield* Clock.currentTimeMillis]
  yield* Launch.print(format, first.text, first.json)
  if (!watch) return
  for (let before = first; count(before.states, "queued", "running") > 0;) {
    yield* Effect.sleep("1 second")
    const now = yield* look
    if (now.text !== before.text) {
      yield* Launch.print(format, now.text, now.json)
      const pace = left(first, now, ((yield* Clock.currentTimeMillis) - began) / 1000)
      if (format === "text" && pace !== undefined) yield* Console.log(pace)
    }
    before = now
  }
})
