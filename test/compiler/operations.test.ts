import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { Engine } from "../../src/engines/Engine.ts"
import * as XlaEngine from "../../src/engines/xla/XlaEngine.ts"
import { all, differences } from "../support/kernelCases.ts"
import { compilers, page, rows } from "../support/operations.ts"

const isPluginNamed = process.env["TAPWEIGHT_PJRT_PLUGIN"] !== undefined
if (!isPluginNamed) process.stdout.write("skipped: no plugin is named to run operations on XLA (npm run check:xla)\n")

describe("operations of graphs", () => {
  it("have a case each, and a form in ONNX and in StableHLO", () => {
    const found = rows().map(({ op }) => op)
    for (const { lowered, title } of compilers) {
      if (typeof lowered === "function") assert.isTrue(found.some(lowered) && !found.every(lowered), title)
      else assert.deepStrictEqual([...lowered].sort(), [...found].sort(), title)
    }
  })

  it("are those of docs/operations.md (npm run operations)", () => {
    assert.strictEqual(
      page(),
      readFileSync(fileURLToPath(new URL("../../docs/operations.md", import.meta.url)), "utf8")
    )
  })

  it.live.runIf(isPluginNamed)("give on XLA what they give eagerly, and so do their gradients", () =>
    Effect.gen(function* () {
      const eager = new Map(yield* Effect.flatMap(Engine, all).pipe(Effect.provide(Layer.fresh(Eager.layer("cpu")))))
      const found = yield* Effect.flatMap(Engine, all).pipe(Effect.provide(XlaEngine.layer()))
      assert.deepStrictEqual(
        differences(found, eager, () => 3e-6),
        []
      )
    })
  )
})
