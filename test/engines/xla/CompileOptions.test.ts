import { assert, describe, it } from "@effect/vitest"
import * as CompileOptions from "../../../src/engines/xla/pjrt/CompileOptions.ts"

describe("options of XLA's compiler", () => {
  const plain = CompileOptions.encode([0])
  const text = (options: Uint8Array) => Buffer.from(options).toString("latin1")

  it("ask for bits that are repeated where a platform would not repeat them", () => {
    assert.deepStrictEqual(CompileOptions.repeatable(plain, "cpu"), plain)
    for (const platform of ["cuda", "rocm"]) {
      const options = CompileOptions.repeatable(plain, platform)
      // Field 7, a name and, as its field 2 of its field 2, true.
      const name = "xla_gpu_deterministic_ops"
      assert.strictEqual(text(options), `${text(plain)}\x3a\x1f\x0a\x19${name}\x12\x02\x10\x01`)
    }
  })
})
