/** Genres of the Brown corpus as domains: word frequencies of parts of their documents, and passages as counts of words. */
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { NdArray, Optimizer, Seed, Tree } from "tapweight"
import * as Brown from "../../brown/Corpus.ts"

/** Domains, by the corpus' names. */
export const domains = ["news", "religion", "hobbies", "learned", "romance"] as const
/** Words that are told apart: the most frequent but for the first 50, which all domains share. */
export const words = 1000

/** Which sentences of fifteen documents of a genre, drawn by the seed: those whose place is one of these, modulo four. */
export interface Part {
  readonly seed: number
  readonly places: ReadonlyArray<number>
}

/** Once for the process. */
let known: { readonly documents: ReadonlyArray<Brown.Document>; readonly ids: ReadonlyMap<string, number> } | undefined
const corpus = Effect.gen(function* () {
  if (known !== undefined) return known
  const documents = yield* Brown.corpus
  const counts = new Map<string, number>()
  for (const { sentences } of documents) {
    for (const word of sentences.flat()) counts.set(word.toLowerCase(), (counts.get(word.toLowerCase()) ?? 0) + 1)
  }
  const most = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(50, 50 + words)
  return (known = { documents, ids: new Map(most.map(([word], id) => [word, id])) })
})

/** Known words of each document in a genre's part, as ids. */
export const documents = (genre: string, { places, seed }: Part) =>
  Effect.map(corpus, ({ documents, ids }) => {
    const own = documents.filter((each) => each.genre === genre)
    const order = Seed.permutation(Seed.fold(Seed.fold(Seed.make(seed), "documents"), genre), own.length)
    return Array.from(order.slice(0, 15), (at) =>
      own[at]!.sentences.filter((_, i) => places.includes(i % 4)).flatMap((sentence) =>
        sentence.flatMap((word) => ids.get(word.toLowerCase()) ?? [])
      )
    )
  })

/** How often each known word stands in a part of a genre; all sum to 1. */
export const frequencies = (genre: string, part: Part) =>
  Effect.map(documents(genre, part), (texts) => {
    const [found, all] = [new Float64Array(words), texts.flat()]
    for (const id of all) found[id]! += 1 / all.length
    return found
  })

/** The cross-entropy of word frequencies [n, words] under logits of words: [n]. */
export const losses = (logits: tf.Tensor1D, frequencies: tf.Tensor2D): tf.Tensor1D =>
  tf.sub(tf.logSumExp(logits), tf.reshape(tf.matMul(frequencies, tf.reshape(logits, [words, 1])), [-1])) as tf.Tensor1D

/** The same of one row, in double precision. */
export const lossOf = (logits: ArrayLike<number>, frequencies: ArrayLike<number>): number => {
  const all = Array.from(logits)
  const log = Math.log(all.reduce((sum, each) => sum + Math.exp(each), 0))
  return all.reduce((sum, each, i) => sum + frequencies[i]! * (log - each), 0)
}

/** Rows [n, words] of frequencies. */
export const stacked = (rows: ReadonlyArray<Float64Array>) =>
  NdArray.float32([rows.length, words], Float32Array.from(rows.flatMap((row) => [...row])))

/** Shares w to w exp(−ηg) over their sum, then to (1 − c) w + c / n. */
export const mirror = (rate: number, smoothing = 1e-3) =>
  Optimizer.make({
    name: `mirror(${rate}, ${smoothing})`,
    init: () => ({}),
    update: (gradients, state, shares) => [
      Tree.zipWith(gradients, shares, (g, w) => {
        const raised = tf.softmax(tf.sub(tf.log(w), tf.mul(rate, g)))
        return tf.add(tf.mul(1 - smoothing, raised), smoothing / w.size)
      }),
      state
    ]
  })
