import { assert, describe, it } from "vitest"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import { normalTail, studentQuantile, studentTail } from "../../../src/runs/statistics/Distribution.ts"
import * as Paired from "../../../src/runs/statistics/Paired.ts"
import * as Statistics from "../../../src/runs/statistics/Statistics.ts"
import oracle from "./paired.json" with { type: "json" }

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

  it("the interval covers the mean of normal differences as often as is said of it, and no more often", () => {
    const rounds = 300
    // As docs/runs.md has it, of 10,000 simulations each: too rarely where seeds are few, which no resampling can mend.
    for (const [n, share] of [
      [3, 0.744],
      [4, 0.88],
      [5, 0.928],
      [6, 0.934],
      [8, 0.943],
      [12, 0.951]
    ] as const) {
      const covered = Array.from({ length: rounds }, (_, round) =>
        Paired.interval(Array.from(Seed.normal(Seed.fold(Seed.fold(Seed.make(5), n), round), n)))!
      ).filter(([low, high]) => low <= 0 && 0 <= high).length
      // Three deviations of a binomial count.
      const spread = 3 * Math.sqrt((share * (1 - share)) / rounds)
      assert.closeTo(covered / rounds, share, spread, `${n} differences`)
    }
  })

  it("where nothing differs, the corrected p is small as rarely as is promised, and not more rarely than need be", () => {
    const rounds = 2000
    const small = (n: number, methods: number) =>
      Array.from({ length: rounds }, (_, round) => {
        const drawn = Seed.normal(Seed.fold(Seed.fold(Seed.make(6), n), round), n * methods)
        const ps = Array.from({ length: methods }, (_, m) =>
          Statistics.pairedP(Array.from(drawn.slice(m * n, (m + 1) * n)))
        )
        return Paired.holm(ps).some((p) => p <= Paired.level)
      }).filter(Boolean).length / rounds
    // Of six agreeing signs 2 of 64 patterns are, of eight the 12 of 256 that are farthest out; five have none.
    for (const [n, share] of [
      [5, 0],
      [6, 2 / 64],
      [8, 12 / 256]
    ] as const) {
      assert.closeTo(small(n, 1), share, 3 * Math.sqrt((share * (1 - share)) / rounds), `${n} differences`)
    }
    assert.isAtMost(small(8, 4), Paired.level + 3 * Math.sqrt((0.05 * 0.95) / rounds))
  })

  it("p, intervals and corrections are scipy's (paired.py)", () => {
    for (const { differences, p } of oracle.flips) assert.closeTo(Statistics.pairedP(differences), p, 1e-12)
    // Both are shares of drawn patterns.
    for (const { differences, p } of oracle.many)
      assert.closeTo(Statistics.pairedP(differences), p, 4.5 * Math.sqrt((p * (1 - p)) / 20_000) + 1e-4)
    for (const { inner, outer, values } of oracle.intervals) {
      const ends = Paired.interval(values)!
      for (const i of [0, 1] as const) {
        // Means of resamples that differ by rounding alone are one mean.
        const slack = 1e-12 * Math.max(...values.map(Math.abs))
        const [low, high] = [inner[i]!, outer[i]!].toSorted((a, b) => a - b) as [number, number]
        assert.isAtLeast(ends[i], low - slack, `${values.length} values`)
        assert.isAtMost(ends[i], high + slack, `${values.length} values`)
      }
    }
    for (const { corrected, ps } of oracle.holms)
      for (const [i, p] of Paired.holm(ps).entries()) assert.closeTo(p, corrected[i]!, 1e-12)
    for (const { lost, p, won } of oracle.signs) assert.closeTo(Statistics.signP(won, lost), p, 1e-12)
    for (const { freedom, normal, student, t } of oracle.tails) {
      relative(studentTail(t, freedom), student, 1e-9)
      relative(normalTail(t), normal, 1e-11)
    }
    for (const { one, other, share } of oracle.improvements)
      assert.closeTo(Paired.improvement(one, other), share, 1e-12)
  })

  it("p does not know what differences are measured in", () => {
    const differences = [0.3, -0.1, 0.2, 0.2, -0.05, 0.4]
    for (const unit of [1e-30, 1e-9, 1 / 3, 1e12])
      assert.strictEqual(Statistics.pairedP(differences.map((d) => d * unit)), Statistics.pairedP(differences))
  })

  it("the chance of improvement is that of Mann and Whitney: u / (n m)", () => {
    assert.strictEqual(Paired.improvement([3, 4], [1, 2]), 1)
    assert.strictEqual(Paired.improvement([1, 2], [3, 4]), 0)
    assert.strictEqual(Paired.improvement([1, 3], [2]), 0.5)
    assert.strictEqual(Paired.improvement([1, 1], [1]), 0.5)
  })
})
