/** Scores of one method, a number per seed. */
export interface Row {
  readonly method: string
  readonly validation: ReadonlyArray<number>
  readonly test: ReadonlyArray<number>
}

/** Arithmetic mean. */
export const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, v) => sum + v, 0) / values.length

/** Sample standard deviation; not a number for a single value. */
export const deviation = (values: ReadonlyArray<number>): number => {
  const m = mean(values)
  return Math.sqrt(values.reduce((sum, v) => sum + (v - m) ** 2, 0) / (values.length - 1))
}

/** Weights λ of parameters β. */
export const softmax = (beta: ReadonlyArray<number>): ReadonlyArray<number> => {
  const exponentials = beta.map((b) => Math.exp(b - Math.max(...beta)))
  const total = exponentials.reduce((sum, e) => sum + e, 0)
  return exponentials.map((e) => e / total)
}

const percent = (values: ReadonlyArray<number>): string => {
  const spread = values.length > 1 ? ` ± ${(100 * deviation(values)).toFixed(1)}` : ""
  return `${(100 * mean(values)).toFixed(1)}${spread}`
}

/** Mean ± sample deviation over seeds, in percent. */
export const table = (rows: ReadonlyArray<Row>): string => {
  const cells = [
    ["method", "seeds", "validation %", "test %"],
    ...rows.map((row) => [row.method, `${row.test.length}`, percent(row.validation), percent(row.test)])
  ]
  const widths = cells[0]!.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)))
  return cells
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
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

/** How one method's test scores differ from another's over the same seeds. */
export const paired = (row: Row, baseline: Row): string => {
  const differences = row.test.map((score, i) => score - baseline.test[i]!)
  const n = differences.length
  const points = 100 * mean(differences)
  const p =
    n < 2
      ? ""
      : `, exact paired p ${pairedP(differences).toFixed(3)} (at best ${(2 / 2 ** n).toFixed(3)} with ${n} seeds)`
  return `${row.method} − ${baseline.method}: ${points >= 0 ? "+" : ""}${points.toFixed(1)} points on test${p}`
}
