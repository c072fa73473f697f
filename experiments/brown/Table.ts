import { Statistics, TextTable as Columns } from "tapweight"

/** Scores of one method, a number per seed. */
export interface Row {
  readonly method: string
  readonly validation: ReadonlyArray<number>
  readonly test: ReadonlyArray<number>
}

const percent = (values: ReadonlyArray<number>): string => Statistics.spread(values, 100, 1)

/** Mean ± sample deviation over seeds, in percent. */
export const table = (rows: ReadonlyArray<Row>): string =>
  Columns.words([
    ["method", "seeds", "validation %", "test %"],
    ...rows.map((row) => [row.method, `${row.test.length}`, percent(row.validation), percent(row.test)])
  ])

/** How one method's test scores differ from another's over the same seeds. */
export const paired = (row: Row, baseline: Row): string => {
  const differences = row.test.map((score, i) => score - baseline.test[i]!)
  const n = differences.length
  const points = 100 * Statistics.mean(differences)
  const p =
    n < 2
      ? ""
      : `, paired p ${Statistics.pairedP(differences).toFixed(3)} (at best ${(2 / 2 ** n).toFixed(3)} with ${n} seeds)`
  return `${row.method} − ${baseline.method}: ${points >= 0 ? "+" : ""}${points.toFixed(1)} points on test${p}`
}
