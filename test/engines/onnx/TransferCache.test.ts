import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "vitest"
import * as TransferCache from "../../../src/engines/onnx/TransferCache.ts"

const filled = (length: number, value: number) => new Float32Array(length).fill(value)

describe("what batches send", () => {
  it("an array that is there twice goes once", () => {
    const [a, b] = [filled(300, 1), filled(2, 2)]
    const { brought, packed } = TransferCache.make().pack([
      [a, b, a],
      [b, a]
    ])
    assert.deepStrictEqual(brought, [
      [0, 300, 0],
      [300, 0]
    ])
    assert.deepStrictEqual([...new Float32Array(packed)], [...a, ...b])
  })

  it("one that comes again is lent, and then no longer sent; small ones always are", () => {
    const { pack } = TransferCache.make()
    const [large, small] = [filled(300, 1), new Int32Array([1, 2])]
    assert.deepStrictEqual(pack([[large, small]]).lent, [])
    const second = pack([[small, large]])
    assert.deepStrictEqual(second.lent, [{ id: 1, dtype: "float32", at: 2, length: 300 }])
    assert.deepStrictEqual(second.brought, [[0, 2]])
    const third = pack([[large, small], [large]])
    assert.deepStrictEqual([third.brought, third.lent, third.packed.byteLength], [[[-1, 0], [-1]], [], 8])
  })

  it("one that was written into is sent as it is, and not lent again", () => {
    const { pack } = TransferCache.make()
    const array = filled(300, 1)
    for (let i = 0; i < 3; i++) pack([[array]])
    array[17] = 5
    const changed = pack([[array]])
    assert.deepStrictEqual([changed.returned, changed.lent, changed.brought], [[1], [], [[0]]])
    assert.strictEqual(new Float32Array(changed.packed)[17], 5)
    assert.deepStrictEqual(pack([[array]]).lent, [])
  })

  it("a loan ends when its array is gone", async () => {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    const { pack } = TransferCache.make()
    const lendOne = () => {
      const array = filled(1000, 3)
      for (let i = 0; i < 3; i++) pack([[array]])
    }
    lendOne()
    let returned: ReadonlyArray<number> = []
    for (let tries = 0; tries < 50 && returned.length === 0; tries++) {
      collect()
      await new Promise((resolve) => setTimeout(resolve, 10))
      returned = pack([]).returned
    }
    assert.deepStrictEqual(returned, [1])
  })
})
