import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Statistics from "../../../src/runs/statistics/Statistics.ts"
import oracle from "./metrics.json" with { type: "json" }

const level = Schema.Int.check(Schema.isBetween({ minimum: -6, maximum: 6 }))
const pairs = Arbitrary.array(Arbitrary.schema(Schema.Tuple([level, level])), { minLength: 1, maxLength: 40 })

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

  it("correlations equal scipy's, with ties and far from zero", () => {
    for (const { pearson, spearman, xs, ys } of oracle.correlations) {
      assert.closeTo(Statistics.pearson(xs, ys), pearson, 1e-9)
      assert.closeTo(Statistics.spearman(xs, ys), spearman, 1e-12)
    }
    // The mean of three times 0.1 is not 0.1: what rounding leaves of it is no correlation.
    assert.isNaN(Statistics.pearson([0.1, 0.1, 0.1], [1, 2, 3]))
    assert.throws(() => Statistics.pearson([1, 2], [1]), /2 and 1 values are no pairs/)
    assert.throws(() => Statistics.spearman([], []), /at least one/)
  })

  it.effect.prop(
    "correlations: ranks share the mean of theirs; Pearson's does not know units, Spearman's no rising map",
    { pairs },
    ({ pairs }) =>
      Effect.sync(() => {
        const [xs, ys] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)]
        const slow = xs.map((v) => xs.filter((w) => w < v).length + (1 + xs.filter((w) => w === v).length) / 2)
        assert.deepStrictEqual(Statistics.ranks(xs), slow)
        const same = (a: number, b: number) => (Number.isNaN(b) ? assert.isNaN(a) : assert.closeTo(a, b, 1e-12))
        const [pearson, spearman] = [Statistics.pearson(xs, ys), Statistics.spearman(xs, ys)]
        assert.strictEqual(Number.isNaN(pearson), new Set(xs).size === 1 || new Set(ys).size === 1)
        same(Statistics.pearson(ys, xs), pearson)
        same(
          Statistics.pearson(
            xs.map((x) => 3 * x - 7),
            ys
          ),
          pearson
        )
        same(
          Statistics.pearson(
            xs.map((x) => -x),
            ys
          ),
          -pearson
        )
        same(
          Statistics.spearman(
            xs.map((x) => Math.exp(x / 2)),
            ys.map((y) => y ** 3)
          ),
          spearman
        )
      }),
    { arbitrary: { runs: 200, seed: 1 } }
  )

  it("what is not a number has no rank, and takes none from others", () => {
    assert.deepStrictEqual(Statistics.ranks([5, Number.NaN, 3]), [2, Number.NaN, 1])
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
