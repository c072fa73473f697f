import { assert, describe, it } from "vitest"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import { Series } from "../../../src/runs/watch/Series.ts"

const series = () => new Series({ trial: "", level: "low", name: "loss" })
/** Steps in blocks of 500, in another order where that is said. */
const steps = (n: number, every: number, shuffled: boolean): ReadonlyArray<number> => {
  const blocks = Array.from({ length: n / 500 }, (_, i) => i)
  const order = shuffled ? Seed.permutation(Seed.make(3), blocks.length) : blocks
  return [...order].flatMap((block) => Array.from({ length: 500 }, (_, i) => (block * 500 + i + 1) * every))
}

describe("a series as it grows", () => {
  it("is whole where it is short, and in bounded memory even, with its newest point, in whatever order it comes", () => {
    for (const shuffled of [false, true]) {
      const short = series()
      for (const k of steps(20_000, 1, shuffled)) short.add([k, k, k, 1])
      assert.strictEqual(short.points.length, 20_000)
      assert.isTrue(short.points.every(([x], i) => x === i + 1))
      for (const every of [1, 700]) {
        const long = series()
        for (const k of steps(60_000, every, shuffled)) long.add([k, k, k, 1])
        const kept = long.points.map(([x]) => x)
        assert.isAtMost(kept.length, 40_000)
        assert.isAtLeast(kept.length, 10_000)
        assert.strictEqual(kept.at(-1), 60_000 * every)
        const gaps = kept.map((x, i) => x - (kept[i - 1] ?? 0))
        assert.isTrue(gaps.every((gap) => gap > 0 && gap <= 64 * every))
      }
    }
  })

  it("always ends with what came last, and knows what it has", () => {
    const long = series()
    const said = new Set<string>()
    for (let k = 1; k <= 90_001; k++) {
      said.add(long.add([k, k, k, 1]))
      if (k % 997 === 0) assert.strictEqual(long.points.at(-1)![0], k)
    }
    assert.deepStrictEqual([...said], ["end"])
    assert.strictEqual(long.points.at(-1)![0], 90_001)
    assert.strictEqual(long.add([90_001, 1, 90_001, 1]), "known")
    assert.strictEqual(long.add([90_001, 1, 90_001, 2]), "between")
    assert.isTrue(long.cut(50_000, 2))
    assert.isFalse(long.cut(50_000, 2))
    assert.deepStrictEqual(long.points.at(-1), [90_001, 1, 90_001, 2])
    assert.isAtMost(long.points.at(-2)![0], 50_000)
  })
})
