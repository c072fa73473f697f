/** Tables of a study of weights. */
import * as Effect from "effect/Effect"
import { ComparisonText, type Comparison, Config, LambdaChart, type Session, Statistics, TextTable } from "tapweight"
import type { Settings } from "./Settings.ts"
import * as Learning from "./Learning.ts"
import * as Study from "./Study.ts"

/** All methods, in the order of the table. */
export const methods = (objectives: ReadonlyArray<string>, draws: number): ReadonlyArray<string> => [
  "none",
  ...Object.keys(Study.weightings(objectives, 0, draws)),
  "window",
  "final-window"
]

export type Row = Comparison.Row<string, Study.Scores>

const learners: ReadonlyArray<string> = Learning.ways
const isFixed = (method: string) =>
  !["none", "longer"].includes(method) && !learners.some((name) => method.endsWith(name))

/** Of each seed the fixed weighting among these that validates best: an oracle that has to be paid for by trying them all. */
const selected = (rows: ReadonlyArray<Row>, name: string, of: (method: string) => boolean): ReadonlyArray<Row> => {
  const seeds = [...new Set(rows.map(({ seed }) => seed))]
  return seeds.flatMap((seed) => {
    const own = rows.filter((row) => row.seed === seed && of(row.method))
    if (own.length === 0) return []
    const best = own.reduce((a, b) => (b.validation.loss < a.validation.loss ? b : a))
    return [{ ...best, method: name, seconds: own.reduce((sum, { seconds }) => sum + seconds, 0) }]
  })
}

const mean = (rows: ReadonlyArray<Row>, of: (row: Row) => number, scale: number, digits: number) =>
  ComparisonText.spread(rows.map(of), { scale, digits })

const table = (target: string, all: ReadonlyArray<Row>, order: ReadonlyArray<string>): string => {
  const equal = all.filter(({ method }) => method === "equal")
  const lines = order.flatMap((method) => {
    const own = all.filter((row) => row.method === method)
    if (own.length === 0) return []
    const differences = ComparisonText.differences(own, equal, ({ test }) => test.accuracy)
    const by =
      method === "equal" || differences.length === 0
        ? "-"
        : `${ComparisonText.signed(Statistics.mean(differences), ComparisonText.percent)}${ComparisonText.paired(differences)}`
    return [
      [
        method,
        `${own.length}`,
        mean(own, (r) => r.validation.accuracy, 100, 1),
        mean(own, (r) => r.validation.loss, 1, 3),
        mean(own, (r) => r.test.accuracy, 100, 1),
        mean(own, (r) => r.test.loss, 1, 3),
        by,
        `${Statistics.mean(own.map(({ seconds }) => seconds)).toFixed(0)}`
      ]
    ]
  })
  return TextTable.numbers([
    [target, "seeds", "validation %", "nats", "test %", "nats", "− equal, points", "seconds"],
    ...lines
  ])
}

const weights = (target: string, rows: ReadonlyArray<Row>, objectives: ReadonlyArray<string>): string => {
  const learned = rows.filter(({ method }) => learners.includes(method))
  if (learned.length === 0) return ""
  return TextTable.numbers([
    [`λ for ${target}`, "seed", ...objectives],
    ...learned.map(({ lambda, method, seed }) => [
      method,
      `${seed}`,
      ...objectives.map((name) => lambda![name]!.toFixed(3))
    ])
  ])
}

/** The tables of a study: a row for each method, and the weights that were learned. */
export const text = (
  rows: ReadonlyArray<Row>,
  methods: ReadonlyArray<string>,
  objectives: ReadonlyArray<string>
): string =>
  [...new Set(rows.map(({ task }) => task))]
    .flatMap((target) => {
      const own = rows.filter((row) => row.task === target)
      const all = [
        ...own,
        ...selected(own, "best corner by validation", (method) => method.endsWith("-only")),
        ...selected(own, "best fixed by validation", (method) => isFixed(method) && !method.startsWith("random"))
      ]
      const order = [...methods, "best corner by validation", "best fixed by validation"]
      return [table(target, all, order), weights(target, own, objectives)]
    })
    .filter((part) => part !== "")
    .join("\n\n")

/** Runs a study, and says what it came to. */
export const run = Effect.fnUntraced(function* (
  session: Session.Session,
  settings: Settings,
  { drawn, inputs }: Study.Data
) {
  yield* session.inputs(inputs)
  const names = drawn[0]!.objectives.map(({ name }) => name)
  const known = [
    "none",
    ...Object.keys(Study.weightings(names, 0, settings.draws)),
    ...learners,
    ...learners.map((how) => `final-${how}`),
    "longer"
  ]
  const unheard = settings.methods.find((method) => !known.includes(method))
  if (unheard !== undefined) {
    const reason = `'${unheard}' is none of ${known.join(", ")}`
    return yield* new Config.ConfigError({ key: "methods", origin: "all together", reason })
  }
  const { failures, rows } = yield* Study.compared(session, settings, drawn, settings.methods, settings.draws)
  const targets = drawn[0]!.targets.map(({ name }) => name)
  const tables = text(rows, settings.methods, names)
  const charts = yield* Effect.forEach(
    targets.flatMap((target) =>
      learners.filter((how) => settings.methods.includes(how)).map((how) => [target, how] as const)
    ),
    ([target, how]) => {
      const trials = drawn.map(({ seed }) => `seed-${seed}/${target}/${how}`)
      return Effect.map(
        LambdaChart.make(session.folder, trials, `${target}, ${how}, mean of ${trials.length} seeds`),
        (chart) => (chart === undefined ? [] : [[`lambda-${target}-${how}.svg`, chart] as const])
      )
    }
  )
  return {
    result: {
      rows: rows.map(({ lambda, method, seconds, seed, task, test, validation }) => ({
        method,
        task,
        seed,
        seconds,
        test: { ...test },
        validation: { ...validation },
        lambda: lambda ?? null
      })),
      failures: failures.map((failure) => ({ ...failure }))
    },
    scores: rows.map(({ method, seed, task, test }) => ({
      method,
      task,
      seed,
      metric: "accuracy",
      split: "test" as const,
      better: "more" as const,
      value: test.accuracy
    })),
    text: [tables, ComparisonText.failures(failures)].filter((part) => part !== "").join("\n\n"),
    charts: Object.fromEntries(charts.flat())
  }
})
