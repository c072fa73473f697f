/** Classification by hidden words: batches of prompts, and what the head for masked tokens answers where the word is hidden. */
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Dataset, type Encoder, MaskedHead, NdArray, Objective as Losses, type Seed, type Tree } from "tapweight"
import * as Objective from "../objectives/Objective.ts"
import * as Pooling from "../objectives/Pooling.ts"
import type { Sentences } from "../objectives/Texts.ts"
import type { Kind } from "../tasks/Task.ts"
import * as LengthBuckets from "../tokenizers/LengthBuckets.ts"
import type { Texts, Tokens } from "./Prompt.ts"

/** An encoder with its head for masked tokens, on the host. */
export type HostModel = { readonly encoder: Encoder.HostParams; readonly masked: MaskedHead.HostParams }
/** An encoder with its head for masked tokens. */
export type Model = { readonly encoder: Encoder.Params; readonly masked: MaskedHead.Params }

/** Fields of a batch: rows, the place of each one's hidden word in its row int32 [b], and labels: int32 [b] of classes, float32 [b] of scores. */
export const fields = (setting: Objective.Setting, { type }: Kind) => ({
  ...Objective.rowsOf(setting),
  positions: Dataset.int32([setting.batch]),
  labels: (type === "classes"
    ? Dataset.int32([setting.batch])
    : Dataset.float32([setting.batch])) as Dataset.Field<tf.Tensor1D>
})

/** A batch of prompts. */
export type Batch = Dataset.BatchOf<ReturnType<typeof fields>>
/** What is asked: prompts without labels. */
export type Asked = Omit<Batch, "labels" | "key"> & { readonly key?: tf.Tensor1D }

/** Texts with their labels: numbers of classes, or scores from 0 to 1. */
export interface Labelled {
  readonly texts: ReadonlyArray<Texts>
  readonly labels: ArrayLike<number>
}

/** Texts as prompts: what {@link answers} reads, and the noise key of a seed. */
export const rowsOf = (setting: Objective.Setting, tokens: Tokens, texts: ReadonlyArray<Texts>, seed: Seed.Seed) => {
  const asked = texts.map(tokens.asked)
  return {
    ...Objective.filled(
      setting,
      asked.map(({ row }) => row),
      seed
    ),
    positions: NdArray.int32(
      [texts.length],
      asked.map(({ position }) => position)
    )
  }
}

/** Batches of prompts. Fails when opened where there are fewer rows than one batch. */
export const batches = (
  name: string,
  setting: Objective.Setting,
  tokens: Tokens,
  { labels, texts }: Labelled,
  kind: Kind
): Dataset.Dataset<Batch, Dataset.DataError> => {
  const arrays = kind.type === "classes" ? NdArray.int32 : NdArray.float32
  const draw = (items: Int32Array, seed: Seed.Seed) => ({
    ...rowsOf(
      setting,
      tokens,
      Array.from(items, (item) => texts[item]!),
      seed
    ),
    labels: arrays(
      [items.length],
      Array.from(items, (item) => labels[item]!)
    ) as NdArray.NdArray<tf.Tensor1D>
  })
  return Objective.batches(name, texts.length, setting, fields(setting, kind), draw)
}

/** The words' logits where they are hidden: rows [b, t] → [b, words]. No others are computed. */
export const answers = (
  { config }: Pick<Objective.Setting, "config">,
  words: Int32Array,
  { encoder, masked }: Model,
  batch: Asked
): tf.Tensor2D => {
  const hidden = Pooling.hidden({ config }, encoder, batch)
  const [rows, length, width] = hidden.shape
  const starts = tf.mul(tf.range(0, rows, 1, "int32"), tf.scalar(length, "int32"))
  const states = tf.gather(tf.reshape(hidden, [rows * length, width]), tf.add(starts, batch.positions)) as tf.Tensor2D
  const ids = tf.tensor1d(words, "int32")
  const own = tf.gather(masked.decoder ?? encoder.embeddings.words, ids)
  return MaskedHead.apply(config, { ...masked, bias: tf.gather(masked.bias, ids), decoder: own }, own, states)
}

/** How much the second of two words is preferred: [b, 2] → [b]. */
const preference = (answers: tf.Tensor2D): tf.Tensor1D => {
  const [low, high] = tf.split(answers, 2, 1)
  return tf.reshape(tf.sub(high!, low!), [answers.shape[0]])
}

/**
 * The loss of answers: cross-entropy over the classes' words; for scores, the divergence of two words' shares from (1 − y, y), less the
 * entropy of the scores, which no parameter changes (Gao et al. 2021).
 */
export const lossOf = ({ type }: Kind, answers: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar =>
  type === "classes" ? Losses.crossEntropy(answers, labels) : Losses.binaryCrossEntropy(preference(answers), labels)

/** What is predicted from answers on the host, [b, words]: numbers of classes, or scores from 0 to 1. */
export const predictions = ({ type }: Kind, { data, shape }: NdArray.NdArray): ReadonlyArray<number> => {
  const [rows, words] = shape as [number, number]
  return Array.from({ length: rows }, (_, row) => {
    const own = Array.from(data.subarray(row * words, (row + 1) * words))
    return type === "classes" ? own.indexOf(Math.max(...own)) : 1 / (1 + Math.exp(own[0]! - own[1]!))
  })
}

/** The answers to a batch, whoever computes them. */
export type Observe<E, R> = (batch: Tree.Host<Asked>) => Effect.Effect<NdArray.NdArray, E, R>

/** What is predicted for each text, without dropout: rows come by length, in batches of few shapes. */
export const predicted = Effect.fnUntraced(function* <E, R>(
  { tokenizer }: Pick<Objective.Setting, "tokenizer">,
  kind: Kind,
  tokens: Tokens,
  texts: ReadonlyArray<Texts>,
  observe: Observe<E, R>
) {
  const batch = 64
  const asked = texts.map(tokens.asked)
  const sizes = asked.map(({ row }) => row.ids.length)
  const out = Array<number>(texts.length)
  const longest = sizes.reduce((most, size) => Math.max(most, size), 1)
  for (const { length, rows } of LengthBuckets.evaluation(sizes, LengthBuckets.lengths(longest), batch)) {
    const own = rows.map((row) => asked[row]!)
    const { ids, types } = LengthBuckets.padded(
      own.map(({ row }) => row),
      length,
      tokenizer,
      batch
    )
    const positions = new Int32Array(batch)
    for (const [i, { position }] of own.entries()) positions[i] = position
    const answers = yield* observe({ ids, types, positions: NdArray.int32([batch], positions) })
    const found = predictions(kind, answers)
    for (const [i, row] of rows.entries()) out[row] = found[i]!
  }
  return out as ReadonlyArray<number>
})

/** The number of the word that stands for a label: the class's own; of scores the second from the middle on. */
export const wordOf = ({ type }: Kind, label: number): number => (type === "classes" ? label : label < 0.5 ? 0 : 1)

/** Texts with the words of labels in them: what pretraining on prompts reads. */
export const sentences = (name: string, tokens: Tokens, { labels, texts }: Labelled, kind: Kind): Sentences => ({
  name,
  count: texts.length,
  ids: (i) => tokens.said(texts[i]!, wordOf(kind, labels[i]!))
})
