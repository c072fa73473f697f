import { assert, describe, it } from "vitest"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Init from "../../src/models/Init.ts"
import * as Mlp from "../../src/models/Mlp.ts"

describe("initial values", () => {
  it("of a size that no memory has are refused with the estimate, and shapes that are none by name", () => {
    const seed = Seed.make(0)
    for (const make of [Init.zeros, Init.ones, (shape: [number, number]) => Init.normal(1, shape), Init.glorot]) {
      assert.throws(() => make([1e9, 128])(seed), /shape \[1000000000, 128\] takes 477 GiB, of 2 GiB/)
      for (const n of [-1, 1.5, NaN, Infinity]) assert.throws(() => make([n, 2])(seed), /whole numbers of at least 0/)
    }
    assert.throws(() => Mlp.init([8, 1e9, 2])(seed), /takes \S+ GiB/)
    assert.lengthOf(Init.zeros([0, 3])(seed).data, 0)
  })
})
