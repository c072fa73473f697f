import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Dataset, NdArray, Seed, Split } from "tapweight"
import * as Digits from "./Digits.ts"

/** Labelled pictures: float32 [n, 196] and int32 [n]. */
export type Rows = { readonly pictures: NdArray.NdArray<tf.Tensor2D>; readonly labels: NdArray.NdArray<tf.Tensor1D> }

/** Telling digits apart from few labels: what the experiment's methods share. */
export interface Task extends Split.Split<Rows> {
  /** Digits that nobody has labelled: in none of the parts. */
  readonly unlabelled: Digits.Pictures
}

/** Labelled digits of each kind in each part. */
export interface Options {
  readonly perDigit: { readonly train: number; readonly validation: number; readonly test: number }
}

const rowsOf = (pictures: Digits.Pictures): Rows => {
  const count = pictures.labels.length
  return {
    pictures: NdArray.float32([count, Digits.pixels], pictures.ink),
    labels: NdArray.int32([count], pictures.labels)
  }
}

/** Which rows each part has: as many of every digit as asked for, and all others unlabelled. Fails with a `DataError` where there are too few. */
export const split = Effect.fnUntraced(function* (labels: Int32Array, { perDigit }: Options, seed: Seed.Seed) {
  const order = Seed.permutation(seed, labels.length)
  const kinds = Array.from({ length: Digits.classes }, (_, digit) =>
    Array.from(order).filter((row) => labels[row] === digit)
  )
  const [train, validation] = [perDigit.train, perDigit.train + perDigit.validation]
  const labelled = validation + perDigit.test
  const fewest = Math.min(...kinds.map(({ length }) => length))
  if (fewest <= labelled) {
    const reason = `of one digit there are ${fewest} pictures, and perDigit asks for ${labelled}: ask for fewer`
    return yield* new Dataset.DataError({ dataset: "mnist", reason })
  }
  const part = (from: number, to?: number) => kinds.flatMap((kind) => kind.slice(from, to))
  const parts = { train: part(0, train), validation: part(train, validation), test: part(validation, labelled) }
  return { ...Split.make(parts, (row) => row), unlabelled: part(labelled) }
})

/** The task of one seed: digits are split anew, so that seeds differ in data as well as in initial values. */
export const make = (digits: Digits.Pictures, options: Options, seed: number): Effect.Effect<Task, Dataset.DataError> =>
  Effect.gen(function* () {
    const root = Seed.fold(Seed.fold(Seed.make(seed), "task"), "split")
    const { unlabelled, ...parts } = yield* split(digits.labels, options, root)
    return {
      ...Split.map(parts, (rows) => rowsOf(Digits.rows(digits, rows))),
      unlabelled: Digits.rows(digits, unlabelled)
    }
  })
