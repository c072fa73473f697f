import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import * as NodeServices from "../../../src/files/NodeServices.ts"
import * as Checkpoint from "../../../src/runtime/run/Checkpoint.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import { triLevel } from "../../support/programs.ts"

const engines = { cpu: Layer.fresh(Eager.layer("cpu")), compiled: Compiled.layer({ threads: 1 }) }
const ticks = () => Run.ticks(triLevel(), { ticks: 9, seed: 1 })

/** Every way to look at a tick. */
const looks = {
  snapshot: (tick: Run.Tick) => Effect.asVoid(tick.snapshot),
  read: (tick: Run.Tick) => Effect.asVoid(tick.read(["beta"])),
  evaluate: (tick: Run.Tick) => Effect.asVoid(tick.evaluate(({ beta }) => ({ sum: tf.sum(beta as tf.Tensor) }), {}))
} as const

// Ticks of this size are run several in a call by the compiled engine, which keeps states for a while.
for (const [name, layer] of Object.entries(engines)) {
  describe(`a tick asked late, ${name}`, () => {
    for (const [way, look] of Object.entries(looks)) {
      it.live(`${way}: never another tick's state, but an error that says what to do`, () =>
        Effect.gen(function* () {
          const groups = yield* ticks().pipe(
            Stream.grouped(3),
            Stream.mapEffect((group) => Effect.forEach(group, (tick) => Effect.result(look(tick)))),
            Stream.runCollect
          )
          assert.deepStrictEqual(
            groups.map((group) => group.map((one) => one._tag)),
            Array.from({ length: 3 }, () => ["Failure", "Failure", "Success"])
          )
          const first = groups[1]![0]!
          assert.include(
            first._tag === "Failure" ? first.failure.message : "",
            "tick 4: the run is at tick 6, and the state after tick 4 is gone: use a tick's snapshot, read and evaluate before"
          )
          const all = yield* Stream.runCollect(ticks())
          const error = yield* Effect.flip(look(all.at(-1)!))
          assert.match(error.message, /^tick 9: the run is over/)
        }).pipe(Effect.provide(layer))
      )
    }

    it.live("writes no checkpoint", () =>
      Effect.gen(function* () {
        const directory = mkdtempSync(join(tmpdir(), "tapweight-late-"))
        const save = (tick: Run.Tick) =>
          Effect.flatMap(tick.snapshot, (state) =>
            Checkpoint.save(
              directory,
              { version: 1, tick: tick.index, attempt: 1, seed: 1, program: "p", extra: {} },
              state
            )
          )
        try {
          const late = ticks().pipe(
            Stream.grouped(3),
            Stream.mapEffect((group) => Effect.forEach(group, save)),
            Stream.runDrain
          )
          assert.strictEqual((yield* Effect.flip(late))._tag, "PastTickError")
          assert.deepStrictEqual(readdirSync(directory), [])
        } finally {
          rmSync(directory, { recursive: true, force: true })
        }
      }).pipe(Effect.provide([layer, NodeServices.layer]))
    )
  })
}
