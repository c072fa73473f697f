/**
 * Rows of unequal length as batches of few shapes: rows of about one length come together, so that little is padded and an engine
 * compiles each length once.
 */
import type * as tf from "@tensorflow/tfjs-core"
import { NdArray, Seed } from "tapweight"
import type { Row, Tokenizer } from "./Tokenizer.ts"

/** Lengths of rows, rising: powers of two and what lies half-way between, from 16 on; the last is `longest`. */
export const lengths = (longest: number): ReadonlyArray<number> => {
  if (!Number.isInteger(longest) || longest < 1) {
    throw new RangeError(`LengthBuckets.lengths: the longest row has ${longest} tokens; give a whole number from 1`)
  }
  const steps = Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? 16 : 24) * 2 ** Math.floor(i / 2))
  return [...steps.filter((length) => length < longest), longest]
}

/** The bucket of a row: the first of the lengths that holds it. Throws a `RangeError` where none does. */
export const bucketOf = (lengths: ReadonlyArray<number>, length: number): number => {
  const bucket = lengths.find((most) => length <= most)
  if (bucket === undefined) {
    throw new RangeError(
      `LengthBuckets: a row has ${length} tokens, the longest bucket ${lengths.at(-1)}: cut rows before`
    )
  }
  return bucket
}

/** Rows that come together, and the length that they are filled up to. */
export interface Batch {
  readonly rows: ReadonlyArray<number>
  readonly length: number
}

/** Rows `order` by bucket, in batches; what is left of a bucket comes with the next longer one, what is left at last is `rest`. */
const grouped = (
  sizes: ArrayLike<number>,
  lengths: ReadonlyArray<number>,
  size: number,
  order: Iterable<number>
): { readonly batches: ReadonlyArray<Batch>; readonly rest: Batch } => {
  const byBucket = new Map(lengths.map((length) => [length, [] as Array<number>]))
  for (const row of order) byBucket.get(bucketOf(lengths, sizes[row]!))!.push(row)
  const batches: Array<Batch> = []
  let [left, needed]: [ReadonlyArray<number>, number] = [[], lengths[0]!]
  for (const [length, rows] of byBucket) {
    const all = [...left, ...rows]
    const whole = all.length - (all.length % size)
    for (let from = 0; from < whole; from += size) batches.push({ rows: all.slice(from, from + size), length })
    left = all.slice(whole)
    if (rows.length > 0) needed = length
  }
  return { batches, rest: { rows: left, length: needed } }
}

const checked = (sizes: ArrayLike<number>, size: number): void => {
  if (!Number.isInteger(size) || size < 1)
    throw new RangeError(`LengthBuckets: batches of ${size} rows; give a whole number from 1`)
  if (sizes.length < size)
    throw new RangeError(`LengthBuckets: ${sizes.length} rows do not fill a batch of ${size}: ask for smaller batches`)
}

/**
 * Training batches of `size` rows, addressed by number: each epoch visits rows in a fresh order, grouped by length, the batches mixed. An
 * epoch leaves out fewer rows than a batch has, other ones each time.
 */
export const training = (
  sizes: ArrayLike<number>,
  lengths: ReadonlyArray<number>,
  size: number
): ((seed: Seed.Seed, index: number) => Batch) => {
  checked(sizes, size)
  const count = Math.floor(sizes.length / size)
  let known: { readonly seed: Seed.Seed; readonly epoch: number; readonly batches: ReadonlyArray<Batch> } | undefined
  return (seed, index) => {
    const epoch = Math.floor(index / count)
    if (known?.seed !== seed || known.epoch !== epoch) {
      const own = Seed.fold(seed, epoch)
      const { batches } = grouped(sizes, lengths, size, Seed.permutation(own, sizes.length))
      const order = Seed.permutation(Seed.fold(own, "order"), batches.length)
      known = { seed, epoch, batches: Array.from(order, (at) => batches[at]!) }
    }
    return known.batches[index % count]!
  }
}

/** All rows once, in batches of at most `size`, short ones first. */
export const evaluation = (
  sizes: ArrayLike<number>,
  lengths: ReadonlyArray<number>,
  size: number
): ReadonlyArray<Batch> => {
  checked(sizes, 1)
  const { batches, rest } = grouped(
    sizes,
    lengths,
    size,
    Array.from({ length: sizes.length }, (_, i) => i)
  )
  return rest.rows.length === 0 ? batches : [...batches, rest]
}

/** What an encoder reads: b rows of t tokens. */
export type Padded = {
  /** int32 [b, t]. */
  readonly ids: NdArray.NdArray<tf.Tensor2D>
  /** int32 [b, t]: the segment of each token, 0 for padding. */
  readonly types: NdArray.NdArray<tf.Tensor2D>
  /** float32 [b, t]: 1 for tokens, 0 for padding. */
  readonly mask: NdArray.NdArray<tf.Tensor2D>
}

/**
 * Rows filled up to `length` tokens, and to `size` rows where there are fewer: those are padding alone. Throws a `RangeError` for a
 * row that is longer.
 */
export const padded = (
  rows: ReadonlyArray<Row>,
  length: number,
  { padding }: Pick<Tokenizer, "padding">,
  size: number = rows.length
): Padded => {
  const ids = new Int32Array(size * length).fill(padding)
  const types = new Int32Array(size * length)
  const mask = new Float32Array(size * length)
  for (const [i, row] of rows.entries()) {
    if (row.ids.length > length) {
      throw new RangeError(
        `LengthBuckets.padded: row ${i} has ${row.ids.length} tokens, ${length} are asked for: cut it before`
      )
    }
    ids.set(row.ids, i * length)
    types.set(row.types, i * length)
    mask.fill(1, i * length, i * length + row.ids.length)
  }
  const shape = [size, length] as const
  return { ids: NdArray.int32(shape, ids), types: NdArray.int32(shape, types), mask: NdArray.float32(shape, mask) }
}
