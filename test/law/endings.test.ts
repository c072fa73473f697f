import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Seed from "../../src/dsl/Seed.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { Engine } from "../../src/engines/Engine.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { triLevel } from "../support/programs.ts"
import { stream } from "../../src/testing/Draws.ts"

const endings = [
  "done",
  "stopped",
  "interrupted",
  "consumer failed",
  "objective threw",
  "not finite",
  "objective misread"
] as const

/** One run that ends in one way at one moment; returns its exit. */
const endingRun = (kind: (typeof endings)[number], at: number, seed: number) => {
  let calls = 0
  const late = () => ++calls > at
  const problem = triLevel({
    sabotage: (loss) => {
      if (kind === "objective threw" && late()) throw new Error("sabotaged")
      if (kind === "not finite" && late()) return tf.mul(loss, Number.NaN)
      if (kind === "objective misread" && late()) return { loss: undefined }
      return loss
    }
  })
  const ticks = Run.ticks(problem, { ticks: kind === "done" ? at : 1000, seed, diagnosticsEvery: 2 })
  switch (kind) {
    case "stopped":
      return Effect.exit(Stream.runDrain(Stream.take(ticks, at)))
    case "consumer failed":
      return Effect.exit(Stream.runForEach(ticks, (tick) => (tick.index === at ? Effect.fail("enough") : Effect.void)))
    case "interrupted":
      return Effect.gen(function* () {
        const reached = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(ticks, (tick) => (tick.index === at ? Deferred.succeed(reached, undefined) : Effect.void))
        )
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
        return yield* Fiber.await(fiber)
      })
    default:
      return Effect.exit(Stream.runDrain(ticks))
  }
}

describe("however a run ends, the tensor count returns to where it was", () => {
  it.live("hundreds of runs ended at random", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const before = yield* engine.live
      const counts = new Map<string, number>()
      for (let i = 0; i < 350; i++) {
        const draw = stream(Seed.fold(Seed.make(21), i))
        const kind = endings[i % endings.length]!
        const at = 1 + draw.below(7)
        const exit = yield* endingRun(kind, at, i)
        assert.strictEqual(yield* engine.live, before, `run ${i}: ${kind} at ${at}`)
        const succeeded = kind === "done" || kind === "stopped"
        assert.strictEqual(Exit.isSuccess(exit), succeeded, `run ${i}: ${kind} at ${at}`)
        counts.set(kind, (counts.get(kind) ?? 0) + 1)
      }
      assert.strictEqual(counts.size, endings.length)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it.live("and this test can fail: without the release tensors stay", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const before = yield* engine.live
      const leaky = Effect.provideService(Engine, { ...engine, release: () => Effect.void })
      yield* endingRun("done", 3, 0).pipe(leaky)
      assert.isAbove(yield* engine.live, before)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})
