/** Numbers over seeds. */

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

/** Weights λ of parameters β. */
export const softmax = (beta: ReadonlyArray<number>): ReadonlyArray<number> => {
  const exponentials = beta.map((b) => Math.exp(b - Math.max(...beta)))
  const total = exponentials.reduce((sum, e) => sum + e, 0)
  return exponentials.map((e) => e / total)
}

/**
 * Two-sided p of a paired difference by exact sign flips: the share of the 2ⁿ sign patterns whose mean is at least as far
 * from zero. The smallest it can be is 2 / 2ⁿ.
 */
export const pairedP = (differences: ReadonlyArray<number>): number => {
  const n = differences.length
  const observed = Math.abs(mean(differences))
  let extreme = 0
  for (let pattern = 0; pattern < 2 ** n; pattern++) {
    const flipped = differences.map((d, i) => ((pattern >> i) & 1 ? -d : d))
    // Rounding must not part a pattern from its mirror image.
    if (Math.abs(mean(flipped)) >= observed - 1e-12) extreme++
  }
  return extreme / 2 ** n
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
