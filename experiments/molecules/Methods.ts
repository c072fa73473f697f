import * as Effect from "effect/Effect"
import { Program, Records, type ResNet, Simplex, Statistics } from "tapweight"
import { type Encoder, write } from "./Encoder.ts"
import * as Levels from "./Levels.ts"
import * as Objectives from "./Objectives.ts"
import * as Score from "./Score.ts"
import { type Finetuning, type Method, type Settings } from "./Settings.ts"
import type { Task } from "./Task.ts"

/** How long a method trained, and how much of that it waited for data. */
export type Seconds = { readonly pretraining: number; readonly finetuning: number; readonly waiting: number }

/** What one finetuning gave, in the metric of the set. */
export type Scores = {
  readonly finetuning: Finetuning
  readonly validation: number
  /** Not a number where test molecules were not to be scored. */
  readonly test: number
}

/** What one method gave on one set with one seed. */
export interface Found {
  readonly method: string
  readonly set: string
  readonly seed: number
  /** The trial that pretrained, which sets may share; empty where nothing but general pretraining did. */
  readonly pretraining: string
  /** Of each finetuning, in the order of the settings. */
  readonly scores: ReadonlyArray<Scores>
  /** With one finetuning, their mean; general pretraining is not counted. */
  readonly seconds: Seconds
  readonly updates: { readonly pretraining: number; readonly finetuning: number }
  /** Learned weights, where the method learns any. */
  readonly lambda?: Objectives.Lambda
}

/** What every trial over θ ends with. */
type Pretrained = {
  readonly theta: { readonly encoder: ResNet.HostParams }
  readonly thetaStatistics: ResNet.HostStatistics
}

/** Seconds that the ticks of a finished trial took, resumed or not, and how many of them it waited for data. */
const secondsOf = (session: Program.Session, trial: string) =>
  Effect.map(Records.read(Program.trialFolder(session.folder, trial)), Records.seconds)

/** The encoder at the end of a trial over θ, kept beside it as `encoder.safetensors` under torchvision's names. */
const kept = Effect.fnUntraced(function* (session: Program.Session, trial: string, vars: Pretrained) {
  const encoder: Encoder = { params: vars.theta.encoder, statistics: vars.thetaStatistics }
  yield* write(`${Program.trialFolder(session.folder, trial).path}/encoder.safetensors`, encoder)
  return encoder
})

/**
 * What every method starts from: an encoder, random where none is given, trained on under equal weights where general
 * pretraining has ticks, and its heads; undefined for random weights. Of the task it reads the unlabelled molecules alone.
 */
export const general = Effect.fnUntraced(function* (
  session: Program.Session,
  settings: Settings,
  task: Task,
  seed: number,
  start: Levels.Start | undefined
) {
  const { general } = settings
  if (general.ticks === 0) return start
  const trial = `general/seed-${seed}`
  const { vars } = yield* session.trial(trial, {
    problem: Levels.make({ ...settings, useless: false, initial: null }, task, start).general(),
    ticks: general.ticks,
    seed
  })
  return { ...(yield* kept(session, trial, vars)), heads: vars.theta.heads } satisfies Levels.Start as Levels.Start
})

