/** Encoders cut to the most frequent tokens of a corpus: a small one spends most of its time on a vocabulary that it never meets. */
import { type Encoder, type EncoderConfig, type MaskedHead, NdArray } from "tapweight"
import type { Tokenizer } from "./Tokenizer.ts"

/** An encoder with the tokenizer that writes its rows. */
export interface Pieces {
  readonly config: EncoderConfig.EncoderConfig
  readonly tokenizer: Tokenizer
  readonly encoder: Encoder.HostParams
  readonly head: MaskedHead.HostParams | undefined
  /** The share of the corpus that is read as the unknown token because of the cut. */
  readonly unknown: number
  /** The encoder with all its tokens: those that were kept as they are now, the others as they were. */
  readonly whole: (
    encoder: Encoder.HostParams,
    head: MaskedHead.HostParams | undefined
  ) => { readonly encoder: Encoder.HostParams; readonly head: MaskedHead.HostParams | undefined }
}

const mapped = (
  { encoder, head }: Pick<Pieces, "encoder" | "head">,
  rows: <A extends NdArray.NdArray>(array: A, of: "words" | "bias" | "decoder") => A
): Pick<Pieces, "encoder" | "head"> => ({
  encoder: {
    ...encoder,
    embeddings: { ...encoder.embeddings, words: rows(encoder.embeddings.words, "words") }
  },
  head:
    head === undefined
      ? undefined
      : {
          ...head,
          bias: rows(head.bias, "bias"),
          ...(head.decoder === undefined ? {} : { decoder: rows(head.decoder, "decoder") })
        }
})

/** How often each token stands in texts. */
export const counts = (
  { size }: Pick<Tokenizer, "size">,
  texts: Iterable<{ readonly count: number; readonly ids: (sentence: number) => ArrayLike<number> }>
): Float64Array => {
  const of = new Float64Array(size)
  for (const { count, ids } of texts) {
    for (let i = 0; i < count; i++) for (const id of Array.from(ids(i))) of[id]! += 1
  }
  return of
}

/**
 * Keeps `size` tokens: special ones and the unknown one, then the most frequent; equally frequent ones by number. Contents keep the numbers
 * that they had, so that texts are tokenized once; rows have the new ones. Throws a `RangeError` where the tokenizer has no unknown token, or
 * `size` leaves no room beside special ones.
 */
export const cut = (
  { config, encoder, head, tokenizer }: Pick<Pieces, "config" | "encoder" | "head" | "tokenizer">,
  counts: ArrayLike<number>,
  size: number
): Pieces => {
  if (size >= tokenizer.size) {
    return { config, encoder, head, tokenizer, unknown: 0, whole: (encoder, head) => ({ encoder, head }) }
  }
  const unknown = tokenizer.idOf("[UNK]") ?? tokenizer.idOf("<unk>")
  if (unknown === undefined) {
    throw new RangeError("the tokenizer has no unknown token, which others could be read as: keep the whole vocabulary")
  }
  const special = new Set([...tokenizer.special, tokenizer.mask, unknown])
  const others = Array.from({ length: tokenizer.size }, (_, id) => id)
    .filter((id) => !special.has(id))
    .sort((a, b) => counts[b]! - counts[a]! || a - b)
  const room = size - special.size
  if (room < 1) {
    throw new RangeError(`a vocabulary of ${size} tokens leaves no room beside ${special.size} special ones: give more`)
  }
  const kept = [...special, ...others.slice(0, room)].sort((a, b) => a - b)
  const numbers = new Map(kept.map((id, i) => [id, i]))
  const numbered = (id: number): number => numbers.get(id) ?? numbers.get(unknown)!
  const sum = (ids: ReadonlyArray<number>): number => ids.reduce((total, id) => total + counts[id]!, 0)
  const row: Tokenizer["row"] = (first, second, longest) => {
    const { ids, types } = tokenizer.row(first, second, longest)
    return { ids: ids.map(numbered), types }
  }
  return {
    config: { ...config, vocabulary: kept.length, padding: numbered(config.padding) },
    ...mapped({ encoder, head }, (array) => NdArray.rows(array, kept) as typeof array),
    tokenizer: {
      ...tokenizer,
      size: kept.length,
      padding: numbered(tokenizer.padding),
      mask: numbered(tokenizer.mask),
      special: new Set([...tokenizer.special].map(numbered)),
      idOf: (token) => {
        const id = tokenizer.idOf(token)
        return id === undefined ? undefined : numbers.get(id)
      },
      row,
      encode: (text, pair, longest) =>
        row(tokenizer.content(text), pair === undefined ? undefined : tokenizer.content(pair), longest)
    },
    unknown: sum(others.slice(room)) / Math.max(1, sum(others)),
    whole: (now, nowHead) => {
      const before = {
        words: encoder.embeddings.words,
        bias: head?.bias ?? nowHead?.bias,
        decoder: head?.decoder ?? nowHead?.decoder
      }
      return mapped({ encoder: now, head: nowHead }, (array, of) => {
        const whole = before[of]!
        const data = whole.data.slice()
        const width = data.length / whole.shape[0]!
        for (const [i, id] of kept.entries()) data.set(array.data.subarray(i * width, (i + 1) * width), id * width)
        return { ...whole, data } as unknown as typeof array
      })
    }
  }
}
