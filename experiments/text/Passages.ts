/** Labelled passages: documents split by genre into train, validation and test, and cut into rows of tokens. */
import * as Effect from "effect/Effect"
import type * as tf from "@tensorflow/tfjs-core"
import { Dataset, NdArray, Seed, Split } from "tapweight"
import { type Document, genreNames } from "../brown/Corpus.ts"
import { CLS, encode, SEP, type Vocabulary } from "./Vocabulary.ts"

/** Documents in disjoint parts. */
export interface Parts extends Split.Split<ReadonlyArray<Document>> {
  /** Every document outside the test part: what pretraining and the vocabulary may see. */
  readonly unlabelled: ReadonlyArray<Document>
}

/**
 * Splits whole documents, genre by genre: of each genre's n documents `validation · n` and `test · n` (rounded, at least one)
 * go to those parts and the rest to train. The shares are in (0, 1).
 */
export const split = (
  seed: Seed.Seed,
  documents: ReadonlyArray<Document>,
  shares: { readonly validation: number; readonly test: number }
): Parts => {
  const parts = genreNames.map((genre) => {
    const all = documents.filter((document) => document.genre === genre)
    const order = Array.from(Seed.permutation(Seed.fold(seed, genre), all.length), (i) => all[i]!)
    const validation = Math.max(1, Math.round(shares.validation * all.length))
    const test = Math.max(1, Math.round(shares.test * all.length))
    return {
      validation: order.slice(0, validation),
      test: order.slice(validation, validation + test),
      train: order.slice(validation + test)
    }
  })
  const of = (part: "train" | "validation" | "test") => parts.flatMap((genre) => genre[part])
  const split = Split.make({ train: of("train"), validation: of("validation"), test: of("test") }, ({ id }) => id)
  return { ...split, unlabelled: [...split.train, ...split.validation] }
}

/** Labelled rows: token ids int32 [n, t] and genres int32 [n], as places in `Brown.genreNames`. */
export type Rows = { readonly ids: NdArray.NdArray<tf.Tensor2D>; readonly labels: NdArray.NdArray<tf.Tensor1D> }

/**
 * The passages of a document: each starts with a sentence and fills a row of `length` tokens, `[CLS] words [SEP]`. What is
 * left of a passage's last sentence, and of the document when no more row can be filled, is dropped.
 */
const passages = (vocabulary: Vocabulary, { sentences }: Document, length: number): ReadonlyArray<Int32Array> => {
  const rows: Array<Int32Array> = []
  let words: Array<number> = []
  for (const sentence of sentences) {
    words.push(...encode(vocabulary, sentence))
    if (words.length < length - 2) continue
    rows.push(Int32Array.of(CLS, ...words.slice(0, length - 2), SEP))
    words = []
  }
  return rows
}

/**
 * `perGenre` passages of each genre that the documents have, chosen by the seed, genre after genre. Fails with a
 * `DataError` where a genre's documents do not hold so many.
 */
export const labelled = (
  seed: Seed.Seed,
  vocabulary: Vocabulary,
  documents: ReadonlyArray<Document>,
  options: { readonly length: number; readonly perGenre: number }
): Effect.Effect<Rows, Dataset.DataError> => {
  const { length, perGenre } = options
  const chosen: Array<Int32Array> = []
  const labels: Array<number> = []
  for (const genre of new Set(documents.map((document) => document.genre))) {
    const own = documents.filter((document) => document.genre === genre)
    const rows = own.flatMap((document) => passages(vocabulary, document, length))
    if (rows.length < perGenre) {
      const found = `${own.length} documents of genre '${genre}' hold ${rows.length} passages of ${length} tokens`
      const reason = `${found}, and ${perGenre} are asked for: ask for fewer, shorten them, or give this part more documents`
      return Effect.fail(new Dataset.DataError({ dataset: "passages", reason }))
    }
    const order = Seed.permutation(Seed.fold(seed, genre), rows.length).subarray(0, perGenre)
    for (const i of order) {
      chosen.push(rows[i]!)
      labels.push(genreNames.indexOf(genre))
    }
  }
  const ids = new Int32Array(chosen.length * length)
  for (const [i, row] of chosen.entries()) ids.set(row, i * length)
  return Effect.succeed({
    ids: NdArray.int32([chosen.length, length], ids),
    labels: NdArray.int32([labels.length], labels)
  })
}
