/** What weights are worth on a setting: every fixed weighting, and weights that are learned, each scored by the same probe. */
import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import {
  Comparison,
  type Dataset,
  type Encoder,
  type Manifest,
  NdArray,
  Seed,
  type Session,
  Simplex,
  type Split,
  type Trial
} from "tapweight"
import * as Finished from "../../common/Finished.ts"
import * as Learning from "./Learning.ts"
import * as Levels from "./Levels.ts"
import * as Weightings from "../../common/Weightings.ts"
import * as Objective from "../objectives/Objective.ts"
import type { Example } from "../tasks/Task.ts"
import type * as Pieces from "../tokenizers/Pieces.ts"
import * as LengthBuckets from "../tokenizers/LengthBuckets.ts"
import * as SolvedHead from "./SolvedHead.ts"
import * as Softmax from "./Softmax.ts"

/** A labelled task whose features an encoder is judged by. */
export interface Target {
  readonly name: string
  readonly classes: number
  readonly parts: Split.Split<SolvedHead.Labelled>
}

/** One seed of a setting: the encoder, the objectives on unlabelled text, and the tasks. */
export interface Drawn {
  readonly seed: number
  readonly pieces: Pieces.Pieces
  readonly objectives: ReadonlyArray<Objective.Objective<Dataset.DataError>>
  readonly targets: ReadonlyArray<Target>
}

/** What a study reads: what each seed draws, and the files. */
export interface Data {
  readonly drawn: ReadonlyArray<Drawn>
  readonly inputs: Manifest.Inputs
}

/** The seeds of a study. */
export const seeds = ({ seed, seeds }: { readonly seed: number; readonly seeds: number }): ReadonlyArray<number> =>
  Array.from({ length: seeds }, (_, i) => seed + i)

/** What an encoder scored on a task: by a probe of the training labels on validation rows, by one of both on test rows. */
export interface Scores {
  readonly validation: { readonly loss: number; readonly accuracy: number }
  readonly test: { readonly loss: number; readonly accuracy: number }
  readonly lambda?: Weightings.Lambda
  readonly seconds: number
}

/** Texts and their classes as rows of an encoder. */
export const labelled = (
  { tokenizer }: Pieces.Pieces,
  examples: ReadonlyArray<Example>,
  length: number
): SolvedHead.Labelled => {
  const rows = examples.map(({ pair, text }) => tokenizer.encode(text, pair, length))
  return {
    ids: LengthBuckets.padded(rows, length, tokenizer).ids,
    labels: NdArray.int32(
      [rows.length] as const,
      examples.map(({ label }) => label)
    )
  }
}

/** Fixed weights by name: equal shares, each corner, half-way to each, and shares that the seed draws. */
export const weightings = (
  names: ReadonlyArray<string>,
  seed: number,
  draws: number
): { readonly [name: string]: Weightings.Lambda } => {
  const root = Seed.fold(Seed.make(seed), "weights")
  const random = Array.from(
    { length: draws },
    (_, i) => [`random-${i + 1}`, Weightings.random(names, Seed.fold(root, i))] as const
  )
  return Object.fromEntries([...Weightings.handful(names), ...random])
}

/** The problems of the first seed: equal weights, and every way of learning them. */
export const problems = (options: Learning.Options & { readonly methods: ReadonlyArray<string> }, { drawn }: Data) => {
  const { objectives, pieces, seed, targets } = drawn[0]!
  const start = { encoder: pieces.encoder, heads: Objective.together(objectives).heads(Seed.make(seed)) }
  const levels = Levels.make(options, pieces.config, objectives, start)
  const learned = targets.flatMap(({ classes, name, parts }) =>
    Learning.ways
      .filter((how) => options.methods.includes(how))
      .map(
        (how) =>
          [`${name}/${how}`, Learning.make(options, levels, how, classes, parts.train, parts.validation)] as const
      )
  )
  const equal = weightings(
    objectives.map(({ name }) => name),
    seed,
    0
  )["equal"]!
  return { heads: levels.warm(), equal: levels.fixed(equal), ...Object.fromEntries(learned) }
}

const batch = 100

/** Means of rows' states under an encoder. */
const featuresOf = Effect.fnUntraced(function* (
  pieces: Pieces.Pieces,
  encoder: Encoder.HostParams,
  { ids }: SolvedHead.Labelled
) {
  const f = ({ encoder }: { readonly encoder: Encoder.Params }, { ids }: { readonly ids: tf.Tensor2D }) => ({
    means: SolvedHead.features(pieces.config, encoder, ids)
  })
  const observe = yield* Finished.observed({ encoder }, f)
  const [rows, width] = [ids.shape[0]!, pieces.config.width]
  const out: Array<ArrayLike<number>> = []
  for (let from = 0; from < rows; from += batch) {
    const at = Int32Array.from({ length: batch }, (_, i) => Math.min(from + i, rows - 1))
    const { means } = yield* observe({ ids: NdArray.rows(ids, at) })
    for (let i = 0; i < batch && from + i < rows; i++) out.push(means.data.slice(i * width, (i + 1) * width))
  }
  return out
}, Effect.scoped)

