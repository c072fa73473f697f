import { assert, describe, it } from "vitest"
import * as CompileOptions from "../../../../src/engines/xla/pjrt/CompileOptions.ts"

const hex = (devices: ReadonlyArray<number>) => Buffer.from(CompileOptions.encode(devices)).toString("hex")
const latin = (options: Uint8Array) => Buffer.from(options).toString("latin1")

describe("compile options", () => {
  it("of one device are one replica and one partition, the device left to XLA", () => {
    assert.strictEqual(hex([0]), "1a0420012801")
  })

  // As `SerializeAsString` of JAX's `CompileOptions` writes these fields.
  it("of several name each partition's device and ask for Shardy", () => {
    assert.strictEqual(hex([0, 1]), "1a192001280230014a0e080110021a030a01001a030a0101980101")
    assert.strictEqual(hex([0, 1, 2, 3]), "1a232001280430014a18080110041a030a01001a030a01011a030a01021a030a0103980101")
  })

  it("hold ids and numbers that take more than one byte", () => {
    assert.strictEqual(hex([3, 300]), "1a1a2001280230014a0f080110021a030a01031a040a02ac02980101")
    const many = CompileOptions.encode(Array.from({ length: 130 }, (_, i) => i))
    assert.strictEqual(Buffer.from(many.slice(3, 8)).toString("hex"), "2001288201")
  })

  it("ask for bits that are repeated where a platform would not repeat them", () => {
    assert.deepStrictEqual(CompileOptions.repeatable(CompileOptions.encode([0]), "cpu"), CompileOptions.encode([0]))
    for (const platform of ["cuda", "rocm"]) {
      const options = CompileOptions.repeatable(CompileOptions.encode([0]), platform)
      // An entry of field 7: the name, and true.
      const name = "xla_gpu_deterministic_ops"
      assert.strictEqual(latin(options), `${latin(CompileOptions.encode([0]))}\x3a\x1f\x0a\x19${name}\x12\x02\x10\x01`)
    }
  })
})
