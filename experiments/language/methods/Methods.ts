/** The methods compared: each a short composition of the same levels. */
import * as Effect from "effect/Effect"
import { type Comparison, type Dataset, type EncoderFolder, type NdArray, Session, Simplex } from "tapweight"
import * as Weightings from "../../common/Weightings.ts"
import type { Lambda } from "../../common/Weightings.ts"
import type * as Objectives from "../objectives/Objective.ts"
import type { Finetuning, Method, Settings } from "../Settings.ts"
import type * as Pcp from "../prompts/Pcp.ts"
import type * as Prompted from "../prompts/Prompted.ts"
import type * as Card from "./Card.ts"
import * as Finetuned from "./Finetuned.ts"
import * as Levels from "./Levels.ts"
import * as Prompting from "./Prompting.ts"
import type { Task } from "./Task.ts"
import type { HostTheta, Outcome, Trained } from "./Trained.ts"
import * as Weighed from "./Weighed.ts"

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
  trials: Comparison.Trials
) => {
  const { shared, trial: once } = trials
  const levels = Levels.make(settings, base, task, objectives)
  const finetuned = Finetuned.make(settings, base.setting, levels, task, seed, tested, trials)
  const names = objectives.map(({ name }) => name)
  const folder = `${task.name}/seed-${seed}`
  const { ticks } = settings

  /** The levels on objectives whose heads were first trained alone, in a trial that all share that begin so. */
  const begun = Effect.fnUntraced(function* (trial: string, on: typeof objectives, fresh: Levels.Levels) {
    if (settings.heads.ticks === 0) return fresh
    const { vars } = yield* shared(trial, { problem: fresh.heads(), ticks: settings.heads.ticks, seed })
    const { heads } = vars.theta as unknown as Objectives.HostTheta
    return Levels.make(settings, { ...base, heads }, task, on)
  })
  const all = begun(`${scope}/heads/seed-${seed}`, objectives, levels)

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
    const row = yield* finetuned.all(name, theta.encoder, finetunings)
    const { training, waiting } = outcome.seconds
    return {
      ...row,
      pretraining: trial,
      seconds: { ...row.seconds, pretraining: training, waiting: row.seconds.waiting + waiting },
      updates: { ...row.updates, pretraining: ticks }
    } satisfies Trained as Trained
  })

  /** Pretraining at weights that do not depend on labels, which other methods and, on common corpora, other tasks share. */
  const common = Effect.fnUntraced(function* (name: string, lambda: Lambda) {
    const trial = `${scope}/${name}/${ticks}/seed-${seed}`
    const levels = yield* all
    return { outcome: yield* shared(trial, { problem: levels.pretraining(lambda), ticks, seed }), trial }
  })

  /** Continued pretraining at such weights, then finetuning. */
  const fixed = (name: string, lambda: Lambda) =>
    Effect.flatMap(common(name, lambda), ({ outcome, trial }) => after(name, trial, outcome))

  type Learner = "bilevel" | "tapweight" | "solved"

  /** The trial that learns weights. */
  const learn = Effect.fnUntraced(function* (name: Learner) {
    const trial = `${folder}/${name}/pretrain`
    const options = { ticks, seed }
    const levels = yield* all
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
    const levels = yield* all
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

  /** Masked language modelling on the task's own text. */
  const tapt = Effect.gen(function* () {
    if (objectives.includes(own!)) {
      const { outcome, trial } = yield* common(`${own!.name}-only`, Weightings.towards(names, own!.name, 1))
      return yield* after("tapt", trial, outcome)
    }
    const trial = `${folder}/tapt/pretrain`
    const alone = yield* begun(`${folder}/tapt/heads`, [own!], Levels.make(settings, base, task, [own!]))
    const outcome = yield* once(trial, { problem: alone.pretraining({ [own!.name]: 1 }), ticks, seed })
    return yield* after("tapt", trial, outcome)
  })

  /** The contrastive objective and a tenth of masked language modelling, which several corpora share. */
  const simcse = (): Lambda => {
    const masked = names.filter((name) => name === "mlm" || name.startsWith("mlm-"))
    return Object.fromEntries(
      names.map((name) => [name, name === "contrast" ? 1 / 1.1 : masked.includes(name) ? 0.1 / 1.1 / masked.length : 0])
    )
  }

  const best = (method: string, weightings: ReadonlyArray<readonly [name: string, lambda: Lambda]>) =>
    Weighed.best(settings, finetuned, method, weightings, common)

  /** One of the methods compared. */
  const train = (method: Method): ReturnType<typeof fixed> => {
    switch (method) {
      case "finetune":
        return finetuned.all("finetune", base.encoder)
      case "tapt":
        return tapt
      case "simcse":
        return fixed("simcse", simcse())
      case "pcp":
        return Prompting.pcp(settings, task, seed, base.setting, prompts!, tested, trials, (...at) =>
          after("pcp", ...at)
        )
      case "equal":
        return fixed("equal", Weightings.equal(names))
      case "random":
        return Weighed.random(settings, names, seed, fixed)
      case "corner":
        return best(
          "corner",
          Weightings.handful(names).filter(([name]) => name.endsWith("-only"))
        )
      case "grid":
        return best(
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
