/** What follows pretraining: finetunings of an encoder, each scored by itself. */
import * as Effect from "effect/Effect"
import { type Comparison, type Encoder, Statistics } from "tapweight"
import type { Setting } from "../objectives/Objective.ts"
import type { Finetuning, Settings } from "../Settings.ts"
import * as FrozenHead from "./FrozenHead.ts"
import type * as Levels from "./Levels.ts"
import * as Score from "./Score.ts"
import type { Task } from "./Task.ts"
import type { Scores, Trained } from "./Trained.ts"

/** Finetunings on one task with one seed; test rows are scored where `tested`. */
export const make = (
  settings: Settings,
  setting: Setting,
  { finetuning }: Pick<Levels.Levels, "finetuning">,
  task: Task,
  seed: number,
  tested: boolean,
  { trial: once }: Pick<Comparison.Trials, "trial">
) => {
  const { finetuneTicks } = settings
  const folder = `${task.name}/seed-${seed}`

  /** A head on a frozen encoder, solved on training rows for the validation score, and on both parts for the test score. */
  const frozen = Effect.fnUntraced(function* (name: string, encoder: Encoder.HostParams) {
    const solve = Effect.fnUntraced(function* (part: "train" | "known") {
      const { features, of } = yield* Score.features(setting, encoder, task, task[part])
      const outcome = yield* once(`${folder}/${name}/frozen-${part}`, {
        problem: FrozenHead.problem(settings.frozen, task.kind, features),
        ticks: settings.frozen.ticks,
        seed
      })
      return { of, outcome }
    })
    const { of, outcome } = yield* solve("train")
    const { labels, rows } = task.validation
    return {
      validation: Score.ofHead(outcome.vars, task, yield* of(rows), labels),
      seconds: outcome.seconds,
      tested: Effect.gen(function* () {
        const { of, outcome } = yield* solve("known")
        return yield* outcome.test(task.test, ({ labels, rows }, vars) =>
          Effect.map(of(rows), (x) => Score.ofHead(vars, task, x, labels))
        )
      })
    }
  })

  /** Selected on validation rows, to be tested once or not at all. */
  const trained = Effect.fnUntraced(function* (
    name: string,
    encoder: Encoder.HostParams,
    how: Exclude<Finetuning, "frozen">
  ) {
    const outcome = yield* once(`${folder}/${name}/finetune-${how}`, {
      problem: finetuning(encoder, how),
      ticks: finetuneTicks,
      seed,
      validation: {
        every: settings.scoreEvery,
        rows: task.validation.rows.length,
        score: (tick) =>
          Effect.map(Score.ofTick(tick, setting, task, task.validation), (score) => ({ [task.metric]: score })),
        select: { metric: task.metric, mode: "max" }
      }
    })
    return {
      validation: outcome.selection.best!.score,
      seconds: outcome.seconds,
      tested: outcome.test(task.test, (rows, vars) => Score.ofVars(vars, setting, task, rows))
    }
  })

  /** One finetuning from an encoder, with what its test comes to. */
  const one = (name: string, encoder: Encoder.HostParams, how: Finetuning) =>
    how === "frozen" ? frozen(name, encoder) : trained(name, encoder, how)

  type One = Effect.Success<ReturnType<typeof one>>

  const scoresOf = (how: Finetuning, { tested: test, validation }: One) =>
    Effect.map(tested ? test : Effect.succeed(Number.NaN), (test): Scores => ({ finetuning: how, validation, test }))

  const secondsOf = (each: ReadonlyArray<One>, of: "training" | "waiting"): number =>
    Statistics.mean(each.map(({ seconds }) => seconds[of]))

  /** The finetunings that are asked for, all from one encoder. */
  const all = Effect.fnUntraced(function* (
    name: string,
    encoder: Encoder.HostParams,
    finetunings: ReadonlyArray<Finetuning> = settings.finetunings
  ) {
    const each = yield* Effect.forEach(finetunings, (how) => one(name, encoder, how))
    return {
      pretraining: "",
      scores: yield* Effect.forEach(each, (one, i) => scoresOf(finetunings[i]!, one)),
      seconds: { pretraining: 0, finetuning: secondsOf(each, "training"), waiting: secondsOf(each, "waiting") },
      updates: { pretraining: 0, finetuning: finetuneTicks }
    } satisfies Trained as Trained
  })

  return { one, scoresOf, secondsOf, all }
}

/** What {@link make} gives. */
export type Finetuned = ReturnType<typeof make>
