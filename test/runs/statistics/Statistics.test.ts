import { assert, describe, it } from "vitest"
import * as Statistics from "../../../src/runs/statistics/Statistics.ts"

describe("Table", () => {
  it("mean and sample deviation", () => {
    assert.strictEqual(Statistics.mean([1, 2, 6]), 3)
    assert.closeTo(Statistics.deviation([1, 2, 6]), Math.sqrt(7), 1e-12)
  })

  it("rank correlation: 1 - 6 Σ d² / (n (n² - 1)) without ties, mean ranks with them, blind to monotone changes", () => {
    const [xs, ys] = [
      [3, 1, 4, 1.5, 9],
      [2, 7, 1, 8, 2.8]
    ]
    // Ranks 3 1 4 2 5 and 2 4 1 5 3: Σ d² is 1 + 9 + 9 + 9 + 4.
    assert.closeTo(Statistics.spearman(xs!, ys!), 1 - (6 * 32) / (5 * 24), 1e-12)
    assert.closeTo(Statistics.spearman(xs!, xs!.map(Math.exp)), 1, 1e-12)
    assert.closeTo(
      Statistics.spearman(
        xs!,
        xs!.map((x) => -x)
      ),
      -1,
      1e-12
    )
    // Ranks 1.5 1.5 3 and 1 2 3: 1.5 / √(1.5 · 2).
    assert.closeTo(Statistics.spearman([5, 5, 6], [1, 2, 3]), Math.sqrt(3) / 2, 1e-12)
    assert.isNaN(Statistics.spearman([1, 1, 1], [1, 2, 3]))
  })

  it("exact paired p: 2 / 2ⁿ where every seed agrees, 1 where they cancel, closed form in between", () => {
    for (const n of [3, 5, 7])
      assert.strictEqual(Statistics.pairedP(Array.from({ length: n }, (_, i) => 1 + i)), 2 / 2 ** n)
    assert.strictEqual(Statistics.pairedP([1, -1]), 1)
    // Means of ±1 ±1 ±2 at least as far out as (1 + 1 − 2 = 0) are all of them; as 1 − 1 + 2 = 2: six of eight.
    assert.strictEqual(Statistics.pairedP([1, 1, -2]), 1)
    assert.strictEqual(Statistics.pairedP([1, -1, 2]), 6 / 8)
  })

  it("paired p of many seeds is drawn: near the exact one of signs, and never zero", () => {
    const signs = (won: number, lost: number) => [...Array<number>(won).fill(1), ...Array<number>(lost).fill(-1)]
    // A share of 20,000 draws has a deviation of at most 0.0035.
    for (const [won, lost] of [
      [14, 6],
      [22, 18]
    ] as const) {
      assert.closeTo(Statistics.pairedP(signs(won, lost)), Statistics.signP(won, lost), 0.015)
    }
    assert.strictEqual(Statistics.pairedP(signs(60, 0)), 1 / 20_001)
  })

  it("sign test: the exact paired p of differences that are all as large", () => {
    for (let won = 0; won <= 6; won++) {
      for (let lost = won === 0 ? 1 : 0; lost <= 6; lost++) {
        const signs = [...Array<number>(won).fill(1), ...Array<number>(lost).fill(-1)]
        assert.closeTo(Statistics.signP(won, lost), Statistics.pairedP(signs), 1e-12, `${won} to ${lost}`)
      }
    }
  })
})
