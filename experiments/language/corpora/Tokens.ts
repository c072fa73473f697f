/** A corpus as tokens: each sentence's tokens once, in typed arrays. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Dataset } from "tapweight"
import * as Input from "../../common/Input.ts"
import type { Documents } from "../objectives/Texts.ts"
import type { Tokenizer } from "../tokenizers/Tokenizer.ts"
import type { Corpus } from "./Corpus.ts"

/** A corpus that objectives read. */
export interface Tokens extends Documents {
  readonly documents: number
  /** A sentence's tokens without special ones: a view, not to be written to. */
  readonly ids: (sentence: number) => Uint16Array | Int32Array
  /** Bytes that its tokens and their places take. */
  readonly bytes: number
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
 * Reads a corpus. A sentence without a token is passed over. Fails with a `TableError` as the corpus does, with a `DataError` where there
 * is no sentence; throws a `RangeError` on a length that is none.
 */
export const read = Effect.fnUntraced(function* (
  { documents, name }: Corpus,
  tokenizer: Pick<Tokenizer, "content" | "size">,
  { longest, most = Infinity }: Options
) {
  if (!Number.isInteger(longest) || longest < 1 || longest > 0xffff)
    throw new RangeError(`Tokens.read: ${longest} tokens of a sentence; give a whole number from 1 to 65535`)
  const pieces: Array<Uint16Array | Int32Array> = []
  const [begins, lengths, firsts]: [Array<number>, Array<number>, Array<number>] = [[], [], []]
  let at = piece
  const add = (text: string): void => {
    const ids = tokenizer.content(text).slice(0, longest)
    if (ids.length === 0) return
    if (at + ids.length > piece) {
      pieces.push(tokenizer.size <= 0x1_0000 ? new Uint16Array(piece) : new Int32Array(piece))
      at = 0
    }
    pieces.at(-1)!.set(ids, at)
    begins.push((pieces.length - 1) * piece + at)
    lengths.push(ids.length)
    at += ids.length
  }
  yield* documents.pipe(
    Stream.takeUntil((chunk) => {
      for (const { sentences } of chunk) {
        if (begins.length >= most) break
        const first = begins.length
        for (const sentence of sentences) add(sentence)
        if (begins.length > first) firsts.push(first)
      }
      return begins.length >= most
    }),
    Stream.runDrain
  )
  const count = begins.length
  if (count === 0) {
    const reason = "there is no sentence in it: give a text with a sentence or a document a line"
    return yield* new Dataset.DataError({ dataset: name, reason })
  }
  const [from, size, starts, owner] = [
    Float64Array.from(begins),
    Uint16Array.from(lengths),
    Uint32Array.from([...firsts, count]),
    new Uint32Array(count)
  ]
  for (const [document, first] of firsts.entries()) owner.fill(document, first)
  const pairs = Int32Array.from(owner.keys()).filter((i) => i + 1 < count && owner[i] === owner[i + 1])
  return {
    name,
    count,
    documents: firsts.length,
    ids: (sentence) => {
      const begin = from[sentence]! % piece
      return pieces[Math.floor(from[sentence]! / piece)]!.subarray(begin, begin + size[sentence]!)
    },
    place: (sentence) => {
      const [first, end] = [starts[owner[sentence]!]!, starts[owner[sentence]! + 1]!]
      return { at: sentence - first, of: end - first }
    },
    pairs,
    bytes: [...pieces, from, size, starts, owner, pairs].reduce((sum, { byteLength }) => sum + byteLength, 0)
  } satisfies Tokens as Tokens
})

/** What a manifest says of the files that a corpus was read from. Fails with a `RunFileError` where one cannot be read. */
export const input = ({ files, licence, name }: Corpus, { count, documents }: Pick<Tokens, "count" | "documents">) =>
  Input.ofFiles({
    name,
    version: null,
    files,
    licence,
    read: count,
    dropped: [],
    split: { rule: "unlabelled text", rows: { sentences: count, documents } }
  })
