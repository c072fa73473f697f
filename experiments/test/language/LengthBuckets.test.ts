import { assert, describe, it } from "@effect/vitest"
import { Seed } from "tapweight"
import * as LengthBuckets from "../../language/tokenizers/LengthBuckets.ts"

const seed = Seed.make(2)
const sizesOf = (n: number, most: number): Int32Array => Seed.integers(seed, n, most).map((size) => size + 1)

describe("LengthBuckets", () => {
  it("lengths rise to the longest", () => {
    assert.deepStrictEqual(LengthBuckets.lengths(128), [16, 24, 32, 48, 64, 96, 128])
    assert.deepStrictEqual(LengthBuckets.lengths(100), [16, 24, 32, 48, 64, 96, 100])
    assert.deepStrictEqual(LengthBuckets.lengths(5), [5])
    assert.throws(() => LengthBuckets.lengths(0), /longest row has 0 tokens/)
    assert.throws(() => LengthBuckets.bucketOf([16, 32], 33), /33 tokens, the longest bucket 32: cut rows before/)
  })

  it("each epoch of training has whole batches of rows that fit, each row once at most, another order each time", () => {
    for (const [n, size] of [
      [257, 8],
      [64, 64],
      [100, 7],
      [9, 1]
    ] as const) {
      const sizes = sizesOf(n, 128)
      const lengths = LengthBuckets.lengths(128)
      const at = LengthBuckets.training(sizes, lengths, size)
      const count = Math.floor(n / size)
      const epochs = [0, 1].map((epoch) => Array.from({ length: count }, (_, i) => at(seed, epoch * count + i)))
      for (const epoch of epochs) {
        const rows = epoch.flatMap(({ rows }) => rows)
        assert.strictEqual(rows.length, count * size)
        assert.strictEqual(new Set(rows).size, rows.length)
        for (const { length, rows } of epoch) {
          assert.include(lengths, length)
          assert.strictEqual(rows.length, size)
          for (const row of rows) assert.isAtMost(sizes[row]!, length)
        }
      }
      if (n > 9) assert.notDeepEqual(epochs[0], epochs[1])
      // A batch is a function of the seed and its number, whatever was asked for before.
      const again = LengthBuckets.training(sizes, lengths, size)
      assert.deepStrictEqual(again(seed, 2 * count - 1), epochs[1]!.at(-1))
      assert.deepStrictEqual(again(seed, 0), epochs[0]![0])
    }
  })

  it("pads less than rows of one length would", () => {
    const sizes = sizesOf(4096, 128)
    const lengths = LengthBuckets.lengths(128)
    const at = LengthBuckets.training(sizes, lengths, 32)
    const cells = Array.from({ length: 128 }, (_, i) => 32 * at(seed, i).length).reduce((sum, n) => sum + n)
    const tokens = sizes.reduce((sum, n) => sum + n)
    assert.isBelow(cells / tokens, 1.3)
    assert.isAbove((4096 * 128) / tokens, 1.9)
  })

  it("evaluation has every row once", () => {
    const sizes = sizesOf(100, 60)
    const batches = LengthBuckets.evaluation(sizes, LengthBuckets.lengths(64), 16)
    const rows = batches.flatMap(({ rows }) => rows)
    assert.deepStrictEqual(
      [...rows].sort((a, b) => a - b),
      Array.from({ length: 100 }, (_, i) => i)
    )
    for (const { length, rows } of batches) for (const row of rows) assert.isAtMost(sizes[row]!, length)
  })

  it("rows are filled up with padding, and batches with rows of padding", () => {
    const rows = [
      { ids: [2, 7, 3], types: [0, 0, 0] },
      { ids: [2, 3, 9, 3], types: [0, 0, 1, 1] }
    ]
    const { ids, mask, types } = LengthBuckets.padded(rows, 4, { padding: 1 }, 3)
    assert.deepStrictEqual([...ids.data], [2, 7, 3, 1, 2, 3, 9, 3, 1, 1, 1, 1])
    assert.deepStrictEqual([...types.data], [0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0])
    assert.deepStrictEqual([...mask.data], [1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0])
    assert.throws(
      () => LengthBuckets.padded(rows, 3, { padding: 1 }),
      /row 1 has 4 tokens, 3 are asked for: cut it before/
    )
    assert.throws(() => LengthBuckets.training([1, 2], [4], 3), /2 rows do not fill a batch of 3/)
  })
})
