import { assert, describe, it } from "vitest"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import { normalTail, studentQuantile, studentTail } from "../../../src/runs/statistics/Distribution.ts"
import * as Paired from "../../../src/runs/statistics/Paired.ts"
import * as Statistics from "../../../src/runs/statistics/Statistics.ts"

const relative = (actual: number, expected: number, tolerance: number) =>
  assert.isBelow(Math.abs(actual / expected - 1), tolerance, `${actual}, expected ${expected}`)

describe("distributions", () => {
  it("are closed forms with one and two degrees of freedom, and scipy's values", () => {
    for (const t of [0, 0.3, 1, 4, 100]) {
      assert.closeTo(studentTail(t, 1), 0.5 - Math.atan(t) / Math.PI, 1e-13)
      assert.closeTo(studentTail(t, 2), 0.5 - t / (2 * Math.sqrt(2 + t * t)), 1e-13)
    }
    // scipy.stats.t.ppf(0.975, 5), t.ppf(0.975, 30), t.ppf(0.995, 7); norm.sf(0.5), norm.sf(1.96), norm.sf(3.5), norm.sf(8)
    relative(studentQuantile(0.025, 5), 2.570581835636314, 1e-11)
    relative(studentQuantile(0.025, 30), 2.0422724563012373, 1e-11)
    relative(studentQuantile(0.005, 7), 3.4994832973504937, 1e-11)
    relative(normalTail(0.5), 0.3085375387259869, 1e-13)
    relative(normalTail(1.96), 0.024997895148220435, 1e-13)
    relative(normalTail(3.5), 0.00023262907903552504, 1e-12)
    relative(normalTail(8), 6.220960574271786e-16, 1e-12)
  })

  it("quantile and tail are inverse", () => {
    for (const freedom of [1, 2, 3, 9, 40])
      for (const tail of [0.5, 0.3, 0.05, 0.001]) {
        assert.closeTo(studentTail(studentQuantile(tail, freedom), freedom), tail, 1e-11)
      }
  })
})

describe("Paired", () => {
  it("the smallest p is what differences that agree give, and the seeds needed are the fewest that reach 0.05", () => {
    for (const n of [2, 3, 6]) {
      assert.strictEqual(Paired.smallestP(n), Statistics.pairedP(Array.from({ length: n }, (_, i) => 1 + i)))
    }
    for (const comparisons of [1, 2, 3, 5, 8, 20]) {
      const n = Paired.seedsNeeded(comparisons)
      assert.isAtMost(comparisons * Paired.smallestP(n), 0.05)
      assert.isAbove(comparisons * Paired.smallestP(n - 1), 0.05)
    }
  })

  it("Holm's correction is what statsmodels gives, keeps the order, and never lowers a p", () => {
    // statsmodels.stats.multitest.multipletests(p, method="holm")
    const given = [0.01, 0.04, 0.03, 0.005, 0.7]
    for (const [i, p] of [0.04, 0.09, 0.09, 0.025, 0.7].entries()) assert.closeTo(Paired.holm(given)[i]!, p, 1e-12)
    assert.deepStrictEqual(Paired.holm([]), [])
    const drawn = Array.from(Seed.uniform(Seed.make(3), 30), (u) => u * u)
    const corrected = Paired.holm(drawn)
    for (const [i, p] of drawn.entries()) {
      assert.isAtLeast(corrected[i]!, p)
      for (const [j, other] of drawn.entries()) if (p < other) assert.isAtMost(corrected[i]!, corrected[j]!)
    }
  })

  it("the interval moves and stretches with the values, and is the value itself where they are equal", () => {
    const values = [0.3, -1, 2.5, 0.7, 1.1]
    const [low, high] = Paired.interval(values)!
    const [lower, higher] = Paired.interval(values.map((v) => 10 - 4 * v))!
    // Resamples are drawn once for all, so mirroring them moves the ends by their own coarseness.
    assert.closeTo(lower, 10 - 4 * high, 0.2)
    assert.closeTo(higher, 10 - 4 * low, 0.2)
    assert.deepStrictEqual(Paired.interval([2, 2, 2]), [2, 2])
    assert.isUndefined(Paired.interval([1]))
  })

  it("the interval covers the mean of eight normal values about 94 times in 100", { timeout: 60_000 }, () => {
    const rounds = 300
    let covered = 0
    for (let round = 0; round < rounds; round++) {
      const [low, high] = Paired.interval(Array.from(Seed.normal(Seed.fold(Seed.make(5), round), 8)))!
      if (low <= 0 && 0 <= high) covered++
    }
    // Plain percentiles cover 88 of 100; the deviation of a share of 300 is 0.014.
    assert.isAbove(covered / rounds, 0.91)
    assert.isBelow(covered / rounds, 0.98)
  })

  it("the chance of improvement is that of Mann and Whitney: u / (n m)", () => {
    assert.strictEqual(Paired.improvement([3, 4], [1, 2]), 1)
    assert.strictEqual(Paired.improvement([1, 2], [3, 4]), 0)
    assert.strictEqual(Paired.improvement([1, 3], [2]), 0.5)
    assert.strictEqual(Paired.improvement([1, 1], [1]), 0.5)
  })
})
