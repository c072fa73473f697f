import { assert, describe, it } from "vitest"
import * as NdArray from "../../src/dsl/values/NdArray.ts"

describe("arrays hold what they are given, or refuse it", () => {
  it("whole numbers of 32 bits", () => {
    for (const value of [Number.NaN, 2.5, 2 ** 31, -(2 ** 31) - 1, Infinity, "1" as never, undefined as never])
      assert.throws(
        () => NdArray.int32([2], [1, value]),
        `NdArray.int32: element 1 is ${String(value)}, and not a whole`
      )
    assert.deepStrictEqual([...NdArray.int32([3], [-(2 ** 31), 0, 2 ** 31 - 1]).data], [-(2 ** 31), 0, 2 ** 31 - 1])
    assert.strictEqual(NdArray.int32([1], [-0]).data[0], 0)
  })

  it("numbers that float32 reaches, NaN and the infinities among them", () => {
    assert.throws(() => NdArray.float32([2], [0, 1e39]), "element 1 is 1e+39, which float32 does not reach")
    assert.throws(() => NdArray.float32([1], [undefined as never]), "element 0 is undefined, and not a number")
    const special = [Number.NaN, Infinity, -Infinity, -0]
    assert.deepStrictEqual([...NdArray.float32([4], special).data], special)
  })
})
