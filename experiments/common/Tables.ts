/** Tables of methods over tasks and seeds, whose encoders were finetuned in several ways. */
import { type Comparison, ComparisonText, Statistics, TextTable as Columns } from "tapweight"
import type { Lambda } from "./Weightings.ts"

/** What one finetuning gave; `test` is no number where test rows were not scored. */
interface Scores {
  readonly finetuning: string
  readonly validation: number
  readonly test: number
}

/** What one training came to: scores of each finetuning, and what it took. */
interface Row extends Comparison.Cell {
  readonly scores: ReadonlyArray<Scores>
  readonly seconds: { readonly pretraining: number; readonly finetuning: number }
  readonly updates: { readonly pretraining: number; readonly finetuning: number }
  readonly lambda?: Lambda
}

/** A row with the scores of one finetuning. */
type Scored = Row & Scores

/** The rows with the scores of one kind of finetuning. */
export const under = <R extends Row, const F extends R["scores"][number]["finetuning"]>(
  rows: ReadonlyArray<R>,
  finetuning: F
): ReadonlyArray<R & R["scores"][number]> =>
  rows.flatMap((row) =>
    row.scores.filter((scores) => scores.finetuning === finetuning).map((scores) => ({ ...row, ...scores }))
  )

/** Seconds of a training, those of what came before it included. */
export const trained = ({ seconds }: Pick<Row, "seconds">): number => seconds.pretraining + seconds.finetuning
const times = (x: number | undefined): string => (x === undefined || !Number.isFinite(x) ? "-" : `×${x.toFixed(2)}`)

/** How much more one method's test scores are than another's over the same seeds; none of a method with itself. */
const difference = (one: ReadonlyArray<Scored>, other: ReadonlyArray<Scored>, unit: ComparisonText.Unit): string => {
  const all = ComparisonText.differences(one, other, ({ test }) => test)
  return all.length === 0 || one[0]!.method === other[0]!.method
    ? "-"
    : `${ComparisonText.signed(Statistics.mean(all), unit)}${ComparisonText.paired(all)}`
}

/** What a task's table shows. */
export interface Shown<M extends string> {
  readonly task: string
  /** The task and its metric in words. */
  readonly heading: string
  readonly unit: ComparisonText.Unit
  /** The methods in order, and what they are called. */
  readonly methods: ReadonlyArray<M>
  readonly said: { readonly [method in M]: string }
  /** Cost is over that of the first of these that was trained. */
  readonly base: ReadonlyArray<M>
  readonly paper: { readonly heading: string; readonly of: (method: M) => string | undefined }
  /** The method that others are compared with, and whether what stands there is how much more it has than they, or they than it. */
  readonly against: { readonly method: M; readonly heading: string; readonly itself: boolean }
}

/** One task's table under one kind of finetuning: validation and test scores, the paper's, cost, and paired differences. */
export const ofTask = <M extends string>(
  scored: ReadonlyArray<Scored>,
  { against, base, heading, methods, paper, said, task, unit }: Shown<M>
): string => {
  const own = scored.filter((row) => row.task === task)
  const of = (method: M) => own.filter((row) => row.method === method)
  const reference = base.map(of).find((rows) => rows.length > 0)
  const fixed = of(against.method)
  const rows = methods.flatMap((method) => {
    const one = of(method)
    if (one.length === 0) return []
    return [
      [
        said[method],
        ComparisonText.spread(
          one.map(({ validation }) => validation),
          unit
        ),
        ComparisonText.spread(
          one.map(({ test }) => test),
          unit
        ),
        paper.of(method) ?? "-",
        reference === undefined
          ? "-"
          : times(Statistics.mean(one.map(trained)) / Statistics.mean(reference.map(trained))),
        against.itself ? difference(fixed, one, unit) : difference(one, fixed, unit)
      ]
    ]
  })
  const seeds = new Set(own.map(({ seed }) => seed)).size
  return Columns.numbers([
    [heading, "validation", `test, ${seeds} seeds`, paper.heading, "cost", against.heading],
    ...rows
  ])
}

