/** Numbers of rows and classes that there are none of: an error on every engine, and never another row. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { Engine } from "../../src/engines/Engine.ts"
import * as CompiledEngine from "../../src/engines/compiled/CompiledEngine.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Objective from "../../src/objectives/Objective.ts"
import * as Run from "../../src/runtime/run/Run.ts"

const engines = {
  compiled: CompiledEngine.layer({ threads: 1 }),
  onnx: Compiled.layer({ threads: 1 }),
  cpu: Layer.fresh(Eager.layer("cpu")),
  wasm: Layer.fresh(Eager.layer("wasm"))
}

const table = Var.make("table", () => NdArray.float32([4, 3], Array(12).fill(0.5)))

const problem = (ids: ReadonlyArray<number>, loss: (table: tf.Tensor2D, ids: tf.Tensor1D) => tf.Scalar) =>
  Problem.close(
    Level.minimize(table, {
      name: "words",
      data: Dataset.constant("corpus", { ids: NdArray.int32([ids.length], ids) }),
      optimizer: Optimizer.sgd(0.1),
      objective: ({ table }, { ids }) => loss(table, ids as tf.Tensor1D)
    })
  )

const ran = (layer: (typeof engines)["cpu"], ...given: Parameters<typeof problem>) =>
  Stream.runDrain(Run.ticks(problem(...given), { ticks: 3, seed: 1 })).pipe(
    Effect.as("runs"),
    Effect.catch((error) => Effect.succeed(String((error as Error).message))),
    Effect.provide(layer)
  )

const sum = (x: tf.Tensor): tf.Scalar => tf.sum(tf.square(x))
const rows = (table: tf.Tensor2D, ids: tf.Tensor1D) => sum(tf.gather(table, tf.reshape(ids, [-1, 1])))
const computed = (table: tf.Tensor2D, ids: tf.Tensor1D) => sum(tf.gather(table, tf.sub(ids, tf.scalar(1, "int32"))))
const batched = (table: tf.Tensor2D, ids: tf.Tensor1D) =>
  sum(tf.gather(table, tf.reshape(tf.sub(ids, tf.scalar(1, "int32")), [4, 1]), 1, 1))
const classes = (table: tf.Tensor2D, ids: tf.Tensor1D) => Objective.crossEntropy(table, ids)

for (const [name, layer] of Object.entries(engines)) {
  describe(`on ${name}`, () => {
    it.live("a field's number out of range is named, with its row", () =>
      Effect.gen(function* () {
        const gather = /dataset 'corpus', field 'ids', row 1: (-1|4) is none of the 4 that tf.gather counts/
        assert.match(yield* ran(layer, [3, -1, 0], rows), gather)
        assert.match(yield* ran(layer, [3, 4, 0], rows), gather)
        const oneHot = /dataset 'corpus', field 'ids', row 2: (-1|3) is none of the 3 that tf.oneHot counts/
        assert.match(yield* ran(layer, [0, 1, 3, 2], classes), oneHot)
        assert.match(yield* ran(layer, [0, 1, -1, 2], classes), oneHot)
        assert.strictEqual(yield* ran(layer, [3, 0, 2], rows), "runs")
        assert.strictEqual(yield* ran(layer, [0, 1, 2, 2], classes), "runs")
      })
    )

    it.live("so are numbers that a step computes an error where they are rows", () =>
      Effect.gen(function* () {
        for (const [ids, loss] of [
          [[1, 0, 2], computed],
          [[1, 5, 2], computed],
          [[1, 0, 2, 1], batched],
          [[1, 4, 2, 1], batched]
        ] as const)
          assert.match(yield* ran(layer, ids, loss), /[Gg]ather/)
        assert.strictEqual(yield* ran(layer, [1, 2, 4], computed), "runs")
        assert.strictEqual(yield* ran(layer, [1, 2, 3, 1], batched), "runs")
      })
    )

    it.live("sums by number leave out numbers of no segment", () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const f = ({ x, ids }: { readonly x: tf.Tensor; readonly ids: tf.Tensor1D }) => ({
          y: tf.unsortedSegmentSum(x, ids, 3)
        })
        const input = { x: NdArray.float32([5], [1, 2, 4, 8, 16]), ids: NdArray.int32([5], [0, -1, 2, 3, 2]) }
        const found = yield* Effect.acquireUseRelease(
          engine.start(f as never, input as never),
          engine.download,
          engine.release
        )
        assert.deepStrictEqual([...(found as any).y.data], [1, 0, 20])
      }).pipe(Effect.provide(layer))
    )
  })
}

describe("numbers that are known when a step is compiled", () => {
  it.live("are refused then", () =>
    Effect.gen(function* () {
      const loss = (table: tf.Tensor2D) => sum(tf.gather(table, tf.tensor1d([0, 4], "int32")))
      assert.match(yield* ran(engines.compiled, [0], loss), /gather.*takes row 4 of 4/)
    })
  )
})
