/** What people read at the end: a table, paired differences, weights. */
import { type Comparison, ComparisonText, Paired, type Program, Statistics, TextTable } from "tapweight"
import * as Methods from "./Methods.ts"
import * as Objectives from "./Objectives.ts"

type Row = Comparison.Row<Methods.Method, Methods.Scores>

/** What `tapweight compare` reads. */
export const scores = (rows: ReadonlyArray<Row>): NonNullable<Program.Result["scores"]> =>
  rows.flatMap((row) =>
    (["validation", "test"] as const).map((split) => ({
      method: row.method,
      task: row.task,
      seed: row.seed,
      metric: "accuracy",
      split,
      better: "more" as const,
      value: row[split]
    }))
  )

const of = (rows: ReadonlyArray<Row>, method: Methods.Method) => rows.filter((row) => row.method === method)

const table = (rows: ReadonlyArray<Row>): string =>
  TextTable.numbers([
    ["digits told apart", "validation %", "test %", "seconds"],
    ...Methods.names.map((method) => {
      const own = of(rows, method)
      const spread = (split: "validation" | "test") =>
        ComparisonText.spread(
          own.map((row) => row[split]),
          ComparisonText.percent
        )
      const seconds = own.length === 0 ? "" : Statistics.mean(own.map((row) => row.seconds)).toFixed(1)
      return [Methods.methods[method], spread("validation"), spread("test"), seconds]
    })
  ])

/** One method's test scores beside another's over the same seeds. */
const paired = (rows: ReadonlyArray<Row>, one: Methods.Method, other: Methods.Method): ReadonlyArray<string> => {
  const differences = ComparisonText.differences(of(rows, one), of(rows, other), ({ test }) => test)
  const name = `${Methods.methods[one]} − ${Methods.methods[other]}`
  const found = Paired.of(differences)
  if (found === undefined) return [name, "no seed has both", "", ""]
  const better = `better in ${differences.filter((d) => d > 0).length} of ${found.n}`
  const p = found.p === undefined ? "" : `p ${found.p.toFixed(3)}`
  return [name, `${ComparisonText.signed(found.mean, ComparisonText.percent)} points`, better, p]
}

/** Whether there is anything to find: validation accuracies of fixed weights, which `best fixed weights` chooses from. */
const landscape = (rows: ReadonlyArray<Row>): string => {
  const tried = of(rows, "fixed").flatMap((row) => (row.tried === undefined ? [] : [row.tried]))
  const spread = (weights: keyof Methods.Tried) =>
    ComparisonText.spread(
      tried.map((one) => one[weights]),
      ComparisonText.percent
    )
  return TextTable.numbers([
    ["fixed weights", "equal", ...Objectives.names.map((name) => `${name} alone`)],
    ["validation %", spread("equal"), ...Objectives.names.map(spread)]
  ])
}

/** Mean weights over seeds, of methods that look for any. */
const weights = (rows: ReadonlyArray<Row>): string =>
  TextTable.numbers([
    [`λ, mean over seeds (equal: ${(1 / Objectives.names.length).toFixed(2)})`, ...Objectives.names],
    ...(["fixed", "learned"] as const).map((method) => [
      Methods.methods[method],
      ...Objectives.names.map((name) =>
        Statistics.mean(of(rows, method).map(({ lambda }) => lambda?.[name] ?? Number.NaN)).toFixed(2)
      )
    ])
  ])

/** All of it. */
export const text = (rows: ReadonlyArray<Row>, failures: ReadonlyArray<Comparison.Failure>): string => {
  const seeds = new Set(rows.map(({ seed }) => seed)).size
  const least = seeds < 2 ? "" : ` over ${seeds} seeds, p at best ${Paired.smallestP(seeds).toFixed(3)}`
  const differences = TextTable.words([
    [`on test${least}`, "", "", ""],
    paired(rows, "learned", "equal"),
    paired(rows, "learned", "random"),
    paired(rows, "learned", "fixed"),
    paired(rows, "final", "equal")
  ])
  return [landscape(rows), table(rows), ComparisonText.failures(failures), differences, weights(rows)]
    .filter((part) => part !== "")
    .join("\n\n")
}
