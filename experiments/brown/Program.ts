import * as Effect from "effect/Effect"
import { Program, Simplex, type Transformer } from "tapweight"
import * as Levels from "./Levels.ts"
import { config, type Settings } from "./Settings.ts"
import * as Score from "./Score.ts"
import * as LambdaChart from "../common/LambdaChart.ts"
import * as Table from "./Table.ts"
import * as Task from "./Task.ts"

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
  const equalWeights = yield* finetuned("equal", equal.vars.theta.encoder)
  const searched = yield* session.trial(`seed-${seed}/tapweight/search`, {
    problem: levels.tapweight,
    ticks,
    seed
  })
  const learned = yield* finetuned("tapweight", searched.vars.theta.encoder)
  return { scores: [alone, equalWeights, learned], lambda: Simplex.shares(levels.beta, searched.vars.beta) }
})

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
  config: config({}),
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
      const weights = found.map(({ lambda }, i) => ({ seed: seeds[i]!, lambda }))
      const objectives = Object.keys(found[0]!.lambda)
      const charts = yield* Effect.forEach(seeds, (seed) =>
        LambdaChart.make(session, [`seed-${seed}/tapweight/search`], `seed ${seed}`)
      )
      const learned = weights.map(({ lambda, seed }) => {
        const shares = Object.entries(lambda).map(([name, share]) => `${name} ${share.toFixed(3)}`)
        return `  seed ${seed}  ${shares.join("  ")}`
      })
      return {
        result: { rows, weights, objectives },
        text: [
          Table.table(rows),
          "",
          Table.paired(rows[2]!, rows[1]!),
          Table.paired(rows[2]!, rows[0]!),
          "",
          "learned weights λ (equal: " + (1 / objectives.length).toFixed(3) + ")",
          ...learned
        ].join("\n"),
        charts: Object.fromEntries(seeds.map((seed, i) => [`lambda-seed-${seed}.svg`, charts[i]!]))
      }
    })
})