/** A table in columns. */
export interface Table {
  readonly title: string
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

/**
 * Training time over finetuning's, over all tasks and seeds: as trained, and as it would be if pretraining and finetuning had as many updates
 * each; the paper's beside it. None without the method `finetune` to compare with.
 */
export const costs = <M extends string>(
  rows: ReadonlyArray<Row>,
  methods: ReadonlyArray<M>,
  said: { readonly [method in M]: string },
  paper: {
    readonly title: string
    readonly columns: ReadonlyArray<string>
    readonly of: (method: M) => ReadonlyArray<number | undefined>
  }
): ReadonlyArray<Table> => {
  const over = (method: string, of: (row: Row) => number) =>
    Statistics.mean(rows.filter((row) => row.method === method).map(of))
  const base = over("finetune", trained)
  // Finetuning's own updates, whatever came before it.
  const update = Statistics.mean(rows.map(({ seconds, updates }) => seconds.finetuning / updates.finetuning))
  const others = methods.filter((method) => method !== "finetune" && rows.some((row) => row.method === method))
  if (Number.isNaN(base) || others.length === 0) return []
  const table = others.map((method) => {
    const pretraining = over(method, ({ seconds, updates }) => seconds.pretraining / updates.pretraining)
    return [said[method], ...[over(method, trained) / base, 1 + pretraining / update, ...paper.of(method)].map(times)]
  })
  const columns = ["training time over finetuning's", "as trained", "equal updates", ...paper.columns]
  return [{ title: paper.title, columns, rows: table }]
}

/** Tables as text. */
export const inText = (tables: ReadonlyArray<Table>): string =>
  tables.map(({ columns, rows }) => Columns.numbers([columns, ...rows])).join("")

/** Weights that were learned or chosen, a line for each. */
export const weights = (
  title: string,
  rows: ReadonlyArray<Comparison.Cell & { readonly lambda: ReadonlyArray<number> }>,
  names: ReadonlyArray<string>
): string =>
  rows.length === 0
    ? ""
    : Columns.numbers([
        [title, "method", "seed", ...names],
        ...rows.map(({ lambda, method, seed, task }) => [
          task,
          method,
          `${seed}`,
          ...lambda.map((share) => share.toFixed(3))
        ])
      ])

/**
 * For each two tasks and each objective, in how many of the seeds that both have it weighs more for the one than for the other, with the p of a
 * sign test; empty where no two tasks have weights of one method.
 */
export const apart = (
  rows: ReadonlyArray<Comparison.Cell & { readonly lambda: ReadonlyArray<number> }>,
  names: ReadonlyArray<string>
): string => {
  const [methods, tasks] = (["method", "task"] as const).map((key) => [...new Set(rows.map((row) => row[key]))])
  const table = methods!.flatMap((method) =>
    tasks!.flatMap((one, i) =>
      tasks!.slice(i + 1).flatMap((other) => {
        const of = (task: string) => rows.filter((row) => row.method === method && row.task === task)
        const pairs = of(one).flatMap(({ lambda, seed }) =>
          of(other).flatMap((row) => (row.seed === seed ? [lambda.map((share, k) => share - row.lambda[k]!)] : []))
        )
        if (pairs.length === 0) return []
        return [
          [
            `${one} over ${other}`,
            method,
            ...names.map((_, k) => {
              const [more, less] = [pairs.filter((by) => by[k]! > 0).length, pairs.filter((by) => by[k]! < 0).length]
              return `${more} of ${pairs.length}, p ${Statistics.signP(more, less).toFixed(3)}`
            })
          ]
        ]
      })
    )
  )
  return table.length === 0 ? "" : Columns.numbers([["more weight, in seeds", "method", ...names], ...table])
}

/** Validation scores of fixed weightings on each task, under one kind of finetuning. */
export const landscape = (
  scored: ReadonlyArray<Scored>,
  title: string,
  methods: ReadonlyArray<string>,
  tasks: ReadonlyArray<{ readonly name: string; readonly heading: string; readonly unit: ComparisonText.Unit }>
): string =>
  Columns.numbers([
    [title, ...tasks.map(({ heading }) => heading)],
    ...methods.map((method) => [
      method,
      ...tasks.map(({ name, unit }) =>
        ComparisonText.spread(
          scored.filter((row) => row.task === name && row.method === method).map(({ validation }) => validation),
          unit
        )
      )
    ])
  ])
