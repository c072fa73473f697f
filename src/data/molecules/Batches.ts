/** Molecules as datasets. Pictures are float32 [b, size, size, 3] with values in [0, 1], white being 1. */
import * as Effect from "effect/Effect"
import type * as tf from "@tensorflow/tfjs-core"
import * as Dataset from "../../dsl/Dataset.ts"
import * as NdArray from "../../dsl/NdArray.ts"
import type { CacheError } from "./Cache.ts"
import type { Pictures } from "./Molecules.ts"
import type { Table } from "./Table.ts"

/** Pictures of these rows as numbers in [0, 1]. */
export const images = (
  pictures: Pictures,
  rows: ArrayLike<number>
): Effect.Effect<NdArray.NdArray<tf.Tensor4D>, CacheError> =>
  Effect.map(pictures.read(rows), (bytes) => {
    const data = new Float32Array(bytes.length)
    for (let i = 0; i < bytes.length; i++) data[i] = bytes[i]! / 255
    return NdArray.float32([rows.length, pictures.size, pictures.size, 3], data)
  })

const enough = (name: string, rows: number, batch: number): Effect.Effect<void, Dataset.DataError> => {
  if (Number.isInteger(batch) && batch >= 1 && rows >= batch) return Effect.void
  const reason = `it has ${rows} molecules, and a batch of ${batch} is asked for: give a whole number from 1 to ${rows}`
  return Effect.fail(new Dataset.DataError({ dataset: name, reason }))
}

/** A batch of labelled molecules: b pictures and t labels each. */
export type LabelledBatch = {
  readonly pictures: tf.Tensor4D
  /** float32 [b, t]: labels as the table has them, 0 where missing. */
  readonly labels: tf.Tensor2D
  /** float32 [b, t]: 1 where there is a label, else 0. */
  readonly present: tf.Tensor2D
}

/** Labels of these rows of a table, and where there are any. */
export const labelsOf = (table: Table, rows: ArrayLike<number>) => {
  const tasks = table.tasks.length
  const labels = new Float32Array(rows.length * tasks)
  const present = new Float32Array(rows.length * tasks)
  for (let i = 0; i < labels.length; i++) {
    const label = table.labels[rows[Math.floor(i / tasks)]! * tasks + (i % tasks)]!
    if (Number.isNaN(label)) continue
    labels[i] = label
    present[i] = 1
  }
  const shape = [rows.length, tasks] as const
  return { labels: NdArray.float32(shape, labels), present: NdArray.float32(shape, present) }
}

/**
 * Labelled mini-batches of these rows of a table in a fresh order each epoch (an incomplete last batch is dropped). Fails
 * with a `DataError` when opened if there are fewer rows than one batch.
 */
export const labelled = (
  pictures: Pictures,
  table: Table,
  rows: Int32Array,
  options: { readonly batch: number }
): Dataset.Dataset<LabelledBatch, Dataset.DataError | CacheError> => {
  const { batch } = options
  const { size } = pictures
  const name = table.schema.name
  const tasks = table.tasks.length
  const open = Effect.map(
    enough(name, rows.length, batch),
    (): Dataset.Sampler<LabelledBatch, Dataset.DataError | CacheError> => {
      const order = Dataset.epochRows(rows.length, batch)
      return (seed, index) => {
        const chosen = order(seed, index).map((place) => rows[place]!)
        return Effect.map(images(pictures, chosen), (drawn) => ({ pictures: drawn, ...labelsOf(table, chosen) }))
      }
    }
  ) as Effect.Effect<Dataset.Sampler<LabelledBatch, Dataset.DataError | CacheError>, Dataset.DataError | CacheError>
  return Dataset.make(name, {
    fields: {
      pictures: Dataset.float32([batch, size, size, 3]),
      labels: Dataset.float32([batch, tasks]),
      present: Dataset.float32([batch, tasks])
    },
    open
  })
}

/** A batch of molecules with pseudo-labels: pictures, and by name the cluster of each, int32 [b]. */
export type ClusteredBatch<K extends string> = { readonly pictures: tf.Tensor4D } & { readonly [P in K]: tf.Tensor1D }

/**
 * Mini-batches of these rows with their clusters (which stand in the order of `rows`), otherwise as {@link labelled}.
 * Throws a `RangeError` where clusters and rows differ in number.
 */
export const clustered = <K extends string>(
  pictures: Pictures,
  rows: Int32Array,
  clusters: { readonly [P in K]: Int32Array },
  options: { readonly batch: number }
): Dataset.Dataset<ClusteredBatch<K>, Dataset.DataError | CacheError> => {
  const { batch } = options
  const { size } = pictures
  const names = Object.keys(clusters) as Array<K>
  for (const name of names) {
    if (clusters[name].length !== rows.length) {
      throw new RangeError(`Batches: ${clusters[name].length} clusters '${name}' of ${rows.length} molecules`)
    }
  }
  const open = Effect.map(enough("molecules", rows.length, batch), () => {
    const order = Dataset.epochRows(rows.length, batch)
    return (seed: Parameters<typeof order>[0], index: number) => {
      const places = order(seed, index)
      const own = names.map((name) => [
        name,
        NdArray.int32(
          [batch],
          places.map((place) => clusters[name][place]!)
        )
      ])
      const chosen = places.map((place) => rows[place]!)
      return Effect.map(images(pictures, chosen), (drawn) => ({ pictures: drawn, ...Object.fromEntries(own) }))
    }
  })
  const fields = {
    pictures: Dataset.float32([batch, size, size, 3]),
    ...Object.fromEntries(names.map((name) => [name, Dataset.int32([batch])]))
  }
  return Dataset.make("molecules", { fields, open } as never) as never
}
