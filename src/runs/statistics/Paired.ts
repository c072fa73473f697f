/** What paired differences say, and what so few of them cannot say. */
import * as Seed from "../../dsl/values/Seed.ts"
import { normalTail, studentQuantile } from "./Distribution.ts"
import { deviation, mean, pairedP } from "./Statistics.ts"

/** Differences below which every two-sided p is called small. */
export const level = 0.05

/**
 * The smallest p that n paired differences can reach, all of them agreeing: 2 / 2ⁿ.
 *
 * ```ts
 * Paired.smallestP(5) // => 0.0625
 * ```
 */
export const smallestP = (n: number): number => 2 / 2 ** n

/**
 * How many seeds it takes before the smallest of `comparisons` p values can be at or below 0.05 after Holm's correction.
 *
 * ```ts
 * Paired.seedsNeeded(2) // => 7
 * ```
 */
export const seedsNeeded = (comparisons: number): number => Math.ceil(Math.log2((2 * Math.max(1, comparisons)) / level))

/**
 * Holm's correction: p values of one table, such that the chance of any false one below a level is at most that level.
 * Holm (1979), A simple sequentially rejective multiple test procedure.
 *
 * ```ts
 * Paired.holm([0.01, 0.04, 0.03]) // => [0.03, 0.06, 0.06]
 * ```
 */
export const holm = (ps: ReadonlyArray<number>): ReadonlyArray<number> => {
  const order = ps.map((_, i) => i).toSorted((a, b) => ps[a]! - ps[b]!)
  const out = ps.map(() => 1)
  let least = 0
  for (const [rank, i] of order.entries()) {
    least = Math.max(least, Math.min(1, (ps.length - rank) * ps[i]!))
    out[i] = least
  }
  return out
}

const resamples = 10_000

let last: { readonly n: number; readonly drawn: Int32Array } = { n: 0, drawn: new Int32Array() }
/** Which of n values each resample has: the same for all lists of as many, and drawn again only where there are more or fewer. */
const drawnOf = (n: number): Int32Array => {
  if (last.n !== n) last = { n, drawn: Seed.integers(Seed.fold(Seed.make(0), "bootstrap"), resamples * n, n) }
  return last.drawn
}

/**
 * The 95 % bootstrap interval of a mean: percentiles of the means of 10,000 resamples, drawn once for all, and taken further
 * out the fewer values there are (the expanded percentile interval of Hesterberg, 2015, What teachers should know about the
 * bootstrap, section 5.3), since plain percentiles of few values are too narrow. Undefined of a single value.
 */
export const interval = (values: ReadonlyArray<number>): readonly [number, number] | undefined => {
  const n = values.length
  if (n < 2) return undefined
  const drawn = drawnOf(n)
  const means = new Float64Array(resamples)
  for (let r = 0; r < resamples; r++) {
    let sum = 0
    for (let i = 0; i < n; i++) sum += values[drawn[r * n + i]!]!
    means[r] = sum / n
  }
  means.sort()
  const tail = normalTail(Math.sqrt(n / (n - 1)) * studentQuantile(level / 2, n - 1))
  const at = Math.floor(tail * resamples)
  return [means[at]!, means[resamples - 1 - at]!]
}

/** Paired differences in numbers. */
export interface Paired {
  readonly n: number
  readonly mean: number
  /** Sample deviation; not a number for a single difference. */
  readonly deviation: number
  readonly interval: readonly [number, number] | undefined
  /** Two-sided, by sign flips; undefined of a single difference. */
  readonly p: number | undefined
}

/** All of it for one list of differences; undefined of none. */
export const of = (differences: ReadonlyArray<number>): Paired | undefined =>
  differences.length === 0
    ? undefined
    : {
        n: differences.length,
        mean: mean(differences),
        deviation: deviation(differences),
        interval: interval(differences),
        p: differences.length < 2 ? undefined : pairedP(differences)
      }

/**
 * How likely one method's score is above another's: the share of all pairs of their seeds, ties counting half, where more is
 * better (Agarwal et al., 2021, Deep reinforcement learning at the edge of the statistical precipice).
 *
 * ```ts
 * Paired.improvement([2, 3], [1, 2]) // => 0.875
 * ```
 */
export const improvement = (one: ReadonlyArray<number>, other: ReadonlyArray<number>): number =>
  mean(one.flatMap((a) => other.map((b) => (a > b ? 1 : a === b ? 0.5 : 0))))
