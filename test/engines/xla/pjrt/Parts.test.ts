import { assert, describe, it } from "vitest"
import * as Parts from "../../../../src/engines/xla/pjrt/Parts.ts"

const shape = [2, 4, 3]
const array = Float32Array.from({ length: 24 }, (_, i) => i)

describe("parts of an array", () => {
  it("along the first axis are views of it", () => {
    const parts = Parts.split(array, shape, 0, 2)
    assert.deepStrictEqual(parts, [array.slice(0, 12), array.slice(12)])
    for (const part of parts) assert.strictEqual(part.buffer, array.buffer)
  })

  it("along any other hold every number where it belongs", () => {
    const [, second] = Parts.split(array, shape, 1, 2)
    assert.deepStrictEqual([...second!], [6, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22, 23])
    const third = Parts.split(array, shape, 2, 3)[2]!
    assert.deepStrictEqual([...third], [2, 5, 8, 11, 14, 17, 20, 23])
    assert.deepStrictEqual(Parts.partOf(shape, 1, 2), [2, 2, 3])
  })

  it("make the array again, whole numbers too", () => {
    for (const [axis, count] of [
      [0, 2],
      [1, 2],
      [1, 4],
      [2, 3]
    ] as const) {
      for (const whole of [array, Int32Array.from(array, (x) => 7 - x)])
        assert.deepStrictEqual(Parts.join(Parts.split(whole, shape, axis, count), shape, axis), whole)
    }
  })
})
