/** What people read of a comparison: means over seeds, paired differences, what failed. */
import type { Cell, Failure } from "../statistics/Comparison.ts"
import * as Statistics from "../statistics/Statistics.ts"
import * as TextTable from "./TextTable.ts"

/** How numbers are shown: times `scale`, with so many digits behind the point. */
export interface Unit {
  readonly scale: number
  readonly digits: number
}

/** A share of one, in percent. */
export const percent: Unit = { scale: 100, digits: 1 }

/** Mean ± sample deviation; the mean alone of a single value, and `failed` of none. */
export const spread = (values: ReadonlyArray<number>, { digits, scale }: Unit): string =>
  values.length === 0 ? "failed" : Statistics.spread(values, scale, digits)

/** One number with its sign. */
export const signed = (value: number, { digits, scale }: Unit): string =>
  `${value >= 0 ? "+" : ""}${(scale * value).toFixed(digits)}`

/** How much more one method's rows have than another's, over the tasks and seeds that both have. */
export const differences = <R extends Cell>(
  one: ReadonlyArray<R>,
  other: ReadonlyArray<R>,
  of: (row: R) => number
): ReadonlyArray<number> =>
  one.flatMap((row) => {
    const same = other.find(({ seed, task }) => seed === row.seed && task === row.task)
    return same === undefined ? [] : [of(row) - of(same)]
  })

/** The p of paired differences in words, after a comma; empty of a single one. */
export const paired = (differences: ReadonlyArray<number>): string =>
  differences.length < 2 ? "" : `, paired p ${Statistics.pairedP(differences).toFixed(3)}`

/** Cells that failed, a line for each; empty where none did. */
export const failures = (failed: ReadonlyArray<Failure>): string =>
  failed.length === 0
    ? ""
    : TextTable.words([
        ["failed", "task", "seed", "why"],
        ...failed.map(({ method, reason, seed, task }) => [method, task, `${seed}`, reason])
      ])

/** What a table of a comparison shows. */
export interface Columns<M extends string, R> {
  /** The methods by name, in order, in words. */
  readonly methods: { readonly [Method in M]: string }
  /** Columns of numbers by their headings. */
  readonly columns: { readonly [heading: string]: (row: R) => number }
  readonly unit: Unit
}

/** A row for each method: its seeds, and of each column mean ± sample deviation over them. */
export const table = <M extends string, R extends Cell<M>>(
  rows: ReadonlyArray<R>,
  { columns, methods, unit }: Columns<M, R>
): string =>
  TextTable.words([
    ["method", "seeds", ...Object.keys(columns)],
    ...Object.entries<string>(methods).map(([method, title]) => {
      const own = rows.filter((row) => row.method === method)
      return [title, `${own.length}`, ...Object.values(columns).map((of) => spread(own.map(of), unit))]
    })
  ])