/** Everything that one set and one seed are tried with, from one general encoder. */
export const make = (
  session: Program.Session,
  settings: Settings,
  task: Task,
  seed: number,
  start: Levels.Start | undefined,
  /** Whether test molecules are scored. */
  tested: boolean,
  /** Hears of every finished training. */
  tell: (found: Found) => Effect.Effect<void>
) => {
  const levels = Levels.make(settings, task, start)
  const folder = `${task.name}/seed-${seed}`
  const { finetuneTicks, ticks } = settings

  /** One finetuning from an encoder: selected on validation data, tested once or not at all. */
  const finetunedSo = Effect.fnUntraced(function* (name: string, encoder: Encoder | undefined, how: Finetuning) {
    const trial = `${folder}/${name}/finetune-${how}`
    const outcome = yield* session.trial(trial, {
      problem: levels.finetuning(encoder, how),
      ticks: finetuneTicks,
      seed,
      validation: {
        every: settings.scoreEvery,
        rows: task.validation.pictures.count,
        score: (tick) => Effect.map(Score.ofTick(tick, task, task.validation), (score) => ({ [task.metric]: score })),
        select: { metric: task.metric, mode: Score.mode(task) }
      }
    })
    const scores: Scores = {
      finetuning: how,
      validation: outcome.selection.best!.score,
      test: tested ? yield* Score.ofVars(outcome.vars, task, task.test) : Number.NaN
    }
    return { scores, ...(yield* secondsOf(session, trial)) }
  })

  const finetuned = Effect.fnUntraced(function* (name: string, encoder: Encoder | undefined) {
    const each = yield* Effect.forEach(settings.finetunings, (how) => finetunedSo(name, encoder, how))
    return {
      method: name,
      set: task.name,
      seed,
      pretraining: "",
      scores: each.map(({ scores }) => scores),
      seconds: {
        pretraining: 0,
        finetuning: Statistics.mean(each.map(({ training }) => training)),
        waiting: Statistics.mean(each.map(({ waiting }) => waiting))
      },
      updates: { pretraining: 0, finetuning: finetuneTicks }
    } satisfies Found
  })

  /** Pretraining by a problem over θ in a trial, then finetuning. */
  const pretrained = Effect.fnUntraced(function* (name: string, trial: string, problem: typeof levels.tapweight) {
    const outcome = yield* session.trial(trial, { problem, ticks, seed })
    const found = yield* finetuned(name, yield* kept(session, trial, outcome.vars))
    const { beta } = outcome.vars
    const { training, waiting } = yield* secondsOf(session, trial)
    const seconds = { ...found.seconds, pretraining: training, waiting: found.seconds.waiting + waiting }
    return { ...found, pretraining: trial, seconds, updates: { ...found.updates, pretraining: ticks }, beta }
  })

  const learned = (name: "tapweight" | "bilevel") =>
    pretrained(name, `${folder}/${name}/pretrain`, levels[name]).pipe(
      Effect.map(({ beta, ...found }) => ({ ...found, lambda: Simplex.shares(levels.beta, beta) })),
      Effect.tap(tell)
    )

  /** Continued pretraining at fixed weights λ in a trial, then finetuning. */
  const weighted = (name: string, trial: string, lambda: Objectives.Lambda) =>
    pretrained(name, trial, levels.pretraining(lambda)).pipe(
      Effect.map(({ beta: _, ...found }) => found),
      Effect.tap(tell)
    )
  /** The same at weights that do not depend on the set, so that one pretraining serves all sets. */
  const fixed = (name: string, lambda: Objectives.Lambda) =>
    weighted(name, `pretraining/${name}/${ticks}-at-${settings[task.kind].pretrain}/seed-${seed}`, lambda)

  /** The methods compared, in an order in which each finds what it needs. */
  const all = Effect.fnUntraced(function* (methods: ReadonlyArray<Method>) {
    const wanted = new Set(methods)
    const found: Array<Found> = []
    if (wanted.has("finetune")) found.push(yield* Effect.tap(finetuned("finetune", start), tell))
    if (wanted.has("equal")) found.push(yield* fixed("equal", Objectives.equal(settings)))
    if (wanted.has("initial")) found.push(yield* fixed("initial", settings.initial!))
    if (wanted.has("bilevel")) found.push(yield* learned("bilevel"))
    if (wanted.has("tapweight") || wanted.has("final")) {
      const tapweight = yield* learned("tapweight")
      found.push(tapweight)
      if (wanted.has("final")) found.push(yield* weighted("final", `${folder}/final/pretrain`, tapweight.lambda))
    }
    return found
  })
  return { all, fixed }
}
