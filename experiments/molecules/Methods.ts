import * as Effect from "effect/Effect"
import { type Comparison, type ResNet, Session, Simplex, Statistics } from "tapweight"
import type * as Common from "../common/Trained.ts"
import { type Encoder, write } from "./Encoder.ts"
import * as Levels from "./Levels.ts"
import * as Objectives from "./Objectives.ts"
import * as Score from "./Score.ts"
import type { Finetuning, Method, Settings } from "./Settings.ts"
import type { Task } from "./Task.ts"

/** What one finetuning gave, and what one method did on one set with one seed. */
export type Scores = Common.Scores<Finetuning>
export type Trained = Common.Trained<Finetuning, Objectives.Lambda>

/** A row of the molecules' comparisons. */
export type Row = Comparison.Row<string, Trained>

/** What every trial over θ ends with. */
type Pretrained = {
  readonly theta: { readonly encoder: ResNet.HostParams }
  readonly thetaStatistics: ResNet.HostStatistics
}

/** The encoder at the end of a trial over θ, kept beside it as `encoder.safetensors` under torchvision's names. */
const kept = Effect.fnUntraced(function* (session: Session.Session, trial: string, vars: Pretrained) {
  const encoder: Encoder = { params: vars.theta.encoder, statistics: vars.thetaStatistics }
  yield* write(`${Session.trialFolder(session.folder, trial).path}/encoder.safetensors`, encoder)
  return encoder
})

/**
 * What every method starts from: an encoder, random where none is given, trained on under equal weights where general
 * pretraining has ticks, and its heads; undefined for random weights. Of the task it reads the unlabelled molecules alone.
 */
export const general = Effect.fnUntraced(function* (
  session: Session.Session,
  settings: Settings,
  task: Task,
  seed: number,
  start: Levels.Start | undefined
) {
  const { general } = settings
  if (general.ticks === 0) return start
  const trial = `general/seed-${seed}`
  const { vars } = yield* session.shared(trial, {
    problem: Levels.general(settings, task, start),
    ticks: general.ticks,
    seed
  })
  return { ...(yield* kept(session, trial, vars)), heads: vars.theta.heads } satisfies Levels.Start as Levels.Start
})

/** Everything that one set and one seed are tried with, from one general encoder. */
export const make = (
  session: Session.Session,
  settings: Settings,
  task: Task,
  seed: number,
  start: Levels.Start | undefined,
  /** Whether test molecules are scored. */
  tested: boolean,
  { shared, trial: own }: Comparison.Trials
) => {
  const levels = Levels.make(settings, task, start)
  const folder = `${task.name}/seed-${seed}`
  const { finetuneTicks, ticks } = settings

  /** One finetuning from an encoder: selected on validation data, tested once or not at all. */
  const finetunedSo = Effect.fnUntraced(function* (name: string, encoder: Encoder | undefined, how: Finetuning) {
    const outcome = yield* own(`${folder}/${name}/finetune-${how}`, {
      problem: levels.finetuning(encoder, how),
      ticks: finetuneTicks,
      seed,
      validation: {
        every: settings.scoreEvery,
        rows: task.validation.pictures.count,
        score: (tick) => Effect.map(Score.ofTick(tick, task), (score) => ({ [task.metric]: score })),
        select: { metric: task.metric, mode: Score.mode(task) }
      }
    })
    const scores: Scores = {
      finetuning: how,
      validation: outcome.selection.best!.score,
      test: tested ? yield* outcome.test(task.test, (rows, vars) => Score.ofVars(vars, task, rows)) : Number.NaN
    }
    return { scores, ...outcome.seconds }
  })

  const finetuned = Effect.fnUntraced(function* (name: string, encoder: Encoder | undefined) {
    const each = yield* Effect.forEach(settings.finetunings, (how) => finetunedSo(name, encoder, how))
    return {
      pretraining: "",
      scores: each.map(({ scores }) => scores),
      seconds: {
        pretraining: 0,
        finetuning: Statistics.mean(each.map(({ training }) => training)),
        waiting: Statistics.mean(each.map(({ waiting }) => waiting))
      },
      updates: { pretraining: 0, finetuning: finetuneTicks }
    } satisfies Trained as Trained
  })

  /** A trial over θ, which other methods or sets may start from as well. */
  const pretrain = (trial: string, problem: typeof levels.tapweight) => shared(trial, { problem, ticks, seed })

  /** Pretraining by a problem over θ in a trial, then finetuning. */
  const pretrained = Effect.fnUntraced(function* (name: string, trial: string, problem: typeof levels.tapweight) {
    const outcome = yield* pretrain(trial, problem)
    const after = yield* finetuned(name, yield* kept(session, trial, outcome.vars))
    const { training, waiting } = outcome.seconds
    const seconds = { ...after.seconds, pretraining: training, waiting: after.seconds.waiting + waiting }
    const { beta } = outcome.vars
    return { ...after, pretraining: trial, seconds, updates: { ...after.updates, pretraining: ticks }, beta }
  })

  const lambdaOf = (beta: Parameters<typeof Simplex.shares>[1]) => Simplex.shares(levels.beta, beta)
  const learning = (name: "tapweight" | "bilevel") => `${folder}/${name}/pretrain`
  const learned = (name: "tapweight" | "bilevel"): ReturnType<typeof fixed> =>
    Effect.map(pretrained(name, learning(name), levels[name]), ({ beta, ...row }) => ({
      ...row,
      lambda: lambdaOf(beta)
    }))

  /** Continued pretraining at fixed weights λ in a trial, then finetuning. */
  const weighted = (name: string, trial: string, lambda: Objectives.Lambda) =>
    Effect.map(pretrained(name, trial, levels.pretraining(lambda)), ({ beta: _, ...row }): Trained => row)
  /** The same at weights that do not depend on the set, so that one pretraining serves all sets. */
  const fixed = (name: string, lambda: Objectives.Lambda) =>
    weighted(name, `pretraining/${name}/${ticks}-at-${settings[task.kind].pretrain}/seed-${seed}`, lambda)

  /** Continued pretraining from the start at the weights that TapWeight's own trial ends with; the cost is that of both. */
  const final = Effect.gen(function* () {
    const { seconds: search, vars } = yield* pretrain(learning("tapweight"), levels.tapweight)
    const { seconds, updates, ...row } = yield* weighted("final", `${folder}/final/pretrain`, lambdaOf(vars.beta))
    return {
      ...row,
      seconds: {
        ...seconds,
        pretraining: seconds.pretraining + search.training,
        waiting: seconds.waiting + search.waiting
      },
      updates: { ...updates, pretraining: updates.pretraining + ticks }
    } satisfies Trained as Trained
  })

  /** One of the methods compared. */
  const train = (method: Method): ReturnType<typeof fixed> => {
    switch (method) {
      case "finetune":
        return finetuned("finetune", start)
      case "equal":
        return fixed("equal", Objectives.equal(settings))
      case "initial":
        return fixed("initial", settings.initial!)
      case "bilevel":
      case "tapweight":
        return learned(method)
      case "final":
        return final
    }
  }
  return { train, fixed }
}
