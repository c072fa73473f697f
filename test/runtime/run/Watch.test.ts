import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Tick } from "../../../src/runtime/run/Run.ts"
import * as Watch from "../../../src/runtime/run/Watch.ts"

const ticks = (n: number) =>
  Stream.fromIterable(Array.from({ length: n }, (_, i) => ({ index: i + 1 }) as unknown as Tick))
/** A stream of ticks scored, every second one and the last, by a list of numbers. */
const watched = (scores: ReadonlyArray<number>, mode: "max" | "min", last: number, from?: Watch.Selection) => {
  let next = 0
  return ticks(last).pipe(
    Watch.scoring({ every: 2, last, score: () => Effect.sync(() => ({ accuracy: scores[next++]! })) }),
    Watch.selecting({ metric: "accuracy", mode, ...(from === undefined ? {} : { from }) })
  )
}

describe("Watch", () => {
  it.effect("scores every so many ticks and the last one, and follows the best; ties keep the earlier", () =>
    Effect.gen(function* () {
      const seen = yield* Stream.runCollect(watched([0.2, 0.5, 0.5, 0.1], "max", 7))
      assert.deepStrictEqual(
        seen.flatMap((t) => (t.scores === undefined ? [] : [t.index])),
        [2, 4, 6, 7]
      )
      assert.deepStrictEqual(
        seen.flatMap((t) => (t.improved ? [t.index] : [])),
        [2, 4]
      )
      assert.deepStrictEqual(seen.at(-1)!.selection, { best: { tick: 4, score: 0.5 }, since: 2 })
    })
  )

  it.effect("stops after the given number of scores without a better one", () =>
    Effect.gen(function* () {
      const seen = yield* Stream.runCollect(watched([3, 2, 2.5, 2.5, 1, 0], "min", 20).pipe(Watch.stoppingAfter(2)))
      assert.strictEqual(seen.at(-1)!.index, 8)
      assert.strictEqual(seen.at(-1)!.selection.best!.tick, 4)
    })
  )

  it.effect("goes on from a selection, and never selects what is not a number", () =>
    Effect.gen(function* () {
      const from = { best: { tick: 40, score: 0.9 }, since: 1 }
      const resumed = yield* Stream.runCollect(watched([0.8, 0.95], "max", 4, from))
      assert.deepStrictEqual(
        resumed.map((t) => t.selection.best!.tick),
        [40, 40, 40, 4]
      )
      const empty = yield* Stream.runCollect(watched([Number.NaN, Number.NaN], "max", 4))
      assert.isNull(empty.at(-1)!.selection.best)
    })
  )
})
