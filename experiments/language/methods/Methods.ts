/** The methods compared: each a short composition of the same levels. */
import * as Effect from "effect/Effect"
import {
  type Comparison,
  type Dataset,
  type Encoder,
  type EncoderFolder,
  type NdArray,
  Seed,
  Session,
  Simplex,
  Statistics,
  type Tree
} from "tapweight"
import * as Weightings from "../../common/Weightings.ts"
import type { Lambda } from "../../common/Weightings.ts"
import type * as Objectives from "../objectives/Objective.ts"
import type { Finetuning, Method, Settings } from "../Settings.ts"
import * as Pcp from "../prompts/Pcp.ts"
import type * as Prompted from "../prompts/Prompted.ts"
import type * as Card from "./Card.ts"
import * as Levels from "./Levels.ts"
import * as Score from "./Score.ts"
import { settingOf, type Task } from "./Task.ts"

/** How long a method trained, and how much of that it waited for data. */
export type Seconds = { readonly pretraining: number; readonly finetuning: number; readonly waiting: number }

/** What one finetuning gave, in the metric of the task. */
export type Scores = {
  readonly finetuning: Finetuning
  readonly validation: number
  /** Not a number where test rows were not to be scored. */
  readonly test: number
}

/** What one method gave on one task with one seed. */
export interface Trained {
  /** The trial that pretrained, which tasks may share; empty where nothing was trained but finetuning. */
  readonly pretraining: string
  /** Of each finetuning, in the order of the settings. */
  readonly scores: ReadonlyArray<Scores>
  readonly seconds: Seconds
  readonly updates: { readonly pretraining: number; readonly finetuning: number }
  /** The weights that were learned or chosen, where the method does that. */
  readonly lambda?: Lambda
}

/** A row of the comparisons on language. */
export type Row = Comparison.Row<string, Trained>

/** The pretrained model at the end of a trial. */
type HostTheta = {
  readonly encoder: Encoder.HostParams
  readonly heads?: { readonly [head: string]: Tree.HostTree }
}

/** Objectives on one task's corpora. */
export interface Given {
  readonly base: Levels.Base
  readonly objectives: ReadonlyArray<Objectives.Objective<Dataset.DataError>>
  /** Masked language modelling on the task's own text (TAPT). */
  readonly own: Objectives.Objective<Dataset.DataError> | undefined
  /** The task as prompts under a seed, and the head that answers them; where PCP is asked for. */
  readonly prompts: { readonly seeded: (seed: number) => Pcp.Task; readonly model: Prompted.HostModel } | undefined
  /** What the corpora are called that trials are told apart by: tasks share pretraining under fixed weights unless they read a task's text. */
  readonly scope: string
  /** Writes an encoder in the form in which it was read. */
  readonly keep: (folder: string, theta: HostTheta, card: Card.Card) => ReturnType<typeof EncoderFolder.write>
}

