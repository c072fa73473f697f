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

/** Ranks from 1; equal values share the mean of theirs. */
export const ranks = (values: ReadonlyArray<number>): ReadonlyArray<number> =>
  values.map((v) => values.filter((w) => w < v).length + (1 + values.filter((w) => w === v).length) / 2)

/**
 * Spearman's rank correlation of paired values: Pearson's of their ranks; not a number where one of them is constant.
 *
 * ```ts
 * Statistics.spearman([1, 2, 3], [10, 30, 20]) // => 0.5
 * ```
 */
export const spearman = (xs: ReadonlyArray<number>, ys: ReadonlyArray<number>): number => {
  const centred = (values: ReadonlyArray<number>) => values.map((v) => v - mean(values))
  const dot = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => a.reduce((sum, v, i) => sum + v * b[i]!, 0)
  const [x, y] = [centred(ranks(xs)), centred(ranks(ys))]
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))
}

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
  // Rounding must not part a pattern from its mirror image.
  const extreme = (negative: (i: number) => boolean): boolean =>
    Math.abs(mean(differences.map((d, i) => (negative(i) ? -d : d)))) >= observed - 1e-12
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
