/** PCP (Shi and Lipani 2023) as a method: prompts, masked language modelling on prompts with the words that were learned, and prompts again. */
import * as Effect from "effect/Effect"
import { type Comparison, Statistics } from "tapweight"
import type * as Objectives from "../objectives/Objective.ts"
import * as Pcp from "../prompts/Pcp.ts"
import type * as Prompted from "../prompts/Prompted.ts"
import type { Finetuning, Settings } from "../Settings.ts"
import * as Levels from "./Levels.ts"
import * as Score from "./Score.ts"
import { settingOf, type Task } from "./Task.ts"
import type { Outcome, Scores, Trained } from "./Trained.ts"

/** The encoder between is finetuned as others' are; in place of `free` finetuning stands PCP's own, which is its last step. */
export const pcp = Effect.fnUntraced(function* <E, R>(
  settings: Settings,
  task: Task,
  seed: number,
  setting: Objectives.Setting,
  { model, seeded }: { readonly seeded: (seed: number) => Pcp.Task; readonly model: Prompted.HostModel },
  tested: boolean,
  { trial: once }: Comparison.Trials,
  /** Finetuning after a trial over θ. */
  after: (trial: string, outcome: Outcome, finetunings: ReadonlyArray<Finetuning>) => Effect.Effect<Trained, E, R>
) {
  const { finetuneTicks, ticks } = settings
  const folder = `${task.name}/seed-${seed}/pcp`
  const { test, validation, ...asked } = seeded(seed)
  const labelled = settingOf(setting, settings, settings.batch.finetune)
  const optimizer = Levels.adam(settings, settings.rates.finetune, finetuneTicks)
  const steps = Pcp.make(labelled, optimizer, { ...asked, validation, test })
  const prompted = (name: string, from: Prompted.HostModel) =>
    once(`${folder}/${name}`, {
      problem: steps.prompting(from),
      ticks: finetuneTicks,
      seed,
      validation: {
        every: settings.scoreEvery,
        rows: validation.texts.length,
        score: (tick) =>
          Effect.map(steps.ofTick(tick, validation.texts), (predicted) => ({
            [task.metric]: Score.ofPredictions(task, validation.labels, predicted)
          })),
        select: { metric: task.metric, mode: "max" }
      }
    })
  const first = yield* prompted("prompts-first", model)
  const { omega } = first.vars
  const words = steps.objective(setting, yield* steps.ofVars(first.vars, asked.texts), omega.masked)
  const trial = `${folder}/pretrain`
  const alone = Levels.make(settings, { setting, encoder: omega.encoder }, task, [words])
  const outcome = yield* once(trial, { problem: alone.pretraining({ [words.name]: 1 }), ticks, seed })
  const others = settings.finetunings.filter((how) => how !== "free")
  const row = yield* after(trial, outcome, others)
  const between = outcome.vars.theta as unknown as Objectives.HostTheta
  const last = yield* prompted("prompts-last", {
    encoder: between.encoder,
    masked: between.heads[words.shares ?? words.name] as Prompted.HostModel["masked"]
  })
  const own = tested
    ? yield* last.test(test, ({ labels, texts }, vars) =>
        Effect.map(steps.ofVars(vars, texts), (predicted) => Score.ofPredictions(task, labels, predicted))
      )
    : Number.NaN
  const mine: Scores = { finetuning: "free", validation: last.selection.best!.score, test: own }
  return {
    ...row,
    scores: settings.finetunings.map((how) => row.scores.find(({ finetuning }) => finetuning === how) ?? mine),
    seconds: {
      pretraining: row.seconds.pretraining + first.seconds.training,
      finetuning: Statistics.mean([...(others.length === 0 ? [] : [row.seconds.finetuning]), last.seconds.training]),
      waiting: row.seconds.waiting + first.seconds.waiting + last.seconds.waiting
    },
    updates: { ...row.updates, pretraining: ticks + finetuneTicks }
  } satisfies Trained as Trained
})
