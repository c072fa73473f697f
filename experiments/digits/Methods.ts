import * as Effect from "effect/Effect"
import { type Comparison, Metrics, Seed, Simplex, Var } from "tapweight"
import * as Levels from "./Levels.ts"
import * as Objectives from "./Objectives.ts"
import * as Score from "./Score.ts"
import type { Settings } from "./Settings.ts"
import type { Task } from "./Task.ts"

/** The methods compared, first what the others are measured by: each ends with a head on frozen features, learned from the same labels. */
export const methods = {
  equal: "equal weights",
  none: "no pretraining",
  random: "random weights",
  fixed: "best fixed weights",
  learned: "learned weights",
  final: "learned weights, from the start"
} as const
export type Method = keyof typeof methods
export const names = Object.keys(methods) as ReadonlyArray<Method>

/** What an encoder gave with one seed. */
export interface Scores {
  /** Accuracy on validation digits of the head that is solved on training digits. */
  readonly validation: number
  /** Accuracy on test digits of the last head, learned from training and validation digits. */
  readonly test: number
  /** Seconds of training that led to the encoder, a search for weights included. */
  readonly seconds: number
  /** The weights that the method found, where it looks for any. */
  readonly lambda?: Objectives.Shares
  /** Validation accuracy of each fixed weighting, where the method tries several. */
  readonly tried?: Tried
}

/** Accuracies by weights: equal ones, or one objective alone. */
export type Tried = { readonly [weights in Objectives.Name | "equal"]: number }

/** The data of one seed, and the problems on it. */
export interface Seeded {
  readonly seed: number
  readonly task: Task
  readonly levels: ReturnType<typeof Levels.make>
}

/** An encoder, what led to it, and how well the head that is solved on training digits does on validation digits. */
interface Found {
  readonly encoder: Score.HostEncoder
  readonly seconds: number
  readonly accuracy: number
  readonly loss: number
  readonly lambda?: Objectives.Shares
  readonly tried?: Tried
}

/** The same share for each of some objectives, and none for the others. */
export const shared = (some: ReadonlyArray<Objectives.Name>): Objectives.Shares =>
  Object.fromEntries(
    Objectives.names.map((name) => [name, some.includes(name) ? 1 / some.length : 0])
  ) as Objectives.Shares

/** The same share for every objective. */
export const equal = shared(Objectives.names)

/** Weights drawn evenly from all that there are (a flat Dirichlet distribution). */
export const random = (seed: number): Objectives.Shares => {
  const draws = Seed.uniform(Seed.fold(Seed.make(seed), "random weights"), Objectives.names.length)
  const parts = Array.from(draws, (u) => -Math.log(1 - u))
  const sum = parts.reduce((a, b) => a + b, 0)
  return Object.fromEntries(Objectives.names.map((name, i) => [name, parts[i]! / sum])) as Objectives.Shares
}

/** Where a seed's weights were learned. */
export const search = (seed: number) => `seed-${seed}/learned`

/** Everything that one seed is tried with. */
export const make = (
  settings: Settings,
  { levels, seed, task }: Seeded,
  score: Score.Score,
  trials: Comparison.Trials
) => {
  const { probeTicks, ticks } = settings
  const judged = (encoder: Score.HostEncoder) => score.held(encoder, Levels.labelled(task))

  const pretrained = Effect.fnUntraced(function* (name: string, problem: ReturnType<typeof levels.pretraining>) {
    const { seconds, vars } = yield* trials.shared(`seed-${seed}/${name}`, { problem, ticks, seed })
    const { encoder } = vars.theta
    return { encoder, seconds: seconds.training, ...(yield* judged(encoder)) } satisfies Found as Found
  })

  /** Level I under fixed weights, in a trial of this name. */
  const weighted = (name: string, lambda: Objectives.Shares) => pretrained(name, levels.pretraining(lambda))
  /** One objective alone. */
  const alone = (name: Objectives.Name) =>
    Effect.map(pretrained(`alone/${name}`, levels.alone(name)), (one): Found => ({ ...one, lambda: shared([name]) }))
  /** The encoder that pretraining starts from. */
  const none = Effect.suspend(() => {
    const { encoder } = Var.initial(levels.theta, Seed.make(seed))
    return Effect.map(judged(encoder), (scores): Found => ({ encoder, seconds: 0, ...scores }))
  })
  /** Level I under weights that level III learns. */
  const learned = Effect.gen(function* () {
    const { seconds, vars } = yield* trials.shared(search(seed), { problem: levels.learning, ticks, seed })
    const { encoder } = vars.theta
    const lambda: Objectives.Shares = Simplex.shares(levels.beta, vars.beta)
    return { encoder, seconds: seconds.training, lambda, ...(yield* judged(encoder)) }
  })
  /** Of equal weights and every objective alone, what has the lowest validation loss. */
  const fixed = Effect.gen(function* () {
    const centre: Found = { ...(yield* weighted("equal", equal)), lambda: equal }
    const corners = yield* Effect.forEach(Objectives.names, alone)
    const all = [centre, ...corners]
    const best = all.reduce((a, b) => (b.loss < a.loss ? b : a))
    const tried = Object.fromEntries(["equal", ...Objectives.names].map((name, i) => [name, all[i]!.accuracy])) as Tried
    return { ...best, tried, seconds: all.reduce((sum, { seconds }) => sum + seconds, 0) }
  })
  /** Level I from the start, under the weights that were learned. */
  const final = Effect.gen(function* () {
    const { lambda, seconds } = yield* learned
    const again = yield* weighted("final", lambda)
    return { ...again, lambda, seconds: seconds + again.seconds }
  })

  /** A last head on an encoder, tested once. */
  const tested = Effect.fnUntraced(function* (name: string, { accuracy, encoder, lambda, seconds, tried }: Found) {
    const features = yield* score.features(encoder, Levels.both(task).pictures)
    const problem = levels.probing(features)
    const outcome = yield* trials.trial(`seed-${seed}/${name}/probe`, { problem, ticks: probeTicks, seed })
    const test = yield* outcome.test(task.test, ({ labels, pictures }, { head }) =>
      Effect.map(score.features(encoder, pictures), (features) =>
        Metrics.accuracy(labels.data, Score.classesOf(head, features))
      )
    )
    return {
      seconds,
      validation: accuracy,
      test,
      ...(lambda === undefined ? {} : { lambda }),
      ...(tried === undefined ? {} : { tried })
    } satisfies Scores as Scores
  })

  const of = (method: Method): Effect.Effect<Found, Effect.Error<typeof learned>, Effect.Services<typeof learned>> => {
    switch (method) {
      case "none":
        return none
      case "equal":
        return weighted("equal", equal)
      case "random":
        return Effect.map(weighted("random", random(seed)), (found) => ({ ...found, lambda: random(seed) }))
      case "fixed":
        return fixed
      case "learned":
        return learned
      case "final":
        return final
    }
  }
  return {
    /** One of the methods compared: an encoder, judged on validation digits, and tested once. */
    train: (method: Method) => Effect.flatMap(of(method), (found) => tested(method, found)),
    /** Any fixed weights. */
    weighted: (name: string, lambda: Objectives.Shares) =>
      Effect.flatMap(weighted(name, lambda), (found) => tested(name, found))
  }
}
