/** Tables of what the methods gave, with the paper's numbers beside ours. */
import { ComparisonText, type Score, Statistics, TextTable as Columns } from "tapweight"
import type { Row, Scores } from "./Methods.ts"
import * as Paper from "./Paper.ts"
import type { Method } from "./Settings.ts"
import { ofRows } from "../common/Scores.ts"
import * as Tables from "../common/Tables.ts"

type Scored = Row & Scores

const said: { readonly [M in Method]: string } = {
  finetune: "finetuning alone",
  equal: "continued pretraining, equal weights",
  initial: "continued pretraining, initial weights",
  bilevel: "TapWeight without MLO (eq. 9)",
  tapweight: "TapWeight",
  final: "continued pretraining, learned final weights"
}

const isPercent = (metric: string): boolean => metric === "roc-auc"
const digitsOf = (metric: string): number => (isPercent(metric) ? 1 : 3)
const scaleOf = (metric: string): number => (isPercent(metric) ? 100 : 1)

/** How scores in a metric are shown: AUROC in percent. */
export const unitOf = (metric: string): ComparisonText.Unit => ({ scale: scaleOf(metric), digits: digitsOf(metric) })

/** Mean ± sample deviation. */
export const spread = (values: ReadonlyArray<number>, metric: string): string =>
  ComparisonText.spread(values, unitOf(metric))

/** Every score, for comparing with other runs. */
export const scores = (
  rows: ReadonlyArray<Row>,
  tasks: ReadonlyArray<{ readonly name: string; readonly metric: string }>
): ReadonlyArray<Score.Score> => ofRows(rows, tasks, (metric) => (isPercent(metric) ? "more" : "less"))

/** The share of training that was spent waiting for data. */
export const waiting = (found: ReadonlyArray<Row>): string => {
  const share =
    Statistics.mean(found.map(({ seconds }) => seconds.waiting)) / Statistics.mean(found.map(Tables.trained))
  return `waiting for data: ${(100 * share).toFixed(1)} % of training time`
}

/** One set's table: validation and test scores, the paper's, cost, and what TapWeight differs from each by. */
export const ofSet = (
  set: string,
  metric: string,
  found: ReadonlyArray<Scored>,
  methods: ReadonlyArray<Method>
): string =>
  Tables.ofTask<Method>(found, {
    task: set,
    heading: `${set}, ${found[0]?.finetuning} (${isPercent(metric) ? "AUROC %, more is better" : `${metric}, less is better`})`,
    unit: unitOf(metric),
    methods,
    said,
    base: ["finetune"],
    paper: { heading: "paper", of: (method) => Paper.scores[method][set]?.toFixed(isPercent(metric) ? 1 : 2) },
    against: { method: "tapweight", heading: "TapWeight − it", itself: true }
  })

/** Table 9: training time over finetuning's. */
export const costs = (found: ReadonlyArray<Row>, methods: ReadonlyArray<Method>) =>
  Tables.costs(found, methods, said, {
    title: "Cost beside the paper's table 9",
    columns: ["paper, MUV", "paper, Qm9"],
    of: (method) => Paper.costs[method] ?? [undefined, undefined]
  })

/**
 * In how many pairs of one set and seed TapWeight's test score is the better one, over all sets, and the p of a sign test that
 * counts seeds of one set, which share a split, as independent; empty for one set.
 */
export const wins = (
  found: ReadonlyArray<Scored>,
  methods: ReadonlyArray<Method>,
  tasks: ReadonlyArray<{ readonly name: string; readonly metric: string }>
): string => {
  const own = found.filter((each) => each.method === "tapweight")
  const rows = methods
    .filter((method) => method !== "tapweight")
    .map((method) => {
      const differences = own.flatMap(({ seed, task, test }) => {
        const other = found.find((each) => each.method === method && each.task === task && each.seed === seed)
        const sign = isPercent(tasks.find(({ name }) => name === task)!.metric) ? 1 : -1
        return other === undefined ? [] : [sign * (test - other.test)]
      })
      const [won, lost] = [differences.filter((by) => by > 0).length, differences.filter((by) => by < 0).length]
      const even = differences.length - won - lost
      const pairs = `${won} of ${differences.length}${even === 0 ? "" : `, ${even} equal`}`
      return [said[method], pairs, Statistics.signP(won, lost).toFixed(3)]
    })
  return tasks.length < 2 || own.length === 0 || rows.length === 0
    ? ""
    : Columns.numbers([
        [`${found[0]?.finetuning}: TapWeight's test score is better than that of`, "sets × seeds", "sign test p"],
        ...rows
      ])
}

/** Learned weights, a line for each seed. */
export const weights = (found: ReadonlyArray<Row>, objectives: ReadonlyArray<string>): string =>
  Tables.weights(
    "learned weights λ",
    found.flatMap(({ lambda, method, seed, task }) =>
      lambda === undefined ? [] : [{ method, seed, task, lambda: objectives.map((name) => lambda[name]!) }]
    ),
    objectives
  )
