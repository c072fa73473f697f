import * as Effect from "effect/Effect"
import {
  Comparison,
  ComparisonText,
  LambdaChart,
  Program,
  type Session,
  Simplex,
  Statistics,
  type Transformer
} from "tapweight"
import * as Levels from "./Levels.ts"
import { config, type Settings } from "./Settings.ts"
import * as Score from "./Score.ts"
import * as Task from "./Task.ts"

/** The data of one seed, and the problems on it. */
const seeded = (settings: Settings, seed: number) =>
  Effect.map(Task.make(settings, seed), (task) => ({ seed, task, levels: Levels.make(settings, task) }))
type Seeded = Effect.Success<ReturnType<typeof seeded>>

/** The data of every seed, first to last. */
export const prepare = (settings: Settings) =>
  Effect.forEach(
    Array.from({ length: settings.seeds }, (_, i) => settings.seed + i),
    (seed) => seeded(settings, seed)
  )

/** The methods compared, each finetuned alike from its own encoder. */
const methods = {
  finetune: "finetuning alone",
  equal: "continued pretraining, equal weights",
  tapweight: "TapWeight"
} as const
type Method = keyof typeof methods
const names: ReadonlyArray<Method> = ["finetune", "equal", "tapweight"]

/** What a method gave with one seed, as accuracies; `lambda` where it learned weights. */
interface Scores {
  readonly validation: number
  readonly test: number
  readonly lambda?: { readonly [objective: string]: number }
}

/** Where a method's weights were learned. */
const search = (seed: number) => `seed-${seed}/tapweight/search`

/** One method with one seed: finetuned from its encoder, selected on validation data, and tested once. */
const train = Effect.fnUntraced(function* (
  method: Method,
  settings: Settings,
  { levels, seed, task }: Seeded,
  { trial }: Comparison.Trials
) {
  const { ticks } = settings
  const finetuned = Effect.fnUntraced(function* (encoder?: Transformer.HostParams) {
    const outcome = yield* trial(`seed-${seed}/${method}/finetune`, {
      problem: levels.finetuning(encoder),
      ticks: settings.finetuneTicks,
      seed,
      validation: {
        every: settings.scoreEvery,
        rows: task.validation.labels.data.length,
        score: (tick) => Effect.map(Score.ofTick(tick, task.validation), (accuracy) => ({ accuracy })),
        select: { metric: "accuracy", mode: "max" }
      }
    })
    const validation = outcome.selection.best?.score ?? Number.NaN
    const test = yield* outcome.test(task.test, (rows, vars) => Score.ofVars(vars, rows))
    return { validation, test } satisfies Scores as Scores
  })
  if (method === "finetune") return yield* finetuned()
  if (method === "equal") {
    const { vars } = yield* trial(`seed-${seed}/equal/pretrain`, { problem: levels.pretraining(), ticks, seed })
    return yield* finetuned(vars.theta.encoder)
  }
  const { vars } = yield* trial(search(seed), { problem: levels.tapweight, ticks, seed })
  return { ...(yield* finetuned(vars.theta.encoder)), lambda: Simplex.shares(levels.beta, vars.beta) }
})

/** Trains all methods with all seeds. */
const compared = (session: Session.Session, settings: Settings, data: ReadonlyArray<Seeded>) =>
  Comparison.run(session, {
    methods: names,
    tasks: [{ name: "brown" }],
    seeds: data.map(({ seed }) => seed),
    train: ({ method, seed }, trials) =>
      train(
        method,
        settings,
        data.find((one) => one.seed === seed)!,
        trials
      )
  })

/** How TapWeight's test accuracies differ from another method's over the same seeds. */
const paired = (rows: ReadonlyArray<Comparison.Row<Method, Scores>>, baseline: Method): string => {
  const of = (method: Method) => rows.filter((row) => row.method === method)
  const differences = ComparisonText.differences(of("tapweight"), of(baseline), ({ test }) => test)
  const n = differences.length
  if (n === 0) return `${methods.tapweight} − ${methods[baseline]}: no seed has both`
  const best = n < 2 ? "" : ` (at best ${(2 / 2 ** n).toFixed(3)} with ${n} seeds)`
  const by = ComparisonText.signed(Statistics.mean(differences), ComparisonText.percent)
  return `${methods.tapweight} − ${methods[baseline]}: ${by} points on test${ComparisonText.paired(differences)}${best}`
}

/**
 * TapWeight on the Brown corpus: a Transformer is pretrained on masked words, contrastive views and sentence order,
 * finetuned to tell 15 genres from few labels, and the objectives' weights are learned on validation passages.
 */
export const brown = Program.make({
  name: "brown",
  description: "TapWeight on the Brown corpus: three pretraining objectives, genre classification on few labels",
  config: config({}),
  prepare,
  problems: (data) =>
    Object.fromEntries(
      data.flatMap(({ levels, seed }) => [
        [`seed-${seed}/tapweight`, levels.tapweight],
        [`seed-${seed}/equal`, levels.pretraining()],
        [`seed-${seed}/finetune`, levels.finetuning()]
      ])
    ),
  run: (session, { data, settings }) =>
    Effect.gen(function* () {
      const { failures, rows } = yield* compared(session, settings, data)
      const objectives = data[0]!.levels.beta.elements
      const weights = rows.flatMap(({ lambda, seed }) => (lambda === undefined ? [] : [{ seed, lambda }]))
      const charts = yield* Effect.forEach(weights, ({ seed }) =>
        Effect.map(
          LambdaChart.make(session.folder, [search(seed)], `seed ${seed}`),
          (chart) => [`lambda-seed-${seed}.svg`, chart!] as const
        )
      )
      const learned = weights.map(({ lambda, seed }) => {
        const shares = Object.entries(lambda).map(([name, share]) => `${name} ${share.toFixed(3)}`)
        return `  seed ${seed}  ${shares.join("  ")}`
      })
      const table = ComparisonText.table(rows, {
        methods,
        columns: { "validation %": ({ validation }) => validation, "test %": ({ test }) => test },
        unit: ComparisonText.percent
      })
      const failed = ComparisonText.failures(failures)
      return {
        result: {
          rows: names.map((name) => {
            const own = rows.filter((row) => row.method === name)
            return {
              method: methods[name],
              validation: own.map(({ validation }) => validation),
              test: own.map(({ test }) => test)
            }
          }),
          weights,
          objectives,
          failures: failures.map((failure) => ({ ...failure }))
        },
        scores: rows.flatMap((row) =>
          (["validation", "test"] as const).map((split) => ({
            method: row.method,
            task: row.task,
            seed: row.seed,
            metric: "accuracy",
            split,
            better: "more" as const,
            value: row[split]
          }))
        ),
        text: [
          table,
          ...(failed === "" ? [] : ["", failed]),
          "",
          paired(rows, "equal"),
          paired(rows, "finetune"),
          "",
          "learned weights λ (equal: " + (1 / objectives.length).toFixed(3) + ")",
          ...learned
        ].join("\n"),
        charts: Object.fromEntries(charts)
      }
    })
})
