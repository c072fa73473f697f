import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as WebAssemblyEngine from "../../../src/engines/webassembly/WebAssemblyEngine.ts"
import { all, differences } from "../../support/kernelCases.ts"

describe("every kernel gives what it gives eagerly, and so does its gradient", () => {
  it.live("values and first-order gradients", () =>
    Effect.gen(function* () {
      const eager = new Map(yield* Effect.flatMap(Engine, all).pipe(Effect.provide(Layer.fresh(Eager.layer("cpu")))))
      const compiled = yield* Effect.gen(function* () {
        const engine = yield* Engine
        const results = yield* all(engine)
        assert.strictEqual(yield* engine.live, 0)
        return results
      }).pipe(Effect.provide(Compiled.layer({ threads: 1 })))
      assert.deepStrictEqual(
        differences(compiled, eager, () => 3e-6),
        []
      )
      const found = yield* Effect.flatMap(Engine, all).pipe(Effect.provide(WebAssemblyEngine.layer()))
      const refused = new Map(found.filter(([, results]) => typeof results === "string"))
      for (const [name, reason] of refused) assert.match(String(reason), /^has no form in WebAssembly/, name)
      // Of images, and of nothing else.
      for (const name of refused.keys()) assert.match(name, /convolution|pool|residual/i, name)
      assert.deepStrictEqual(
        differences(
          found.filter(([name]) => !refused.has(name)),
          eager,
          () => 3e-6
        ),
        []
      )
      assert.isAbove(found.length - refused.size, 70)
    })
  )
})
