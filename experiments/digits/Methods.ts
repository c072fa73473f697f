import * as Effect from "effect/Effect"
import { type Comparison, Metrics, Seed, Simplex, Var } from "tapweight"
import * as Levels from "./Levels.ts"
import * as Objectives from "./Objectives.ts"
import * as Score from "./Score.ts"
import type { Settings } from "./Settings.ts"
import type { Task } from "./Task.ts"

/** The methods compared: each ends with a head on frozen features, learned from the same labels. */
export const methods = {
  none: "no pretraining",
  equal: "equal weights",
  random: "random weights",
  fixed: "best fixed weights",
  learned: "learned weights",
  final: "learned weights, from the start"
} as const
export type Method = keyof typeof methods
export const names = Object.keys(methods) as ReadonlyArray<Method>

/** What a method gave with one seed. */
export interface Scores {
  /** Accuracy on validation digits of the head that is solved on training digits. */
  readonly validation: number
  /** Accuracy on test digits of the last head, learned from training and validation digits. */
  readonly test: number
  /** Seconds of training that led to the encoder, a search for weights included. */
  readonly seconds: number
  /** The weights that the method found, where it looks for any. */
  readonly lambda?: Objectives.Shares
}

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
}

/** The same share for every objective, or all of it for one. */
export const equal = Object.fromEntries(
  Objectives.names.map((name) => [name, 1 / Objectives.names.length])
) as Objectives.Shares
const corner = (one: Objectives.Name) =>
  Object.fromEntries(Objectives.names.map((name) => [name, name === one ? 1 : 0])) as Objectives.Shares

/** Weights drawn evenly from all that there are (a flat Dirichlet distribution). */
export const random = (seed: number): Objectives.Shares => {
  const draws = Seed.uniform(Seed.fold(Seed.make(seed), "random weights"), Objectives.names.length)
  const parts = Array.from(draws, (u) => -Math.log(1 - u))
  const sum = parts.reduce((a, b) => a + b, 0)
  return Object.fromEntries(Objectives.names.map((name, i) => [name, parts[i]! / sum])) as Objectives.Shares
}

/** Where a method's weights were learned. */
export const search = (seed: number) => `seed-${seed}/learned`

/** One method with one seed: an encoder, judged on validation digits, and tested once. */
export const train = Effect.fnUntraced(function* (
  method: Method,
  settings: Settings,
  { levels, seed, task }: Seeded,
  score: Score.Score,
  { shared, trial }: Comparison.Trials
) {
  const { ticks } = settings
  const judged = (encoder: Score.HostEncoder) => score.held(encoder, Levels.labelled(task))

  /** Level I under fixed weights. */
  const pretrained = Effect.fnUntraced(function* (name: string, problem: ReturnType<typeof levels.pretraining>) {
    const { seconds, vars } = yield* shared(`seed-${seed}/${name}`, { problem, ticks, seed })
    const encoder = vars.theta.encoder
    return { encoder, seconds: seconds.training, ...(yield* judged(encoder)) }
  })
  const learned = Effect.gen(function* () {
    const { seconds, vars } = yield* shared(search(seed), { problem: levels.learning, ticks, seed })
    const encoder = vars.theta.encoder
    const lambda = Simplex.shares(levels.beta, vars.beta)
    return { encoder, seconds: seconds.training, lambda, ...(yield* judged(encoder)) }
  })

  const found: Found = yield* Effect.gen(function* () {
    switch (method) {
      case "none": {
        const { encoder } = Var.initial(levels.theta, Seed.make(seed))
        return { encoder, seconds: 0, ...(yield* judged(encoder)) }
      }
      case "equal":
        return yield* pretrained("equal", levels.pretraining(equal))
      case "random": {
        const lambda = random(seed)
        return { lambda, ...(yield* pretrained("random", levels.pretraining(lambda))) }
      }
      case "fixed": {
        const centre = { lambda: equal, ...(yield* pretrained("equal", levels.pretraining(equal))) }
        const corners = yield* Effect.forEach(Objectives.names, (name) =>
          Effect.map(pretrained(`alone/${name}`, levels.alone(name)), (one) => ({ lambda: corner(name), ...one }))
        )
        const tried = [centre, ...corners]
        const best = tried.reduce((a, b) => (b.loss < a.loss ? b : a))
        return { ...best, seconds: tried.reduce((sum, { seconds }) => sum + seconds, 0) }
      }
      case "learned":
        return yield* learned
      case "final": {
        const { lambda, seconds } = yield* learned
        const again = yield* pretrained("final", levels.pretraining(lambda))
        return { lambda, ...again, seconds: seconds + again.seconds }
      }
    }
  })

  const features = yield* score.features(found.encoder, Levels.both(task).pictures)
  const outcome = yield* trial(`seed-${seed}/${method}/probe`, {
    problem: levels.probing(features),
    ticks: settings.probeTicks,
    seed
  })
  const test = yield* outcome.test(task.test, ({ labels, pictures }, { head }) =>
    Effect.map(score.features(found.encoder, pictures), (features) =>
      Metrics.accuracy(labels.data, Score.classesOf(head, features))
    )
  )
  const { accuracy, lambda, seconds } = found
  return { seconds, validation: accuracy, test, ...(lambda === undefined ? {} : { lambda }) } satisfies Scores as Scores
})
