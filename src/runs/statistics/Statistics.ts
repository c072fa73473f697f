/** Numbers over seeds. */
import * as Seed from "../../dsl/values/Seed.ts"

/** Arithmetic mean. */
export const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, v) => sum + v, 0) / values.length

/** Sample standard deviation; not a number for a single value. */
export const deviation = (values: ReadonlyArray<number>): number => {
  const m = mean(values)
  return Math.sqrt(values.reduce((sum, v) => sum + (v - m) ** 2, 0) / (values.length - 1))
}

/** Mean ± sample deviation, both times `scale`; the mean alone of a single value. */
export const spread = (values: ReadonlyArray<number>, scale: number, digits: number): string => {
  const around = values.length > 1 ? ` ± ${(scale * deviation(values)).toFixed(digits)}` : ""
  return `${(scale * mean(values)).toFixed(digits)}${around}`
}

/** Ranks from 1; equal values share the mean of theirs, and what is not a number has no rank. */
export const ranks = (values: ArrayLike<number>): ReadonlyArray<number> => {
  const sorted = Float64Array.from(values)
    .filter((v) => !Number.isNaN(v))
    .sort()
  const ranks = new Map<number, number>()
  for (let from = 0; from < sorted.length;) {
    let to = from
    while (to < sorted.length && sorted[to] === sorted[from]) to++
    ranks.set(sorted[from]!, (from + 1 + to) / 2)
    from = to
  }
  return Array.from(values, (v) => ranks.get(v) ?? Number.NaN)
}

/**
 * Pearson's correlation of paired values; not a number where one of them is constant. Throws a `RangeError` on unequal or no values.
 *
 * ```ts
 * Statistics.pearson([1, 2, 3], [1, 2, 4]) // => 0.982
 * ```
 */
export const pearson = (xs: ArrayLike<number>, ys: ArrayLike<number>): number => {
  if (xs.length === 0 || xs.length !== ys.length) {
    throw new RangeError(
      `Statistics: ${xs.length} and ${ys.length} values are no pairs; give as many of both, at least one`
    )
  }
  const centred = (values: ArrayLike<number>) => {
    const m = mean(Array.from(values))
    return Array.from(values, (v) => v - m)
  }
  const dot = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => a.reduce((sum, v, i) => sum + v * b[i]!, 0)
  // The mean of equal values may be off by a rounding, and what is left of them correlate with anything.
  const constant = (values: ArrayLike<number>) => Array.from(values).every((v) => v === values[0])
  if (constant(xs) || constant(ys)) return Number.NaN
  const [x, y] = [centred(xs), centred(ys)]
  return Math.max(-1, Math.min(1, dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))))
}

/**
 * Spearman's rank correlation of paired values: Pearson's of their ranks; not a number where one of them is constant. Throws a
 * `RangeError` on unequal or no values.
 *
 * ```ts
 * Statistics.spearman([1, 2, 3], [10, 30, 20]) // => 0.5
 * ```
 */
export const spearman = (xs: ArrayLike<number>, ys: ArrayLike<number>): number => pearson(ranks(xs), ranks(ys))

/** Differences up to which all sign patterns are gone through. */
const exactly = 16
const flips = 20_000

/**
 * Two-sided p of a paired difference by sign flips: the share of the 2ⁿ sign patterns whose mean is at least as far from
 * zero, of which 2 / 2ⁿ is the smallest; of more than 16 differences 20,000 patterns drawn once for all, and the observed one.
 *
 * ```ts
 * Statistics.pairedP([1, 2, 3]) // => 0.25
 * ```
 */
export const pairedP = (differences: ReadonlyArray<number>): number => {
  const n = differences.length
  const observed = Math.abs(mean(differences))
  // Rounding must not part a pattern from its mirror image, whatever the differences are measured in.
  const slack = 1e-12 * mean(differences.map(Math.abs))
  const extreme = (negative: (i: number) => boolean): boolean =>
    Math.abs(mean(differences.map((d, i) => (negative(i) ? -d : d)))) >= observed - slack
  const patterns = n <= exactly ? 2 ** n : flips
  const drawn = n <= exactly ? undefined : Seed.uniform(Seed.make(0), flips * n)
  let found = 0
  for (let pattern = 0; pattern < patterns; pattern++) {
    const negative = (i: number) => (drawn === undefined ? ((pattern >> i) & 1) === 1 : drawn[pattern * n + i]! < 0.5)
    if (extreme(negative)) found++
  }
  return n <= exactly ? found / patterns : (found + 1) / (patterns + 1)
}

/** Two-sided p of a sign test: how often fair coins part at least as unevenly. Ties are to be left out. */
export const signP = (won: number, lost: number): number => {
  const n = won + lost
  let [share, extreme] = [0.5 ** n, 0]
  for (let k = 0; k <= n; k++) {
    if (Math.abs(2 * k - n) >= Math.abs(won - lost)) extreme += share
    share *= (n - k) / (k + 1)
  }
  return Math.min(1, extreme)
}