/** The probe's strength C, as scikit-learn has it. */
const strength = 0.05

/** What is trained, and how. */
type Options = Learning.Options & { readonly longer: number }

/** Everything that is tried with one seed. */
export const make = (
  options: Options,
  { objectives, pieces, seed }: Drawn,
  draws: number,
  { shared }: Comparison.Trials
) => {
  const names = objectives.map(({ name }) => name)
  const fixedWeights = weightings(names, seed, draws)
  const heads = Objective.together(objectives).heads(Seed.fold(Seed.make(seed), "heads"))
  const fresh: Objective.HostTheta = { encoder: pieces.encoder, heads }
  const train = (name: string, problem: ReturnType<ReturnType<typeof Levels.make>["warm"]>, ticks: number) =>
    shared(`seed-${seed}/${name}`, { problem, ticks, seed, checkpointEvery: ticks })
  const levels = (start: Objective.HostTheta, ticks = options.ticks) =>
    Levels.make({ ...options, ticks }, pieces.config, objectives, start)
  /** The encoder as it is, with heads that fit it. */
  const warm = train("heads", levels(fresh).warm(), options.heads.ticks)
  const started = (ticks: number) =>
    Effect.map(warm, ({ vars }: any) => levels({ encoder: vars.theta.encoder, heads: vars.theta.heads }, ticks))
  const start = started(options.ticks)

  const scored = Effect.fnUntraced(function* (
    outcome: {
      readonly vars: any
      readonly test: Trial.Outcome["test"]
      readonly seconds: { readonly training: number }
    },
    { classes, parts }: Target
  ) {
    const of = (rows: SolvedHead.Labelled) =>
      Effect.map(featuresOf(pieces, outcome.vars.theta.encoder, rows), (features) => ({
        features,
        labels: rows.labels.data
      }))
    const [own, held] = [yield* of(parts.train), yield* of(parts.validation)]
    const both = {
      features: [...own.features, ...held.features],
      labels: Int32Array.from([...Array.from(own.labels), ...Array.from(held.labels)])
    }
    const validation = Softmax.score(Softmax.fit(own, classes, strength), held)
    const probe = Softmax.fit(both, classes, strength)
    const test = yield* outcome.test(parts.test, (rows) => Effect.map(of(rows), (seen) => Softmax.score(probe, seen)))
    return { validation, test, seconds: outcome.seconds.training } satisfies Scores as Scores
  })

  const atWeights = Effect.fnUntraced(function* (
    name: string,
    lambda: Weightings.Lambda,
    target: Target,
    ticks = options.ticks
  ) {
    const outcome = yield* train(name, (yield* started(ticks)).fixed(lambda), ticks)
    return { ...(yield* scored(outcome as never, target)), lambda } satisfies Scores as Scores
  })
  const learned = Effect.fnUntraced(function* (how: Learning.Way, { classes, name, parts }: Target) {
    const made = yield* start
    const outcome = yield* train(
      `${name}/${how}`,
      Learning.make(options, made, how, classes, parts.train, parts.validation),
      options.ticks
    )
    return { outcome, lambda: Simplex.shares(made.weights, (outcome.vars as any).beta) as Weightings.Lambda }
  })

  /** One method on one task. */
  return Effect.fnUntraced(function* (method: string, target: Target) {
    if (method === "none") return yield* scored((yield* warm) as never, target)
    if (method === "longer")
      return yield* atWeights(method, fixedWeights["equal"]!, target, Math.round(options.longer * options.ticks))
    const lambda = fixedWeights[method]
    if (lambda !== undefined) return yield* atWeights(method, lambda, target)
    if (method.startsWith("final-")) {
      const how = method.slice("final-".length) as Learning.Way
      const { lambda } = yield* learned(how, target)
      return yield* atWeights(`${target.name}/${method}`, lambda, target)
    }
    const { lambda: found, outcome } = yield* learned(method as Learning.Way, target)
    return { ...(yield* scored(outcome as never, target)), lambda: found } satisfies Scores as Scores
  })
}

/** Every method on every task with every seed. */
export const compared = (
  session: Session.Session,
  options: Options,
  drawn: ReadonlyArray<Drawn>,
  methods: ReadonlyArray<string>,
  draws: number
) =>
  Comparison.run(session, {
    methods,
    tasks: drawn[0]!.targets.map(({ name }) => ({ name })),
    seeds: drawn.map(({ seed }) => seed),
    train: ({ method, seed, task }, trials) => {
      const own = drawn.find((one) => one.seed === seed)!
      return make(
        options,
        own,
        draws,
        trials
      )(
        method,
        own.targets.find(({ name }) => name === task.name)!
      )
    }
  })
