/** Labelled texts: a task of its own as an objective (Raghu et al. 2021), and what the levels above learn from. */
import * as tf from "@tensorflow/tfjs-core"
import { Dataset, NdArray, Objective as Losses, type Seed } from "tapweight"
import { type Kind, outputs } from "../tasks/Task.ts"
import type { Row } from "../tokenizers/Tokenizer.ts"
import * as Objective from "./Objective.ts"
import * as Pooling from "./Pooling.ts"

/** Rows of tokens with a label each: the number of a class, or a number to predict. */
export interface Labelled {
  readonly rows: ReadonlyArray<Row>
  readonly labels: ReadonlyArray<number> | Float32Array | Int32Array
}

/** Fields of a labelled batch: labels are class numbers int32 [b], or float32 [b]. */
export const fields = (setting: Objective.Setting, { type }: Kind) => ({
  ...Objective.rowsOf(setting),
  labels: (type === "classes"
    ? Dataset.int32([setting.batch])
    : Dataset.float32([setting.batch])) as Dataset.Field<tf.Tensor1D>
})

/** A labelled batch. */
export type Batch = Dataset.BatchOf<ReturnType<typeof fields>>

/** Labelled rows in a fresh order each epoch. */
export const batches = (
  name: string,
  setting: Objective.Setting,
  { labels, rows }: Labelled,
  kind: Kind
): Dataset.Dataset<Batch, Dataset.DataError> => {
  const arrays = kind.type === "classes" ? NdArray.int32 : NdArray.float32
  const draw = (items: Int32Array, seed: Seed.Seed) => ({
    ...Objective.filled(
      setting,
      Array.from(items, (item) => rows[item]!),
      seed
    ),
    labels: arrays(
      [setting.batch] as const,
      Array.from(items, (item) => labels[item]!)
    ) as NdArray.NdArray<tf.Tensor1D>
  })
  return Objective.batches(name, rows.length, setting, fields(setting, kind), draw)
}

/** The loss of answers [b, outputs]: cross-entropy in nats, or mean squared error. */
export const lossOf = ({ type }: Kind, answers: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar =>
  type === "classes"
    ? Losses.crossEntropy(answers, labels)
    : Losses.meanSquaredError(tf.reshape(answers, [answers.shape[0]]), labels)

/** Another task's labelled texts as an objective. */
export const supervised = (
  setting: Objective.Setting,
  labelled: Labelled,
  kind: Kind,
  { name }: { readonly name: string }
): Objective.Objective<Dataset.DataError> =>
  Objective.make({
    name,
    data: batches(name, setting, labelled, kind),
    head: Pooling.head(setting, outputs(kind)),
    loss: ({ encoder, head }, rows) => lossOf(kind, Pooling.answers(setting, encoder, head, rows), rows.labels)
  })
