/** Several datasets as one: the fields of each stand under its name. */
import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Dataset, Seed, type Tree } from "tapweight"

/** A batch of several datasets. */
export type Batch = { readonly [field: string]: tf.Tensor }

// A dot in a field's name would be read as a path.
const under = (name: string, field: string): string => `${name}/${field}`

/** The batch of one dataset among several. */
export const part = <B extends Tree.Tree>(
  name: string,
  { fields }: Pick<Dataset.Dataset<B>, "fields">,
  batch: Batch
): B => Object.fromEntries(Object.keys(fields).map((field) => [field, batch[under(name, field)]])) as B

/** Batches of all at once. Each is drawn by a seed of its name, the same whatever stands beside it. */
export const all = <E, R>(
  name: string,
  datasets: { readonly [part: string]: Dataset.Dataset<Tree.Tree, E, R> }
): Dataset.Dataset<Batch, E, R> => {
  const parts = Object.entries(datasets)
  const fields = Object.fromEntries(
    parts.flatMap(([part, { fields }]) => Object.entries(fields).map(([field, of]) => [under(part, field), of]))
  )
  const open = Effect.map(
    Effect.forEach(parts, ([part, { open }]) => Effect.map(open, (sample) => [part, sample] as const)),
    (samples) => (seed: Seed.Seed, index: number) =>
      Effect.map(
        Effect.forEach(samples, ([part, sample]) =>
          Effect.map(sample(Seed.fold(seed, part), index), (batch) =>
            Object.entries(batch).map(([field, value]) => [under(part, field), value] as const)
          )
        ),
        (batches) => Object.fromEntries(batches.flat())
      )
  )
  return Dataset.make(name, { fields, open } as never) as never
}
