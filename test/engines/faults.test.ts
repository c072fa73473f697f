import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { Engine } from "../../src/engines/Engine.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as WorkerClient from "../../src/engines/onnx/WorkerClient.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as Verify from "../../src/runtime/run/Verify.ts"
import { triLevel } from "../support/programs.ts"

const run = Run.ticks(triLevel(), { ticks: 100_000, seed: 1 })

describe("what an engine does wrong is the engine's fault", () => {
  const looks = {
    "a snapshot": (tick: Run.Tick) => Effect.asVoid(tick.snapshot),
    "a reading": (tick: Run.Tick) => Effect.asVoid(tick.read(["beta"])),
    "an evaluation": (tick: Run.Tick) => Effect.asVoid(tick.evaluate(({ beta }) => ({ beta: beta as tf.Tensor }), {}))
  }
  for (const [name, look] of Object.entries(looks)) {
    it.live(`${name} of a worker that has died is an error, with its tick`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const client = yield* WorkerClient.make
          let ended = 0
          const error = yield* Stream.runForEach(run, (tick) => {
            if (tick.index < 5) return Effect.void
            ended = tick.index
            return Effect.andThen(
              Effect.promise(() => client.worker.terminate()),
              look(tick)
            )
          }).pipe(Effect.flip, Effect.provideService(Engine, Compiled.service(client, { threads: 1 })))
          assert.deepInclude(error, { _tag: "EngineError", kind: "Died", engine: "compiled", tick: ended })
          assert.match(error.message, /^engine 'compiled', tick 5: its worker thread died .*last checkpoint/)
        })
      )
    )
  }

  it.live("a backend that was changed under a run", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Stream.runForEach(run, (tick) => (tick.index === 3 ? Effect.promise(() => tf.setBackend("wasm")) : Effect.void))
      )
      assert.deepInclude(error, { _tag: "EngineError", kind: "Threw", engine: "cpu", tick: 4 })
      assert.include(error.message, "changed to 'wasm'")
    }).pipe(Effect.provide(Eager.layer("cpu")), (running) =>
      Effect.andThen(Effect.provide(Effect.void, Eager.layer("wasm")), running)
    )
  )

  it.live("a verification that its worker does not survive", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const client = yield* WorkerClient.make
        yield* Effect.promise(() => client.worker.terminate())
        const error = yield* Verify.verify(triLevel(), { seed: 1 }).pipe(
          Effect.flip,
          Effect.provideService(Engine, Compiled.service(client, { threads: 1 }))
        )
        assert.deepInclude(error, { _tag: "EngineError", kind: "Died" })
      })
    )
  )

  it.live("what an optimizer throws is its level's, at no engine's door", () =>
    Effect.gen(function* () {
      for (const part of ["init", "update"] as const) {
        const optimizer = Optimizer.make({
          ...Optimizer.sgd(0.1),
          [part]: () => {
            throw new Error("out of cheese")
          }
        })
        for (const layer of [Eager.layer("cpu"), Compiled.layer({ threads: 1 })]) {
          const error = yield* Stream.runDrain(Run.ticks(triLevel({ optimizer }), { ticks: 3, seed: 1 })).pipe(
            Effect.flip,
            Effect.provide(layer)
          )
          assert.deepInclude(error, {
            _tag: "StepError",
            kind: "Objective",
            level: "pretrain",
            reason: "out of cheese"
          })
        }
      }
    })
  )

  it.live("a step that another engine has compiled", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const [mine, other] = [yield* WorkerClient.make, yield* WorkerClient.make].map((client) =>
          Compiled.service(client, { threads: 1 })
        ) as [Engine["Service"], Engine["Service"]]
        type State = { readonly a: tf.Tensor }
        const add = (state: State, _: {}) => [{ a: tf.add(state.a, 1) }, { sum: tf.sum(state.a) }] as const
        const state = yield* mine.upload<State>({ a: NdArray.float32([2], [1, 2]) } as never)
        const { failure } = yield* mine.sequences!.run(state, [{ step: yield* other.compile(add), batch: {} }])
        assert.deepInclude(failure, { _tag: "EngineError", kind: "Refused" })
      })
    )
  )
})
