/** Text as datasets: batches for pretraining without labels, and labelled batches for classification. */
import * as Effect from "effect/Effect"
import type * as tf from "@tensorflow/tfjs-core"
import { Dataset, NdArray, Seed } from "tapweight"
import type { Document } from "../brown/Corpus.ts"
import * as Masking from "../common/Masking.ts"
import type { Rows } from "./Passages.ts"
import { CLS, encode, firstWord, MASK, PAD, SEP, type Vocabulary } from "./Vocabulary.ts"

/**
 * What the pretraining objectives read: b rows of t tokens, m = ⌈0.15 t⌉ hidden words each. All objectives share the same
 * text, so that one pass over `mlmIds` and one over `ids` for each dropout view serve every one of them.
 */
export type PretrainingBatch = {
  /** int32 [b, t]: `[CLS] s [SEP] s' [SEP]`, two consecutive segments of one document, swapped with probability 1/2. */
  readonly ids: tf.Tensor2D
  /** int32 [b]: 1 where the segments of `ids` are swapped, else 0 (sentence order prediction, Lan et al. 2020). */
  readonly sopLabels: tf.Tensor1D
  /** int32 [b]: fair coin flips, an objective that can teach nothing. */
  readonly coinLabels: tf.Tensor1D
  /** int32 [b, t]: `ids` with words hidden. */
  readonly mlmIds: tf.Tensor2D
  /** int32 [b, m]: places of hidden words in `mlmIds` taken as [b · t]. */
  readonly mlmPositions: tf.Tensor2D
  /** int32 [b, m]: the hidden words. */
  readonly mlmTargets: tf.Tensor2D
  /** float32 [b, m]: 1 where the slot is used, else 0. */
  readonly mlmWeights: tf.Tensor2D
  /** int32 [2]: the noise key of the first dropout view (contrastive learning, Gao et al. 2021). */
  readonly firstKey: tf.Tensor1D
  /** int32 [2]: the noise key of the second dropout view. */
  readonly secondKey: tf.Tensor1D
}

/** Tokens of each of the two segments in a row of `length` tokens: three stand for [CLS] and twice [SEP]. */
export const segmentLength = (length: number): number => Math.floor((length - 3) / 2)

/** A uniformly random stretch of `width` consecutive tokens of one text. */
const windows = (texts: ReadonlyArray<Int32Array>, width: number) => {
  let total = 0
  const ends = texts.map((text) => (total += Math.max(0, text.length - width + 1)))
  return {
    total,
    at: (place: number): Int32Array => {
      let low = 0
      let high = ends.length - 1
      while (low < high) {
        const middle = (low + high) >> 1
        if (place < ends[middle]!) high = middle
        else low = middle + 1
      }
      const start = place - (low === 0 ? 0 : ends[low - 1]!)
      return texts[low]!.subarray(start, start + width)
    }
  }
}

/**
 * Pretraining batches from documents: each row is a random stretch of a document, halved into two segments. Fails with a
 * `DataError` when opened if no document is long enough, or a row has no room for two segments.
 */
export const pretraining = (
  documents: ReadonlyArray<Document>,
  vocabulary: Vocabulary,
  options: { readonly batch: number; readonly length: number }
): Dataset.Dataset<PretrainingBatch, Dataset.DataError> => {
  const { batch, length } = options
  // Both segments have the same length: else the place of the separator would tell their order.
  const half = segmentLength(length)
  const slots = Masking.slots(length)
  const words: Masking.Words = {
    special: (id) => id === PAD || id === CLS || id === SEP,
    others: Int32Array.from({ length: vocabulary.words.length - firstWord }, (_, i) => firstWord + i),
    mask: MASK,
    padding: PAD
  }
  const keyOf = (seed: Seed.Seed, label: string) => NdArray.int32([2], Seed.fold(seed, label).key)

  const open = Effect.suspend(() => {
    const texts = documents.map((document) => encode(vocabulary, document.sentences.flat()))
    const stretches = windows(texts, 2 * half)
    if (half < 1 || stretches.total === 0) {
      const reason = `none of ${documents.length} documents holds two segments of ${half} words (length ${length})`
      const change = "give longer documents, or a length of at least 5 that they can fill"
      return Effect.fail(new Dataset.DataError({ dataset: "pretraining", reason: `${reason}: ${change}` }))
    }
    const draw = (seed: Seed.Seed) => {
      const places = Seed.integers(Seed.fold(seed, "places"), batch, stretches.total)
      const swapped = Seed.integers(Seed.fold(seed, "order"), batch, 2)
      const ids = new Int32Array(batch * length)
      for (let row = 0; row < batch; row++) {
        const stretch = stretches.at(places[row]!)
        const segments = [stretch.subarray(0, half), stretch.subarray(half)] as const
        const at = row * length
        ids[at] = CLS
        ids.set(segments[swapped[row]!]!, at + 1)
        ids[at + 1 + half] = SEP
        ids.set(segments[1 - swapped[row]!]!, at + 2 + half)
        ids[at + 2 + 2 * half] = SEP
      }
      const masked = Masking.mask(Seed.fold(seed, "mask"), ids, length, words)
      return {
        ids: NdArray.int32([batch, length], ids),
        sopLabels: NdArray.int32([batch], swapped),
        coinLabels: NdArray.int32([batch], Seed.integers(Seed.fold(seed, "coin"), batch, 2)),
        mlmIds: NdArray.int32([batch, length], masked.ids),
        mlmPositions: NdArray.int32([batch, slots], masked.positions),
        mlmTargets: NdArray.int32([batch, slots], masked.targets),
        mlmWeights: NdArray.float32([batch, slots], masked.weights),
        firstKey: keyOf(seed, "first"),
        secondKey: keyOf(seed, "second")
      }
    }
    return Effect.succeed((seed: Seed.Seed, index: number) => Effect.sync(() => draw(Seed.fold(seed, index))))
  })

  return Dataset.make("pretraining", {
    fields: {
      ids: Dataset.int32([batch, length]),
      sopLabels: Dataset.int32([batch]),
      coinLabels: Dataset.int32([batch]),
      mlmIds: Dataset.int32([batch, length]),
      mlmPositions: Dataset.int32([batch, slots]),
      mlmTargets: Dataset.int32([batch, slots]),
      mlmWeights: Dataset.float32([batch, slots]),
      firstKey: Dataset.int32([2]),
      secondKey: Dataset.int32([2])
    },
    open
  })
}

/** Labelled mini-batches in a fresh order each epoch: ids int32 [b, t] and labels int32 [b]. */
export const classification = (rows: Rows, options: { readonly batch: number }) =>
  Dataset.fromRows("classification", rows, options)

/** A batch of {@link inOrder}: of its rows the first `count` are real, the rest repeat the last row to fill it up. */
export type EvaluationBatch = Rows & { readonly count: number }

/** All rows once, in order, in batches of one shape: for evaluation. */
export const inOrder = (rows: Rows, batch: number): ReadonlyArray<EvaluationBatch> => {
  const total = rows.labels.data.length
  return Array.from({ length: Math.ceil(total / batch) }, (_, i) => {
    const indices = Int32Array.from({ length: batch }, (_, j) => Math.min(i * batch + j, total - 1))
    return {
      ids: NdArray.rows(rows.ids, indices),
      labels: NdArray.rows(rows.labels, indices),
      count: Math.min(batch, total - i * batch)
    }
  })
}
