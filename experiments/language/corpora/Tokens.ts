/** A corpus as tokens: each sentence's tokens once, in typed arrays, and where it stands in its document. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Dataset } from "tapweight"
import type { Place } from "../tasks/Task.ts"
import type { Tokenizer } from "../tokenizers/Tokenizer.ts"
import type { Corpus } from "./Corpus.ts"

type Ids = Uint16Array | Int32Array

/** The sentences of a corpus, by number from 0 in the order of their documents. */
export interface Sentences {
  readonly name: string
  readonly count: number
  readonly documents: number
  /** Tokens of all sentences. */
  readonly tokens: number
  /** Bytes that tokens and places take. */
  readonly bytes: number
  /** A sentence's tokens without special ones: a view, not to be written to. */
  readonly ids: (sentence: number) => Ids
  /** The number of a sentence's document. */
  readonly document: (sentence: number) => number
  readonly place: (sentence: number) => Place
  /** The sentences after which another of the same document stands: what pairs of neighbours begin with. */
  readonly pairs: Int32Array
}

export interface Options {
  /** Tokens that are kept of a sentence. */
  readonly longest: number
  /** Sentences that are read, from the beginning and to the end of a document; all where absent. */
  readonly most?: number
}

/** Tokens of a piece: a sentence lies in one piece whole, so that no array grows by being copied. */
const piece = 2 ** 20

/**
 * Reads a corpus. A sentence without a token is passed over. Fails with a `TableError` as the corpus does, with a `DataError` where there is no
 * sentence.
 */
export const make = Effect.fnUntraced(function* (
  corpus: Corpus,
  tokenizer: Pick<Tokenizer, "content" | "size">,
  { longest, most = Infinity }: Options
) {
  if (!Number.isInteger(longest) || longest < 1 || longest > 0xffff)
    throw new RangeError(`Sentences.make: ${longest} tokens of a sentence; give a whole number from 1 to 65535`)
  const pieces: Array<Ids> = []
  const [starts, lengths, firsts]: [Array<number>, Array<number>, Array<number>] = [[], [], []]
  let [at, tokens] = [piece, 0]
  const add = (text: string): void => {
    const all = tokenizer.content(text)
    const ids = all.length > longest ? all.slice(0, longest) : all
    if (ids.length === 0) return
    if (at + ids.length > piece) {
      pieces.push(tokenizer.size <= 0x1_0000 ? new Uint16Array(piece) : new Int32Array(piece))
      at = 0
    }
    pieces.at(-1)!.set(ids, at)
    starts.push((pieces.length - 1) * piece + at)
    lengths.push(ids.length)
    at += ids.length
    tokens += ids.length
  }
  yield* corpus.documents.pipe(
    Stream.takeUntil(() => starts.length >= most),
    Stream.runForEach((chunk) =>
      Effect.sync(() => {
        for (const { sentences } of chunk) {
          if (starts.length >= most) return
          const first = starts.length
          for (const sentence of sentences) add(sentence)
          if (starts.length > first) firsts.push(first)
        }
      })
    )
  )
  const count = starts.length
  if (count === 0) {
    const reason = "there is no sentence in it: give a text file with a sentence or a document a line"
    return yield* new Dataset.DataError({ dataset: corpus.name, reason })
  }
  const owner = new Uint32Array(count)
  for (const [document, first] of firsts.entries()) owner.fill(document, first)
  const [from, size] = [Float64Array.from(starts), Uint16Array.from(lengths)]
  const begins = Uint32Array.from([...firsts, count])
  const pairs = Int32Array.from(owner.keys()).filter((i) => i + 1 < count && owner[i] === owner[i + 1])
  const arrays = [...pieces, owner, from, size, begins, pairs]
  return {
    name: corpus.name,
    count,
    documents: firsts.length,
    tokens,
    bytes: arrays.reduce((sum, { byteLength }) => sum + byteLength, 0),
    ids: (sentence) => {
      const begin = from[sentence]! % piece
      return pieces[Math.floor(from[sentence]! / piece)]!.subarray(begin, begin + size[sentence]!)
    },
    document: (sentence) => owner[sentence]!,
    place: (sentence) => {
      const document = owner[sentence]!
      return { at: sentence - begins[document]!, of: begins[document + 1]! - begins[document]! }
    },
    pairs
  } satisfies Sentences as Sentences
})
