import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Transformer from "../../models/Transformer.ts"
import type { NdArray } from "../../dsl/NdArray.ts"
import * as Chart from "../../runs/Chart.ts"
import * as Config from "../../runs/Config.ts"
import * as Program from "../../runs/Program.ts"
import * as Records from "../../runs/Records.ts"
import type { Outcome } from "../../runs/Trial.ts"
import * as Levels from "./Levels.ts"
import * as Score from "./Score.ts"
import * as Table from "./Table.ts"
import * as Task from "./Task.ts"

const positive = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
const rate = Schema.Finite.check(Schema.isGreaterThan(0))

const config = Config.make({
  schema: Schema.Struct({
    ...Program.common,
    /** Seeds to compare over: `seed`, `seed` + 1, … */
    seeds: positive,
    length: positive,
    vocabulary: positive,
    perGenre: Schema.Struct({ train: positive, validation: positive, test: positive }),
    model: Schema.Struct({ width: positive, heads: positive, layers: positive, hidden: positive }),
    dropout: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 0.9 })),
    contrast: Schema.Literals(["dropout", "segments"]),
    batch: Schema.Struct({ pretrain: positive, finetune: positive, reweight: positive }),
    rate: Schema.Struct({ pretrain: rate, finetune: rate, reweight: rate }),
    gamma: rate,
    warmup: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
    radius: rate,
    finetuneTicks: positive,
    scoreEvery: positive,
    useless: Schema.Boolean
  }),
  defaults: {
    seed: 0,
    seeds: 3,
    ticks: 500,
    length: 48,
    vocabulary: 3000,
    perGenre: { train: 16, validation: 16, test: 32 },
    model: { width: 48, heads: 4, layers: 1, hidden: 96 },
    dropout: 0.1,
    contrast: "segments",
    batch: { pretrain: 24, finetune: 16, reweight: 60 },
    rate: { pretrain: 3e-3, finetune: 2e-3, reweight: 0.3 },
    gamma: 0.5,
    warmup: 100,
    radius: 0.01,
    finetuneTicks: 200,
    scoreEvery: 25,
    useless: false
  },
  presets: {
    /** For a trustworthy comparison: more seeds, longer pretraining. */
    long: { seeds: 6, ticks: 3000, batch: { pretrain: 16 }, finetuneTicks: 300 }
  }
})

type Settings = (typeof config)["schema"]["Type"]

const encoderOf = (outcome: Outcome): Transformer.HostParams =>
  (outcome.vars["theta"] as unknown as { readonly encoder: Transformer.HostParams }).encoder

/** One seed: every method is finetuned alike from its own encoder, selected on validation data, and tested once. */
const compare = Effect.fnUntraced(function* (session: Program.Session, settings: Settings, seed: number) {
  const task = yield* Task.make(settings, seed)
  const levels = Levels.make(settings, task)
  const { ticks } = settings
  const finetuned = Effect.fnUntraced(function* (method: string, encoder?: Transformer.HostParams) {
    const outcome = yield* session.trial(`seed-${seed}/${method}/finetune`, {
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
    return { method, validation, test: yield* Score.ofVars(outcome.vars, task.test) }
  })
  const alone = yield* finetuned("finetune")
  const equal = yield* session.trial(`seed-${seed}/equal/pretrain`, { problem: levels.pretraining(), ticks, seed })
  const equalWeights = yield* finetuned("equal", encoderOf(equal))
  const weights = Levels.objectives(settings)
  const searched = yield* session.trial(`seed-${seed}/tapweight/search`, { problem: levels.tapweight, ticks, seed, weights })
  const learned = yield* finetuned("tapweight", encoderOf(searched))
  return { scores: [alone, equalWeights, learned], beta: Array.from((searched.vars["beta"] as NdArray).data) }
})

const softmax = (beta: ReadonlyArray<number>): ReadonlyArray<number> => {
  const exponentials = beta.map((b) => Math.exp(b - Math.max(...beta)))
  const total = exponentials.reduce((sum, e) => sum + e, 0)
  return exponentials.map((e) => e / total)
}

const methods = {
  finetune: "finetuning alone",
  equal: "continued pretraining, equal weights",
  tapweight: "TapWeight"
} as const

/**
 * TapWeight on the Brown corpus: a Transformer is pretrained on masked words, contrastive views and sentence order,
 * finetuned to tell 15 genres from few labels, and the objectives' weights are learned on validation passages.
 */
export const brown = Program.make({
  name: "brown",
  description: "TapWeight on the Brown corpus: three pretraining objectives, genre classification on few labels",
  config,
  problem: (settings: Settings) =>
    Effect.map(Task.make(settings, settings.seed), (task) => Levels.make(settings, task).tapweight),
  run: (session, settings: Settings) =>
    Effect.gen(function* () {
      const seeds = Array.from({ length: settings.seeds }, (_, i) => settings.seed + i)
      const found = yield* Effect.forEach(seeds, (seed) => compare(session, settings, seed))
      const rows = Object.entries(methods).map(([key, method]) => {
        const own = found.flatMap(({ scores }) => scores.filter((s) => s.method === key))
        return { method, validation: own.map((s) => s.validation), test: own.map((s) => s.test) }
      })
      const objectives = Levels.objectives(settings)
      const weights = found.map(({ beta }, i) => ({ seed: seeds[i]!, lambda: softmax(beta) }))
      const charts = yield* Effect.forEach(seeds, (seed) => lambdaChart(session, seed))
      const learned = weights.map(
        ({ lambda, seed }) => `  seed ${seed}  ${lambda.map((w, i) => `${objectives[i]} ${w.toFixed(3)}`).join("  ")}`
      )
      return {
        result: { rows, weights, objectives },
        text: [Table.table(rows), "", "learned weights λ (equal: " + (1 / objectives.length).toFixed(3) + ")", ...learned].join("\n"),
        charts: Object.fromEntries(seeds.map((seed, i) => [`lambda-seed-${seed}.svg`, charts[i]!]))
      }
    })
})

const lambdaChart = Effect.fnUntraced(function* (session: Program.Session, seed: number) {
  const folder = { ...session.folder, path: `${session.folder.path}/trials/seed-${seed}/tapweight/search` }
  const points = (yield* Records.read(folder)).filter((record) => record.t === "lambda")
  const names = points[0]?.names ?? []
  const series = names.map((name, i) => ({ name, points: points.map((p) => [p.k, p.lambda[i]!] as [number, number]) }))
  return Chart.lambdaChart(series, { title: `λ over steps, seed ${seed}`, x: "step", y: "λ" })
})
