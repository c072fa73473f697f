import { assert, describe, it } from "vitest"
import * as Sharing from "../../../src/runtime/step/Sharing.ts"

const float = (...shape: ReadonlyArray<number>) => ({ dtype: "float32", shape })
const int = (...shape: ReadonlyArray<number>) => ({ dtype: "int32", shape })
const level = (fields: Sharing.Fields) => [{ name: "fit", data: { name: "train", fields } }]

describe("batches that devices share", () => {
  it("have the rows that most fields have; keys of noise and single numbers have none", () => {
    assert.strictEqual(Sharing.rows({ x: float(8, 3), y: float(8), key: int(2) }), 8)
    assert.strictEqual(Sharing.rows({ query: float(16, 3), support: float(4, 3) }), 16)
    assert.isUndefined(Sharing.rows({ key: int(2), rate: float() }))
    assert.isUndefined(Sharing.rows({}))
  })

  it("are shared by every field whose rows can be divided", () => {
    assert.isTrue(Sharing.isShared(float(8, 3), 4))
    assert.isFalse(Sharing.isShared(float(6), 4))
    assert.isFalse(Sharing.isShared(float(8), 1))
    assert.isFalse(Sharing.isShared(int(2), 2))
    assert.isFalse(Sharing.isShared(float(), 2))
  })

  it("are refused where they cannot be divided equally, with the sizes and numbers of devices that would do", () => {
    const six = level({ x: float(6, 3), y: float(6) })
    assert.isUndefined(Sharing.ofLevels(six, 1))
    assert.isUndefined(Sharing.ofLevels(six, 3))
    assert.strictEqual(
      Sharing.ofLevels(six, 4),
      "dataset 'train' of level 'fit' has 6 rows a batch, which 4 devices cannot share equally: " +
        "give it 4 or 8 rows, or ask for 1 or 2 or 3 devices"
    )
    assert.match(Sharing.ofLevels(level({ x: float(1, 3) }), 2)!, /give it 2 rows, or ask for 1 device$/)
    assert.isUndefined(Sharing.ofLevels(level({ key: int(2) }), 4))
  })
})