/** Everything that one task and one seed are tried with, from one encoder. */
export const make = (
  session: Session.Session,
  settings: Settings,
  task: Task,
  seed: number,
  { base, keep, objectives, own, prompts, scope }: Given,
  /** Whether test rows are scored. */
  tested: boolean,
  { shared, trial: once }: Comparison.Trials
) => {
  const { setting } = base
  const levels = Levels.make(settings, base, task, objectives)
  const names = objectives.map(({ name }) => name)
  const folder = `${task.name}/seed-${seed}`
  const { finetuneTicks, ticks } = settings

  /** A head on a frozen encoder, solved on training rows for the validation score, and on both parts for the test score. */
  const frozen = Effect.fnUntraced(function* (name: string, encoder: Encoder.HostParams) {
    const solve = Effect.fnUntraced(function* (part: "train" | "known") {
      const { features, of } = yield* Score.features(setting, encoder, task, task[part])
      const outcome = yield* once(`${folder}/${name}/frozen-${part}`, {
        problem: levels.frozen(features),
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

  /** One finetuning from an encoder: selected on validation rows, to be tested once or not at all. */
  const trainedSo = Effect.fnUntraced(function* (
    name: string,
    encoder: Encoder.HostParams,
    how: Exclude<Finetuning, "frozen">
  ) {
    const outcome = yield* once(`${folder}/${name}/finetune-${how}`, {
      problem: levels.finetuning(encoder, how),
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

  const finetunedSo = (name: string, encoder: Encoder.HostParams, how: Finetuning) =>
    how === "frozen" ? frozen(name, encoder) : trainedSo(name, encoder, how)

  type One = Effect.Success<ReturnType<typeof finetunedSo>>

  const scoresOf = (how: Finetuning, { tested: test, validation }: One) =>
    Effect.map(tested ? test : Effect.succeed(Number.NaN), (test): Scores => ({ finetuning: how, validation, test }))

  const secondsOf = (each: ReadonlyArray<One>, of: "training" | "waiting"): number =>
    Statistics.mean(each.map(({ seconds }) => seconds[of]))

  /** The finetunings that follow, each from an encoder of its own where they chose different ones. */
  const finetuned = Effect.fnUntraced(function* (
    name: string,
    encoder: Encoder.HostParams,
    finetunings: ReadonlyArray<Finetuning> = settings.finetunings
  ) {
    const each = yield* Effect.forEach(finetunings, (how) => finetunedSo(name, encoder, how))
    return {
      pretraining: "",
      scores: yield* Effect.forEach(each, (one, i) => scoresOf(finetunings[i]!, one)),
      seconds: { pretraining: 0, finetuning: secondsOf(each, "training"), waiting: secondsOf(each, "waiting") },
      updates: { pretraining: 0, finetuning: finetuneTicks }
    } satisfies Trained as Trained
  })

  type Outcome = {
    readonly vars: { readonly theta: HostTheta }
    readonly seconds: { readonly training: number; readonly waiting: number }
  }

  /** Finetuning after a trial over θ. */
  const after = Effect.fnUntraced(function* (
    name: string,
    trial: string,
    outcome: Outcome,
    finetunings?: ReadonlyArray<Finetuning>
  ) {
    const { theta } = outcome.vars
    if (seed === settings.seed && settings.keep.some((method) => method === name)) {
      const card = { method: name, task: task.name, seed, ticks, objectives: names, trial, run: session.folder.id }
      yield* keep(`${Session.trialFolder(session.folder, trial).path}/encoder`, theta, card)
    }
    const row = yield* finetuned(name, theta.encoder, finetunings)
    const { training, waiting } = outcome.seconds
    return {
      ...row,
      pretraining: trial,
      seconds: { ...row.seconds, pretraining: training, waiting: row.seconds.waiting + waiting },
      updates: { ...row.updates, pretraining: ticks }
    } satisfies Trained as Trained
  })

  /** Pretraining at weights that do not depend on labels, which other methods and, on common corpora, other tasks share. */
  const common = (name: string, lambda: Lambda) => {
    const trial = `${scope}/${name}/${ticks}/seed-${seed}`
    return Effect.map(shared(trial, { problem: levels.pretraining(lambda), ticks, seed }), (outcome) => ({
      outcome,
      trial
    }))
  }

  /** Continued pretraining at such weights, then finetuning. */
  const fixed = (name: string, lambda: Lambda) =>
    Effect.flatMap(common(name, lambda), ({ outcome, trial }) => after(name, trial, outcome))

  type Learner = "bilevel" | "tapweight" | "solved"

  /** The trial that learns weights. */
  const learn = Effect.fnUntraced(function* (name: Learner) {
    const trial = `${folder}/${name}/pretrain`
    const options = { ticks, seed }
    const outcome =
      name === "bilevel"
        ? yield* shared(trial, { problem: levels.bilevel(), ...options })
        : name === "solved"
          ? yield* shared(trial, { problem: levels.solved(), ...options })
          : yield* shared(trial, { problem: levels.tapweight(), ...options })
    const beta = outcome.vars.beta as NdArray.NdArray
    return { outcome: outcome as unknown as Outcome, trial, lambda: Simplex.shares(levels.beta, beta) }
  })

  const learned = (name: Learner) =>
    Effect.flatMap(learn(name), ({ lambda, outcome, trial }) =>
      Effect.map(after(name, trial, outcome), (row): Trained => ({ ...row, lambda }))
    )

  /** Continued pretraining from the start at the weights that a method's own trial ends with; the cost is that of both. */
  const final = Effect.fnUntraced(function* (name: "final" | "solved-final", of: Learner) {
    const { lambda, outcome: search } = yield* learn(of)
    const trial = `${folder}/${name}/pretrain`
    const outcome = yield* once(trial, { problem: levels.pretraining(lambda), ticks, seed })
    const row = yield* after(name, trial, outcome)
    const { training, waiting } = search.seconds
    return {
      ...row,
      seconds: {
        ...row.seconds,
        pretraining: row.seconds.pretraining + training,
        waiting: row.seconds.waiting + waiting
      },
      updates: { ...row.updates, pretraining: 2 * ticks },
      lambda
    } satisfies Trained as Trained
  })

  /** Several weightings, of which each finetuning takes the one that is best on validation rows; the cost is that of all. */
  const chosen = Effect.fnUntraced(function* (method: string, weightings: ReadonlyArray<readonly [string, Lambda]>) {
    const tried = yield* Effect.forEach(weightings, ([name, lambda]) =>
      Effect.gen(function* () {
        const { outcome, trial } = yield* common(name, lambda)
        const { encoder } = outcome.vars.theta
        const each = yield* Effect.forEach(settings.finetunings, (how) =>
          finetunedSo(`${method}/${name}`, encoder, how)
        )
        return { each, lambda, outcome, trial }
      })
    )
    const best = settings.finetunings.map((_, i) =>
      tried.reduce((one, other) => (other.each[i]!.validation > one.each[i]!.validation ? other : one))
    )
    const sum = (of: (one: (typeof tried)[number]) => number) => tried.reduce((total, one) => total + of(one), 0)
    return {
      pretraining: best[0]!.trial,
      scores: yield* Effect.forEach(best, ({ each }, i) => scoresOf(settings.finetunings[i]!, each[i]!)),
      seconds: {
        pretraining: sum(({ outcome }) => outcome.seconds.training),
        finetuning: sum(({ each }) => secondsOf(each, "training")),
        waiting: sum(({ each, outcome }) => outcome.seconds.waiting + secondsOf(each, "waiting"))
      },
      updates: { pretraining: ticks * tried.length, finetuning: finetuneTicks * tried.length },
      lambda: best[0]!.lambda
    } satisfies Trained as Trained
  })

  /** Random weightings, one after the other: what stands in the table is the mean of their scores. */
  const random = Effect.gen(function* () {
    const each = yield* Effect.forEach(
      Array.from({ length: settings.draws }, (_, draw) => draw),
      (draw) => {
        const own = Seed.fold(Seed.fold(Seed.make(seed), "weightings"), draw)
        return fixed(`random-${draw + 1}`, Weightings.random(names, own))
      }
    )
    const mean = (of: (row: Trained) => number) => Statistics.mean(each.map(of))
    return {
      ...each[0]!,
      pretraining: "",
      scores: settings.finetunings.map((finetuning, i) => ({
        finetuning,
        validation: mean(({ scores }) => scores[i]!.validation),
        test: mean(({ scores }) => scores[i]!.test)
      })),
      seconds: {
        pretraining: mean(({ seconds }) => seconds.pretraining),
        finetuning: mean(({ seconds }) => seconds.finetuning),
        waiting: mean(({ seconds }) => seconds.waiting)
      }
    } satisfies Trained as Trained
  })

  /** Masked language modelling on the task's own text. */
  const tapt = Effect.gen(function* () {
    if (objectives.includes(own!)) {
      const { outcome, trial } = yield* common(`${own!.name}-only`, Weightings.towards(names, own!.name, 1))
      return yield* after("tapt", trial, outcome)
    }
    const trial = `${folder}/tapt/pretrain`
    const alone = Levels.make(settings, base, task, [own!])
    const outcome = yield* once(trial, { problem: alone.pretraining({ [own!.name]: 1 }), ticks, seed })
    return yield* after("tapt", trial, outcome)
  })

  /**
   * Prompts, masked language modelling on prompts with the words that were learned, and prompts again. The encoder between is finetuned as
   * others' are; in place of `free` finetuning stands PCP's own, which is its last step.
   */
  const pcp = Effect.gen(function* () {
    const { model, seeded } = prompts!
    const { test, validation, ...asked } = seeded(seed)
    const labelled = settingOf(setting, settings, settings.batch.finetune)
    const optimizer = Levels.adam(settings, settings.rates.finetune, finetuneTicks)
    const steps = Pcp.make(labelled, optimizer, { ...asked, validation, test })
    const prompted = (name: string, from: Prompted.HostModel) =>
      once(`${folder}/pcp/${name}`, {
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
    const trial = `${folder}/pcp/pretrain`
    const alone = Levels.make(settings, { setting, encoder: omega.encoder }, task, [words])
    const outcome = yield* once(trial, { problem: alone.pretraining({ [words.name]: 1 }), ticks, seed })
    const others = settings.finetunings.filter((how) => how !== "free")
    const row = yield* after("pcp", trial, outcome, others)
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

  /** The contrastive objective and a tenth of masked language modelling, which several corpora share. */
  const simcse = (): Lambda => {
    const masked = names.filter((name) => name === "mlm" || name.startsWith("mlm-"))
    return Object.fromEntries(
      names.map((name) => [name, name === "contrast" ? 1 / 1.1 : masked.includes(name) ? 0.1 / 1.1 / masked.length : 0])
    )
  }

  /** One of the methods compared. */
  const train = (method: Method): ReturnType<typeof fixed> => {
    switch (method) {
      case "finetune":
        return finetuned("finetune", base.encoder)
      case "tapt":
        return tapt
      case "simcse":
        return fixed("simcse", simcse())
      case "pcp":
        return pcp
      case "equal":
        return fixed("equal", Weightings.equal(names))
      case "random":
        return random
      case "corner":
        return chosen(
          "corner",
          Weightings.handful(names).filter(([name]) => name.endsWith("-only"))
        )
      case "grid":
        return chosen(
          "grid",
          Weightings.grid(names, settings.grid).map((lambda, i) => [`grid-${settings.grid}-${i + 1}`, lambda] as const)
        )
      case "bilevel":
      case "tapweight":
      case "solved":
        return learned(method)
      case "final":
        return final("final", "tapweight")
      case "solved-final":
        return final("solved-final", "solved")
    }
  }
  return { train, fixed }
}
