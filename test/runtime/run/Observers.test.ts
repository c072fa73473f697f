import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import * as WorkerClient from "../../../src/engines/onnx/WorkerClient.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import * as Dataset from "../../../src/dsl/Dataset.ts"
import * as Level from "../../../src/dsl/Level.ts"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Problem from "../../../src/dsl/Problem.ts"
import * as Var from "../../../src/dsl/Var.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"

const ticks = 1000
const tiny = Problem.close(
  Level.minimize(
    Var.make("beta", () => NdArray.float32([2], [1, -2])),
    {
      name: "only",
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.001),
      objective: ({ beta }) => tf.sum(tf.square(beta))
    }
  )
)

/** Evaluates a function that is another at every tick. */
const inline = Stream.runForEach(Run.ticks(tiny, { ticks, seed: 1 }), (tick) =>
  Effect.gen(function* () {
    const [{ beta }, { scaled }] = yield* Effect.all([
      tick.read(["beta"]),
      tick.evaluate(({ beta }, _: {}) => ({ scaled: tf.mul(beta as tf.Tensor1D, tick.index) }), {})
    ])
    const first = (beta as { readonly data: Float32Array }).data[0]!
    assert.strictEqual(scaled.data[0], Math.fround(first * tick.index))
  })
)

describe("functions that a run evaluates", () => {
  it.live("written inline at each of 1,000 ticks, they stay few and hold nothing: compiled", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const client = yield* WorkerClient.make
        let [loaded, most] = [0, 0]
        const ask = ((request, transfer) => {
          if (request.type === "load") most = Math.max(most, ++loaded)
          if (request.type === "unload") loaded--
          return client.ask(request, transfer)
        }) as typeof client.ask
        const engine = Compiled.service({ ...client, ask }, { threads: 1 })
        yield* inline.pipe(Effect.provideService(Engine, engine))
        assert.isBelow(most, 64)
        assert.isAbove(most, 16)
        assert.strictEqual(yield* engine.live, 0)
      })
    )
  )

  it.live("and eagerly: no tensor is left", () =>
    Effect.gen(function* () {
      const { live } = yield* Engine
      const before = yield* live
      yield* inline
      assert.strictEqual(yield* live, before)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it.live("what is wrong with one is its own fault, at no level", () =>
    Effect.gen(function* () {
      for (const layer of [Eager.layer("cpu"), Compiled.layer({ threads: 1 })]) {
        const error = yield* Stream.runForEach(Run.ticks(tiny, { ticks: 3, seed: 1 }), (tick) =>
          tick.evaluate((): { readonly y: tf.Tensor } => {
            throw new Error("out of cheese")
          }, {})
        ).pipe(Effect.flip, Effect.provide(layer))
        assert.deepInclude(error, { _tag: "StepError", kind: "Evaluation", tick: 1, level: "" })
        assert.strictEqual(error.message, "tick 1: out of cheese")
      }
    })
  )
})
