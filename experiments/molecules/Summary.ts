/** Tables of what the methods gave, with the paper's numbers beside ours. */
import { ComparisonText, type Score, Statistics, TextTable as Columns } from "tapweight"
import type { Row, Scores } from "./Methods.ts"
import * as Paper from "./Paper.ts"
import type { Finetuning, Method } from "./Settings.ts"
import { ofRows } from "../common/Scores.ts"

type Scored = Row & Scores

/** What was found, with the scores of one kind of finetuning. */
export const under = (found: ReadonlyArray<Row>, how: Finetuning): ReadonlyArray<Scored> =>
  found.flatMap((one) =>
    one.scores.filter(({ finetuning }) => finetuning === how).map((scores) => ({ ...one, ...scores }))
  )

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
const unitOf = (metric: string): ComparisonText.Unit => ({ scale: scaleOf(metric), digits: digitsOf(metric) })

/** Mean ± sample deviation. */
export const spread = (values: ReadonlyArray<number>, metric: string): string =>
  ComparisonText.spread(values, unitOf(metric))

/** How two methods' test scores differ over the same seeds. */
const compared = (one: ReadonlyArray<Scored>, other: ReadonlyArray<Scored>, metric: string): string | undefined => {
  const differences = ComparisonText.differences(one, other, ({ test }) => test)
  if (differences.length === 0) return undefined
  return `${ComparisonText.signed(Statistics.mean(differences), unitOf(metric))}${ComparisonText.paired(differences)}`
}

/** Every score, for comparing with other runs. */
export const scores = (
  rows: ReadonlyArray<Row>,
  tasks: ReadonlyArray<{ readonly name: string; readonly metric: string }>
): ReadonlyArray<Score.Score> => ofRows(rows, tasks, (metric) => (isPercent(metric) ? "more" : "less"))

const trained = ({ seconds }: Row): number => seconds.pretraining + seconds.finetuning

/** The share of training that was spent waiting for data. */
export const waiting = (found: ReadonlyArray<Row>): string => {
  const share = Statistics.mean(found.map(({ seconds }) => seconds.waiting)) / Statistics.mean(found.map(trained))
  return `waiting for data: ${(100 * share).toFixed(1)} % of training time`
}

/**
 * One set's table under one kind of finetuning: validation and test scores, the paper's beside them, cost, and what TapWeight
 * differs from each by.
 */
export const ofSet = (
  set: string,
  metric: string,
  found: ReadonlyArray<Scored>,
  methods: ReadonlyArray<Method>
): string => {
  const of = (method: Method) => found.filter((each) => each.task === set && each.method === method)
  const base = of("finetune")
  const rows = methods.flatMap((method) => {
    const own = of(method)
    if (own.length === 0) return []
    const cost =
      base.length === 0
        ? "-"
        : `×${(Statistics.mean(own.map(trained)) / Statistics.mean(base.map(trained))).toFixed(2)}`
    const paper = Paper.scores[method][set]
    const better = method === "tapweight" ? undefined : compared(of("tapweight"), own, metric)
    return [
      [
        said[method],
        spread(
          own.map((f) => f.validation),
          metric
        ),
        spread(
          own.map((f) => f.test),
          metric
        ),
        paper === undefined ? "-" : paper.toFixed(isPercent(metric) ? 1 : 2),
        cost,
        better ?? "-"
      ]
    ]
  })
  const seeds = new Set(found.filter((each) => each.task === set).map((each) => each.seed)).size
  const heading = [
    `${set}, ${found[0]?.finetuning} (${isPercent(metric) ? "AUROC %, more is better" : `${metric}, less is better`})`
  ]
  return Columns.numbers([
    [...heading, "validation", `test, ${seeds} seeds`, "paper", "cost", "TapWeight − it"],
    ...rows
  ])
}

/**
 * Table 9: training time over finetuning's, all sets and seeds together, as trained and as it would be if pretraining and
 * finetuning had as many updates each; the paper's beside it. None without finetuning alone to compare with.
 */
export const costs = (found: ReadonlyArray<Row>, methods: ReadonlyArray<Method>) => {
  const over = (method: string, of: (one: Row) => number) =>
    Statistics.mean(found.filter((each) => each.method === method).map(of))
  const base = over("finetune", trained)
  // Finetuning's own updates, whatever came before it.
  const update = Statistics.mean(found.map(({ seconds, updates }) => seconds.finetuning / updates.finetuning))
  const others = methods.filter((method) => method !== "finetune" && found.some((each) => each.method === method))
  if (Number.isNaN(base) || others.length === 0) return []
  const times = (x: number | undefined) => (x === undefined ? "-" : `×${x.toFixed(2)}`)
  const rows = others.map((method) => {
    const pretraining = over(method, ({ seconds, updates }) => seconds.pretraining / updates.pretraining)
    const [muv, qm9] = Paper.costs[method] ?? []
    const measured = [over(method, trained) / base, 1 + pretraining / update]
    return [said[method], ...[...measured, muv, qm9].map(times)]
  })
  const columns = ["training time over finetuning's", "as trained", "equal updates", "paper, MUV", "paper, Qm9"]
  return [{ title: "Cost beside the paper's table 9", columns, rows }]
}

/** {@link costs} as text. */
export const inText = (tables: ReturnType<typeof costs>): string =>
  tables.map(({ columns, rows }) => Columns.numbers([columns, ...rows])).join("")

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
export const weights = (found: ReadonlyArray<Row>, objectives: ReadonlyArray<string>): string => {
  const learned = found.filter((each) => each.lambda !== undefined)
  if (learned.length === 0) return ""
  return Columns.numbers([
    ["learned weights λ", "method", "seed", ...objectives],
    ...learned.map(({ lambda, method, seed, task }) => [
      task,
      method,
      `${seed}`,
      ...objectives.map((name) => lambda![name]!.toFixed(3))
    ])
  ])
}
