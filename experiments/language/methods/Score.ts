/** Scores of finetuned encoders, and of heads on frozen ones. */
import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { type Encoder, NdArray, type Run, type Tree } from "tapweight"
import * as Finished from "../../common/Finished.ts"
import type { Setting } from "../objectives/Objective.ts"
import * as Pooling from "../objectives/Pooling.ts"
import type { Labelled } from "../objectives/Supervised.ts"
import * as Metric from "../tasks/Metric.ts"
import { outputs } from "../tasks/Task.ts"
import * as LengthBuckets from "../tokenizers/LengthBuckets.ts"
import type { Row } from "../tokenizers/Tokenizer.ts"
import type { Features } from "./FrozenHead.ts"
import type { Omega } from "./Levels.ts"
import type { Task } from "./Task.ts"

type Read = Pick<LengthBuckets.Padded, "ids" | "types">
type Batch = { readonly ids: tf.Tensor2D; readonly types: tf.Tensor2D }
type Numbers = NdArray.NdArray["data"]

const batch = 64

/** What `one` gives for each row, `width` numbers each: rows come by length, in batches of few shapes. */
const each = Effect.fnUntraced(function* <E, R>(
  { tokenizer }: Pick<Setting, "tokenizer">,
  rows: ReadonlyArray<Row>,
  width: number,
  one: (rows: Read) => Effect.Effect<Numbers, E, R>
) {
  const out = new Float32Array(rows.length * width)
  const sizes = rows.map(({ ids }) => ids.length)
  const longest = sizes.reduce((most, size) => Math.max(most, size), 1)
  for (const { length, rows: at } of LengthBuckets.evaluation(sizes, LengthBuckets.lengths(longest), batch)) {
    const own = at.map((row) => rows[row]!)
    const { ids, types } = LengthBuckets.padded(own, length, tokenizer, batch)
    const values = yield* one({ ids, types })
    for (const [i, row] of at.entries()) out.set(values.subarray(i * width, (i + 1) * width), row * width)
  }
  return out
})

/** The answers of a model without dropout, as a metric takes them: the likeliest class, or the number. */
export const predictions = (task: Pick<Task, "kind">, answers: ArrayLike<number>): Float64Array => {
  const width = outputs(task.kind)
  return Float64Array.from({ length: answers.length / width }, (_, row) => {
    if (width === 1) return answers[row]!
    let best = 0
    for (let k = 1; k < width; k++) if (answers[row * width + k]! > answers[row * width + best]!) best = k
    return best
  })
}

/** The task's metric of predictions. A correlation with predictions that are all alike is none, and counts as 0. */
export const ofPredictions = (
  { metric }: Pick<Task, "metric">,
  labels: ArrayLike<number>,
  predicted: ArrayLike<number>
): number => {
  const score = Metric.score(metric, labels, predicted)
  return Number.isNaN(score) ? 0 : score
}

/** The task's metric of answers. */
export const scored = (task: Pick<Task, "kind" | "metric">, labels: ArrayLike<number>, answers: ArrayLike<number>) =>
  ofPredictions(task, labels, predictions(task, answers))

/** What scoring reads of a finetuned model. */
type Vars = { readonly omega: Omega }

const answer =
  (setting: Setting) =>
  ({ omega }: Vars, batch: Batch) => ({ answers: Pooling.answers(setting, omega.encoder, omega.head, batch) })

/** The score of the run's present model. */
export const ofTick = (tick: Run.Tick<Vars>, setting: Setting, task: Task, { labels, rows }: Labelled) => {
  const of = answer(setting)
  return Effect.map(
    each(setting, rows, outputs(task.kind), (batch) =>
      Effect.map(tick.evaluate(of, batch), ({ answers }) => answers.data)
    ),
    (answers) => scored(task, labels, answers)
  )
}

/** The score of a finished model. */
export const ofVars = (vars: Tree.Host<Vars>, setting: Setting, task: Task, { labels, rows }: Labelled) =>
  Effect.scoped(
    Effect.gen(function* () {
      const observe = yield* Finished.observed(vars, answer(setting))
      const answers = yield* each(setting, rows, outputs(task.kind), (batch) =>
        Effect.map(observe(batch), ({ answers }) => answers.data)
      )
      return scored(task, labels, answers)
    })
  )

/** One vector for each row: states of a frozen encoder. */
const statesOf = (setting: Setting, encoder: Encoder.HostParams, rows: ReadonlyArray<Row>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const states = ({ encoder }: { readonly encoder: Encoder.Params }, batch: Batch) => ({
        states: Pooling.states(setting, encoder, batch)
      })
      const observe = yield* Finished.observed({ encoder }, states)
      return yield* each(setting, rows, setting.config.width, (batch) =>
        Effect.map(observe(batch), ({ states }) => states.data)
      )
    })
  )

/** Vectors of training rows less their mean and over their deviation, and how others are brought to that scale. */
export const features = Effect.fnUntraced(function* (
  setting: Setting,
  encoder: Encoder.HostParams,
  { kind }: Pick<Task, "kind">,
  { labels, rows }: Labelled
) {
  const { width } = setting.config
  const raw = yield* statesOf(setting, encoder, rows)
  const [mean, deviation] = [new Float64Array(width), new Float64Array(width)]
  for (const [at, x] of raw.entries()) mean[at % width]! += x / rows.length
  for (const [at, x] of raw.entries()) deviation[at % width]! += (x - mean[at % width]!) ** 2 / rows.length
  const scaled = (states: Float32Array): Float32Array =>
    states.map((x, at) => (x - mean[at % width]!) / Math.sqrt(deviation[at % width]! + 1e-6))
  const own = (kind.type === "classes" ? NdArray.int32 : NdArray.float32)([rows.length] as const, [...labels])
  return {
    features: {
      x: NdArray.float32([rows.length, width] as const, scaled(raw)),
      labels: own as NdArray.NdArray<tf.Tensor1D>
    } satisfies Features as Features,
    of: (rows: ReadonlyArray<Row>) => Effect.map(statesOf(setting, encoder, rows), scaled)
  }
})

/** The score of a linear head on scaled vectors of rows. */
export const ofHead = (
  { head }: { readonly head: { readonly w: NdArray.NdArray; readonly b: NdArray.NdArray } },
  task: Task,
  x: Float32Array,
  labels: ArrayLike<number>
): number => {
  const [width, count] = head.w.shape as [number, number]
  const answers = Float64Array.from({ length: labels.length * count }, (_, at) => {
    const [row, k] = [Math.floor(at / count), at % count]
    let sum = head.b.data[k]!
    for (let j = 0; j < width; j++) sum += x[row * width + j]! * head.w.data[j * count + k]!
    return sum
  })
  return scored(task, labels, answers)
}
