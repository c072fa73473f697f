/** Pictures as datasets: batches for self-supervised pretraining, labelled batches, and all rows in order. */
import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Dataset, NdArray, Seed } from "tapweight"
import * as Augment from "./Augment.ts"
import * as Jigsaw from "./Jigsaw.ts"
import * as Masked from "./Masked.ts"

/** Pictures by row: RGB, 8 bits a channel. */
export interface Pictures extends Augment.Size {
  readonly count: number
  /** The pictures of some rows, end to end. */
  readonly read: (rows: ArrayLike<number>) => Effect.Effect<Uint8Array, Dataset.DataError>
}

/** Some rows of pictures, in the order given. */
export const subset = (pictures: Pictures, chosen: ArrayLike<number>): Pictures => ({
  size: pictures.size,
  count: chosen.length,
  read: (rows) => pictures.read(Int32Array.from(rows, (row) => chosen[row]!))
})

const normalized = (views: Augment.Views, size: number) =>
  NdArray.float32([views.length / (3 * size * size), size, size, 3] as const, Augment.normalize(views))

/** What the pretraining objectives of TapWeight's molecules read (appendix C.1), for a batch of b pictures. */
export type PretrainingBatch = {
  /** [3b, size, size, 3]: b views, the same views with a square hidden, and puzzles of them, normalised. */
  readonly views: tf.Tensor4D
  /** int32 [b, g]: the cluster of each picture's molecule at g granularities. */
  readonly clusters: tf.Tensor2D
  /** int32 [b]: which permutation each puzzle is, 0 for none. */
  readonly orders: tf.Tensor1D
  /** int32 [b]: fair coin flips, an objective that can teach nothing. */
  readonly coins: tf.Tensor1D
}

/** How pretraining batches are drawn. */
export interface PretrainingOptions {
  readonly batch: number
  readonly augmentation: Augment.Augmentation
  /** Permutations a puzzle is drawn from; the paper has 100. */
  readonly permutations: number
  /** Share of puzzles that are left as they are. */
  readonly intact: number
}

/**
 * Pretraining batches: `clusters` is int32 [pictures, g]. Everything that is drawn, augmentations included, is a function
 * of (seed, index). Fails with a `DataError` when opened if there are fewer pictures than one batch.
 */
export const pretraining = (
  pictures: Pictures,
  clusters: NdArray.NdArray<tf.Tensor2D>,
  options: PretrainingOptions
): Dataset.Dataset<PretrainingBatch, Dataset.DataError> => {
  const { augmentation, batch, intact, permutations } = options
  const { count, size } = pictures
  const granularities = clusters.shape[1]!
  const open = Effect.map(Dataset.epochs("pretraining", count, batch), (rowsOf) => {
    // The permutations are part of the task, and so the same in every run.
    const orders = Jigsaw.permutations(permutations, Seed.make(0))
    return (seed: Seed.Seed, index: number) => {
      const rows = rowsOf(seed, index)
      const drawn = Seed.fold(seed, index)
      return Effect.map(pictures.read(rows), (read) => {
        const views = Augment.views(read, augmentation, { size }, Seed.fold(drawn, "views"))
        const masked = Masked.masked(views, Masked.squareOf({ size }), { size }, Seed.fold(drawn, "mask"))
        const puzzles = Jigsaw.puzzles(views, orders, intact, { size }, Seed.fold(drawn, "puzzles"))
        const all = new Float32Array(3 * views.length)
        for (const [i, part] of [views, masked, puzzles.views].entries()) all.set(part, i * views.length)
        return {
          views: normalized(all, size),
          clusters: NdArray.rows(clusters, rows),
          orders: NdArray.int32([batch], puzzles.labels),
          coins: NdArray.int32([batch], Seed.integers(Seed.fold(drawn, "coins"), batch, 2))
        }
      })
    }
  })
  return Dataset.make("pretraining", {
    fields: {
      views: Dataset.float32([3 * batch, size, size, 3]),
      clusters: Dataset.int32([batch, granularities]),
      orders: Dataset.int32([batch]),
      coins: Dataset.int32([batch])
    },
    open
  })
}

/** Labelled pictures: `labels` is float32 [pictures, tasks], NaN where a label is missing. */
export interface Labelled {
  readonly pictures: Pictures
  readonly labels: NdArray.NdArray<tf.Tensor2D>
}

/** A batch of b labelled pictures with t tasks. */
export type LabelledBatch = {
  /** [b, size, size, 3], normalised. */
  readonly pictures: tf.Tensor4D
  /** [b, t]: 0 where the label is missing. */
  readonly labels: tf.Tensor2D
  /** [b, t]: 1 where the label is known, else 0. */
  readonly known: tf.Tensor2D
}

const labelsOf = (labels: NdArray.NdArray<tf.Tensor2D>, rows: ArrayLike<number>) => {
  const { data, shape } = NdArray.rows(labels, rows)
  return {
    labels: NdArray.float32(
      shape,
      Float32Array.from(data, (v) => (Number.isNaN(v) ? 0 : v))
    ) as NdArray.NdArray<tf.Tensor2D>,
    known: NdArray.float32(
      shape,
      Float32Array.from(data, (v) => Number(!Number.isNaN(v)))
    ) as NdArray.NdArray<tf.Tensor2D>
  }
}

/** Labelled batches in a fresh order each epoch. Fails with a `DataError` when opened if there are fewer than one batch. */
export const labelled = (
  name: string,
  { labels, pictures }: Labelled,
  options: { readonly batch: number; readonly augmentation: Augment.Augmentation }
): Dataset.Dataset<LabelledBatch, Dataset.DataError> => {
  const { augmentation, batch } = options
  const { count, size } = pictures
  const tasks = labels.shape[1]!
  const open = Effect.map(Dataset.epochs(name, count, batch), (rowsOf) => {
    return (seed: Seed.Seed, index: number) => {
      const rows = rowsOf(seed, index)
      return Effect.map(pictures.read(rows), (read) => ({
        pictures: normalized(
          Augment.views(read, augmentation, { size }, Seed.fold(Seed.fold(seed, index), "views")),
          size
        ),
        ...labelsOf(labels, rows)
      }))
    }
  })
  return Dataset.make(name, {
    fields: {
      pictures: Dataset.float32([batch, size, size, 3]),
      labels: Dataset.float32([batch, tasks]),
      known: Dataset.float32([batch, tasks])
    },
    open
  })
}

/** Pictures of one shape for evaluation, of which the first `count` are new; the rest repeat the last to fill it up. */
export interface EvaluationBatch {
  readonly pictures: NdArray.NdArray<tf.Tensor4D>
  readonly count: number
}

/** The number of batches that hold all pictures, and each of them, as they are. */
export const inOrder = (pictures: Pictures, batch: number) => ({
  batches: Math.ceil(pictures.count / batch),
  at: (i: number): Effect.Effect<EvaluationBatch, Dataset.DataError> => {
    const rows = Int32Array.from({ length: batch }, (_, j) => Math.min(i * batch + j, pictures.count - 1))
    const { size } = pictures
    return Effect.map(pictures.read(rows), (read) => ({
      pictures: normalized(Augment.views(read, Augment.asIs, { size }, Seed.make(0)), size),
      count: Math.min(batch, pictures.count - i * batch)
    }))
  }
})
