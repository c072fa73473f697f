import { assert, describe, it } from "@effect/vitest"
import { long } from "../support/long.ts"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { Engine } from "../../src/engines/Engine.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Law from "../../src/testing/Law.ts"
import { ending, endings } from "../../src/testing/laws/Endings.ts"
import { triLevel } from "../support/programs.ts"

describe("however a run ends, the tensor count returns to where it was", () => {
  for (const [name, engine, cases] of [
    ["cpu", Eager.layer("cpu"), long ? 320 : 80],
    ["compiled", Compiled.layer({ threads: 1 }), 60]
  ] as const) {
    it.live(`${cases} runs ended at random: ${name}`, () =>
      Law.nothingLeft(triLevel(), { cases, seed: 21, ticks: 7 }).pipe(Effect.provide(engine))
    )
  }

  it.live("each ending is the one that it says", () =>
    Effect.gen(function* () {
      for (const kind of endings) {
        for (let at = 1; at < 5; at++) {
          const exit = yield* Effect.exit(ending(triLevel(), { kind, at, level: at, seed: 1 }))
          const succeeded = ["done", "stopped", "interrupted"].includes(kind)
          assert.strictEqual(Exit.isSuccess(exit), succeeded, `${kind} at ${at}: ${String(exit)}`)
        }
      }
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it.live("and this test can fail: without the release tensors stay", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const error = yield* Law.nothingLeft(triLevel()).pipe(
        Effect.provideService(Engine, { ...engine, release: () => Effect.void }),
        Effect.flip
      )
      assert.match(error.message, /\d+ tensors are left/)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})
