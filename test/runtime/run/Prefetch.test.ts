import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Prefetch from "../../../src/runtime/run/Prefetch.ts"

describe("drawing ahead", () => {
  it.effect("draws each tick once, and gives what would be drawn without it", () =>
    Effect.gen(function* () {
      const drawn: Array<number> = []
      const data = yield* Prefetch.make((tick) =>
        Effect.sync(() => {
          drawn.push(tick)
          return 10 * tick
        })
      )
      for (const tick of [1, 2, 3]) {
        assert.strictEqual(yield* data.take(tick), 10 * tick)
        yield* data.ahead(tick + 1)
        yield* Effect.yieldNow
      }
      assert.deepStrictEqual(drawn, [1, 2, 3, 4])
      // A tick that was not foreseen is drawn when it is asked for.
      assert.strictEqual(yield* data.take(7), 70)
    })
  )

  it.effect("a failure ahead of its tick waits for it", () =>
    Effect.gen(function* () {
      const data = yield* Prefetch.make((tick) => (tick === 2 ? Effect.fail("no row") : Effect.succeed(tick)))
      yield* data.take(1)
      yield* data.ahead(2)
      yield* Effect.yieldNow
      assert.strictEqual(yield* Effect.flip(data.take(2)), "no row")
    })
  )

  it.effect("the end of the scope interrupts what is under way", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const begun = yield* Deferred.make<void>()
      let interrupted = false
      const data = yield* Scope.provide(
        Prefetch.make(() =>
          Effect.andThen(Deferred.succeed(begun, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Effect.sync(() => (interrupted = true)))
          )
        ),
        scope
      )
      yield* data.ahead(1)
      yield* Deferred.await(begun)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(interrupted)
    })
  )

  it.effect("waiting is counted where the data is slower, and not where it was drawn in time", () =>
    Effect.gen(function* () {
      const data = yield* Prefetch.make(() => Effect.sleep(30))
      yield* data.ahead(1)
      yield* Effect.yieldNow
      yield* TestClock.adjust(60)
      yield* data.take(1)
      assert.strictEqual(data.waited(), 0)
      const taking = yield* Effect.forkChild(data.take(2), { startImmediately: true })
      yield* TestClock.adjust(50)
      yield* Fiber.join(taking)
      assert.strictEqual(data.waited(), 30)
    })
  )
})
