/** Tables of what the methods gave, with the paper's numbers beside ours. */
import { ComparisonText, type Score } from "tapweight"
import type { Row, Scores } from "./methods/Trained.ts"
import * as Paper from "./Paper.ts"
import type { Finetuning, Method, Settings } from "./Settings.ts"
import { ofRows } from "../common/Scores.ts"
import * as Tables from "../common/Tables.ts"

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

/** Every score, for comparing with other runs. */
export const scores = (
  rows: ReadonlyArray<Row>,
  tasks: ReadonlyArray<{ readonly name: string; readonly metric: string }>
): ReadonlyArray<Score.Score> => ofRows(rows, tasks, () => "more")

/** One task's table: validation and test scores, the paper's, cost, and what each differs by from equal weights. */
const ofTask = (
  { metric, name }: { readonly name: string; readonly metric: string },
  scored: ReadonlyArray<Row & Scores>,
  { beside, methods }: Settings
): string => {
  const first = scored[0]
  return Tables.ofTask<Method>(scored, {
    task: name,
    heading: `${name} (${metric} × 100), ${first === undefined ? "" : how[first.finetuning]}`,
    unit,
    methods,
    said,
    base: ["equal", "finetune"],
    paper: {
      heading: `paper, ${beside}`,
      of: (method) => Paper.scores[beside][method]?.[name.replace(/-10k$/, "")]?.toFixed(1)
    },
    against: { method: "equal", heading: "test − equal weights", itself: false }
  })
}

/** Table 8: training time over finetuning's. */
export const costs = (rows: ReadonlyArray<Row>, methods: ReadonlyArray<Method>) =>
  Tables.costs(rows, methods, said, {
    title: "Cost beside the paper's table 8",
    columns: ["paper, QQP"],
    of: (method) => [Paper.costs[method]]
  })

/** What a run says. */
export const text = (
  {
    averages,
    failures,
    rows
  }: {
    readonly rows: ReadonlyArray<Row>
    readonly averages: Parameters<typeof Tables.weights>[1]
    readonly failures: string
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
      const scored = Tables.under(rows, finetuning)
      return tasks.map((task) => ofTask(task, scored, settings))
    }),
    Tables.weights("λ at the end", final, names),
    Tables.weights("λ, mean of the last half", averages, names),
    Tables.apart(averages, names),
    final.length > 0 ? "λ was learned from the validation part: its scores there favour the methods that learn it" : "",
    // A head alone takes so little time that nothing compares with it.
    settings.finetunings.every((how) => how === "frozen") ? "" : Tables.inText(costs(rows, settings.methods)),
    failures
  ]
    .filter((part) => part !== "")
    .join("\n\n")
}
