import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import type { Operation } from "../../src/compiler/onnx/Onnx.ts"
import * as Lower from "../../src/compiler/onnx/Lower.ts"
import * as Session from "../../src/engines/onnx/WorkerClient.ts"
import { trace } from "../../src/compiler/trace/Trace.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { Engine } from "../../src/engines/Engine.ts"
import { all, differences } from "../support/kernelCases.ts"

const require = createRequire(import.meta.url)
const runtime = join(
  dirname(require.resolve("onnxruntime-node/package.json")),
  "bin/napi-v6",
  process.platform,
  process.arch
)
const found = (name: string): boolean => {
  try {
    return require.resolve(name) !== ""
  } catch {
    return false
  }
}

const double = Effect.scoped(
  Effect.gen(function* () {
    const { observe, upload } = yield* Engine
    const doubled = yield* observe((state: { readonly a: tf.Tensor }, _: {}) => ({ b: tf.mul(state.a, 2) }))
    const { b } = yield* doubled(yield* upload<{ a: tf.Tensor }>({ a: NdArray.float32([1], [4]) } as never), {})
    return b.data[0]
  })
)

describe("an engine that needs a device", () => {
  it.live.skipIf(existsSync(join(runtime, "libonnxruntime_providers_cuda.so")))(
    "cuda: without its libraries it is an error that says what to do, not the cpu",
    () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.provide(Effect.void, Compiled.layer({ provider: "cuda" })))
        assert.deepInclude(error, { _tag: "EngineError", kind: "Refused" })
        assert.match(error.message, /'cuda'.* does not start .*CUDA and cuDNN.*docs\/engines\.md/)
      })
  )

  it.live("webgpu in ONNX Runtime: it computes, or says what is missing", () =>
    Effect.gen(function* () {
      const result = yield* Effect.result(Effect.provide(double, Layer.fresh(Compiled.layer({ provider: "webgpu" }))))
      if (Result.isSuccess(result)) return assert.strictEqual(result.success, 8)
      assert.match(String((result.failure as Error).message), /'webgpu'.* does not start .*Vulkan/)
    })
  )

  it.live.skipIf(found("webgpu") && found("@tensorflow/tfjs-backend-webgpu"))(
    "webgpu in TensorFlow.js: without its packages it is an error that says how to install them",
    () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.provide(Effect.void, Eager.layer("webgpu")))
        assert.deepInclude(error, { _tag: "EngineError", kind: "Refused" })
        assert.match(error.message, /npm install --no-save webgpu@0\.6\.2 @tensorflow\/tfjs-backend-webgpu@4\.22\.0/)
      })
  )
})

describe("graphs as the WebGPU provider has them", () => {
  it.live("give what the usual ones give, also on the cpu", () =>
    Effect.gen(function* () {
      const wanted = new Map(yield* Effect.flatMap(Engine, all).pipe(Effect.provide(Compiled.layer({ threads: 1 }))))
      const results = yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* Session.make
          const ask = (request: any, transfer: any) => {
            const options = { ...request.options, provider: "cpu" }
            return session.ask(request.type === "load" ? { ...request, options } : request, transfer)
          }
          return yield* all(
            Compiled.service({ ...session, ask: ask as typeof session.ask }, { threads: 1, provider: "webgpu" })
          )
        })
      )
      assert.isAbove(results.length, 80)
      assert.deepStrictEqual(
        differences(results, wanted, () => 3e-6),
        []
      )
    })
  )

  it("hold none of the operators that it lacks", () => {
    const image = NdArray.float32([1, 6, 6, 2], new Float32Array(72))
    const table = NdArray.float32([4, 2, 3], new Float32Array(24))
    const { inputs, results } = trace(
      ((image: tf.Tensor4D, table: tf.Tensor3D) => [
        tf.grad((x) => tf.sum(tf.square(tf.maxPool(x as tf.Tensor4D, 2, 2, "same"))) as tf.Scalar)(image),
        tf.grad((x) => tf.sum(tf.square(tf.gather(x, tf.argMax(tf.sum(image, 3), 1)))) as tf.Scalar)(table),
        tf.mul(0.5, tf.matMul(table, table, false, true)),
        tf.round(tf.sign(image)),
        tf.logicalOr(tf.greater(image, 0), tf.less(image, -1)),
        tf.argMin(table, 1)
      ]) as never,
      ["image", "table"],
      [image, table]
    )
    const operators = (provider: "cpu" | "webgpu") =>
      Lower.lower(inputs, results, "given", provider).model!.operations.map(({ op, outputs }: Operation) =>
        op === "MaxPool" && outputs.length > 1 ? "MaxPool with places" : op
      )
    const lacking = ["FusedMatMul", "Or", "Round", "Sign", "ConstantOfShape", "ArgMax", "ArgMin", "MaxPool with places"]
    assert.includeMembers(operators("cpu"), lacking)
    for (const op of operators("webgpu")) assert.notInclude(lacking, op)
  })
})
