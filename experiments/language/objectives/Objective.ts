/**
 * Pretraining objectives as values: each has batches, a head, and a loss of the encoder and of that head on a batch. {@link together}
 * makes of several what level I minimizes.
 */
import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Dataset, type Encoder, type EncoderConfig, NdArray, Seed, type Tree } from "tapweight"
import * as Prefixed from "../../common/Prefixed.ts"
import * as LengthBuckets from "../tokenizers/LengthBuckets.ts"
import type { Row, Tokenizer } from "../tokenizers/Tokenizer.ts"

/** What objectives have in common: the encoder, and the rows that it reads. */
export interface Setting {
  readonly config: EncoderConfig.EncoderConfig
  readonly tokenizer: Tokenizer
  /** Rows of a batch. */
  readonly batch: number
  /** Tokens of a row; longer ones are cut. */
  readonly length: number
  /** Which state stands for a row: that of its first token, or the mean of all. */
  readonly pooling: "first" | "mean"
}

/** An encoder and the head of one objective. */
export interface Model<H> {
  readonly encoder: Encoder.Params
  readonly head: H
}

/** An objective whose batches and head are its own matter. */
export interface Objective<out E = never, out R = never> {
  readonly name: string
  /** The name of its head where several objectives have one in common; its own where absent. */
  readonly shares?: string
  readonly data: Dataset.Dataset<{ readonly [field: string]: tf.Tensor }, E, R>
  readonly head: (seed: Seed.Seed) => Tree.HostTree
  readonly loss: (model: Model<never>, batch: never) => tf.Scalar
}

/**
 * An objective: its name, its batches, its head (`() => ({})` for one without), and its loss.
 *
 * ```ts
 * Objective.make({
 *   name: "length",
 *   data: Objective.batches("length", texts.count, setting, { ...Objective.rowsOf(setting), lengths: Dataset.float32([setting.batch, 1]) }, …),
 *   head: Mlp.dense(setting.config.width, 1),
 *   loss: ({ encoder, head }, batch) =>
 *     Losses.meanSquaredError(Mlp.affine(head, Pooling.states(setting, encoder, batch)), batch.lengths)
 * })
 * ```
 */
export const make = <B extends Tree.Tree, H extends Tree.HostTree, E = never, R = never>(spec: {
  readonly name: string
  readonly shares?: string
  readonly data: Dataset.Dataset<B, E, R>
  readonly head: (seed: Seed.Seed) => H
  readonly loss: (model: Model<Tree.Live<H>>, batch: B) => tf.Scalar
}): Objective<E, R> => spec as never

/** Fields of a batch of rows: `ids` and `types` int32 [b, t], and a noise `key`. */
export const rowsOf = ({ batch, length }: Pick<Setting, "batch" | "length">) => ({
  ids: Dataset.int32([batch, length]),
  types: Dataset.int32([batch, length]),
  key: Dataset.int32([2])
})

/** A batch of rows. */
export type Rows = Dataset.BatchOf<ReturnType<typeof rowsOf>>

/** Rows filled up, and the noise that their dropout draws from: the fields of {@link rowsOf}. */
export const filled = (
  { length, tokenizer }: Pick<Setting, "length" | "tokenizer">,
  rows: ReadonlyArray<Row>,
  seed: Seed.Seed
) => {
  const { ids, types } = LengthBuckets.padded(rows, length, tokenizer)
  return { ids, types, key: NdArray.int32([2], Seed.fold(seed, "dropout").key) }
}

/**
 * Batches of items 0 … `count` − 1, all in a fresh order each epoch; `draw` makes one of a batch's items and of a seed of its own, so that
 * a batch is a function of seed and index. Fails with a `DataError` where there are fewer items than a batch has rows.
 */
export const batches = <const F extends Dataset.Fields>(
  name: string,
  count: number,
  { batch }: Pick<Setting, "batch">,
  fields: F,
  draw: (items: Int32Array, seed: Seed.Seed) => Tree.Host<Dataset.BatchOf<F>>
): Dataset.Dataset<Dataset.BatchOf<F>, Dataset.DataError> =>
  Dataset.make(name, {
    fields,
    open: Effect.map(
      Dataset.epochs(name, count, batch),
      (order) => (seed: Seed.Seed, index: number) =>
        Effect.sync(() => draw(order(seed, index), Seed.fold(Seed.fold(seed, "batch"), index)))
    )
  }) as never

/** The pretrained model: an encoder, and the objectives' heads by their names. */
export type HostTheta = {
  readonly encoder: Encoder.HostParams
  readonly heads: { readonly [head: string]: Tree.HostTree }
}
/** The pretrained model. */
export type Theta = Tree.Live<HostTheta> & { readonly encoder: Encoder.Params }
/**
 * What level I minimizes: heads and losses by name, and batches that each objective draws for itself, the same whatever objectives stand
 * beside it. Throws a `RangeError` where two objectives have one name.
 */
export const together = <E, R>(objectives: ReadonlyArray<Objective<E, R>>) => {
  const names = objectives.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new RangeError(`objectives: two are called '${twice}'; give each a name of its own`)
  const data = Prefixed.all("texts", Object.fromEntries(objectives.map(({ data, name }) => [name, data])))
  const lossOf =
    ({ data, loss, name, shares = name }: Objective<E, R>) =>
    (theta: Theta, batch: Prefixed.Batch): tf.Scalar =>
      loss({ encoder: theta.encoder, head: theta.heads[shares] as never }, Prefixed.part(name, data, batch) as never)
  return {
    data,
    heads: (seed: Seed.Seed): HostTheta["heads"] =>
      Object.fromEntries(objectives.map(({ head, name, shares = name }) => [shares, head(Seed.fold(seed, shares))])),
    objectives: Object.fromEntries(objectives.map((one) => [one.name, lossOf(one)])) as {
      readonly [objective: string]: (theta: Theta, batch: Prefixed.Batch) => tf.Scalar
    }
  }
}
