/** Tables of what the methods gave, with the paper's numbers beside ours. */
import { ComparisonText, type Score, Statistics, TextTable as Columns } from "tapweight"
import type { Row, Scores } from "./methods/Trained.ts"
import * as Paper from "./Paper.ts"
import type { Finetuning, Method, Settings } from "./Settings.ts"
import { ofRows } from "../common/Scores.ts"

type Scored = Row & Scores

const said: { readonly [M in Method]: string } = {
  finetune: "finetuning alone",
  tapt: "TAPT (masked tokens of the task's text)",
  simcse: "SimCSE (contrast and a tenth of masked tokens)",
  pcp: "PCP",
  equal: "continued pretraining, equal weights",
  random: "continued pretraining, random weights",
  corner: "one objective alone, the best by validation",
  grid: "weights of a grid, the best by validation",
  bilevel: "TapWeight without MLO (eq. 9)",
  tapweight: "TapWeight",
  final: "continued pretraining, its final weights",
  solved: "TapWeight, head solved, window",
  "solved-final": "continued pretraining, its final weights"
}

const how: { readonly [F in Finetuning]: string } = {
  held: "finetuned, held near the pretrained encoder",
  free: "finetuned",
  frozen: "head on the frozen encoder"
}

const { percent: unit } = ComparisonText

/** The rows with the scores of one kind of finetuning. */
export const under = (rows: ReadonlyArray<Row>, finetuning: Finetuning): ReadonlyArray<Scored> =>
  rows.flatMap((row) =>
    row.scores.filter((scores) => scores.finetuning === finetuning).map((scores) => ({ ...row, ...scores }))
  )

/** Every score, for comparing with other runs. */
export const scores = (
  rows: ReadonlyArray<Row>,
  tasks: ReadonlyArray<{ readonly name: string; readonly metric: string }>
): ReadonlyArray<Score.Score> => ofRows(rows, tasks, () => "more")

const trained = ({ seconds }: Row): number => seconds.pretraining + seconds.finetuning
const times = (x: number | undefined): string => (x === undefined || !Number.isFinite(x) ? "-" : `×${x.toFixed(2)}`)

/** How much more one method's test scores are than another's over the same seeds. */
const difference = (one: ReadonlyArray<Scored>, other: ReadonlyArray<Scored>): string => {
  const all = ComparisonText.differences(one, other, ({ test }) => test)
  return all.length === 0 || one === other
    ? "-"
    : `${ComparisonText.signed(Statistics.mean(all), unit)}${ComparisonText.paired(all)}`
}

/** One task's table: validation and test scores, the paper's, cost, and what each differs by from equal weights. */
const ofTask = (
  { metric, name }: { readonly name: string; readonly metric: string },
  scored: ReadonlyArray<Scored>,
  { beside, methods }: Settings
): string => {
  const of = (method: Method) => scored.filter((row) => row.task === name && row.method === method)
  const [equal, base] = [of("equal"), of("finetune")]
  const rows = methods.flatMap((method) => {
    const own = of(method)
    if (own.length === 0) return []
    const cost = Statistics.mean(own.map(trained)) / Statistics.mean((equal.length > 0 ? equal : base).map(trained))
    return [
      [
        said[method],
        ComparisonText.spread(
          own.map(({ validation }) => validation),
          unit
        ),
        ComparisonText.spread(
          own.map(({ test }) => test),
          unit
        ),
        Paper.scores[beside][method]?.[name.replace(/-10k$/, "")]?.toFixed(1) ?? "-",
        times(cost),
        method === "equal" ? "-" : difference(own, equal)
      ]
    ]
  })
  const seeds = new Set(scored.filter((row) => row.task === name).map(({ seed }) => seed)).size
  const first = scored[0]
  const heading = `${name} (${metric} × 100), ${first === undefined ? "" : how[first.finetuning]}`
  return Columns.numbers([
    [heading, "validation", `test, ${seeds} seeds`, `paper, ${beside}`, "cost", "test − equal weights"],
    ...rows
  ])
}

/** Learned weights, a line for each seed. */
const weights = (
  title: string,
  rows: ReadonlyArray<{
    readonly task: string
    readonly method: string
    readonly seed: number
    readonly lambda: ReadonlyArray<number>
  }>,
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
 * Table 8: training time over finetuning's, over all tasks and seeds, as trained and as with as many updates each. None without
 * finetuning alone to compare with.
 */
export const costs = (rows: ReadonlyArray<Row>, methods: ReadonlyArray<Method>) => {
  const over = (method: string, of: (row: Row) => number) =>
    Statistics.mean(rows.filter((row) => row.method === method).map(of))
  const base = over("finetune", trained)
  const update = Statistics.mean(rows.map(({ seconds, updates }) => seconds.finetuning / updates.finetuning))
  const others = methods.filter((method) => method !== "finetune" && rows.some((row) => row.method === method))
  if (Number.isNaN(base) || others.length === 0) return []
  const table = others.map((method) => {
    const pretraining = over(method, ({ seconds, updates }) => seconds.pretraining / updates.pretraining)
    return [said[method], ...[over(method, trained) / base, 1 + pretraining / update, Paper.costs[method]].map(times)]
  })
  const columns = ["training time over finetuning's", "as trained", "equal updates", "paper, QQP"]
  return [{ title: "Cost beside the paper's table 8", columns, rows: table }]
}

const inText = (tables: ReturnType<typeof costs>): string =>
  tables.map(({ columns, rows }) => Columns.numbers([columns, ...rows])).join("")

/** What a run says. */
export const text = (
  {
    averages,
    failures,
    rows
  }: {
    readonly rows: ReadonlyArray<Row>
    readonly averages: Parameters<typeof weights>[1]
    readonly failures: string
    readonly seeds: ReadonlyArray<number>
  },
  settings: Settings,
  {
    names,
    tasks
  }: {
    readonly names: ReadonlyArray<string>
    readonly tasks: ReadonlyArray<{ readonly name: string; readonly metric: string }>
  }
): string => {
  const final = rows.flatMap(({ lambda, method, seed, task }) =>
    lambda === undefined || method.endsWith("final")
      ? []
      : [{ method, seed, task, lambda: names.map((name) => lambda[name] ?? 0) }]
  )
  return [
    ...settings.finetunings.flatMap((finetuning) => {
      const scored = under(rows, finetuning)
      return tasks.map((task) => ofTask(task, scored, settings))
    }),
    weights("λ at the end", final, names),
    weights("λ, mean of the last half", averages, names),
    final.length > 0 ? "λ was learned from the validation part: its scores there favour the methods that learn it" : "",
    // A head alone takes so little time that nothing compares with it.
    settings.finetunings.every((how) => how === "frozen") ? "" : inText(costs(rows, settings.methods)),
    failures
  ]
    .filter((part) => part !== "")
    .join("\n\n")
}
