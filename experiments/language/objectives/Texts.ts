/** Unlabelled text as objectives read it. */

/** Sentences as tokens, without those that a row adds. */
export interface Sentences {
  /** What messages and batches call it. */
  readonly name: string
  readonly count: number
  readonly ids: (sentence: number) => ArrayLike<number>
}

/** Sentences in documents. */
export interface Documents extends Sentences {
  /** Where a sentence stands in its document: `at` from 0, of so many. */
  readonly place: (sentence: number) => { readonly at: number; readonly of: number }
  /** The sentences after which another of the same document stands. */
  readonly pairs: Int32Array
}

/** The tokens of a sentence. */
export const tokensOf = ({ ids }: Sentences, sentence: number): ReadonlyArray<number> => Array.from(ids(sentence))

/** Documents of the two halves of each text, in place of neighbouring sentences; texts of one token are left out. */
export const halves = (texts: Sentences): Documents => {
  const long = Int32Array.from({ length: texts.count }, (_, i) => i).filter((i) => texts.ids(i).length > 1)
  return {
    name: `halves of ${texts.name}`,
    count: 2 * long.length,
    ids: (i) => {
      const whole = tokensOf(texts, long[i >> 1]!)
      const middle = Math.ceil(whole.length / 2)
      return i % 2 === 0 ? whole.slice(0, middle) : whole.slice(middle)
    },
    place: (i) => ({ at: i % 2, of: 2 }),
    pairs: long.map((_, i) => 2 * i)
  }
}

/** Sentences of several corpora as those of one. */
export const joined = (corpora: ReadonlyArray<Documents>): Documents => {
  if (corpora.length === 1) return corpora[0]!
  const offsets = corpora.map((_, i) => corpora.slice(0, i).reduce((sum, { count }) => sum + count, 0))
  const of = <A>(sentence: number, read: (corpus: Documents, sentence: number) => A): A => {
    const at = offsets.findLastIndex((offset) => offset <= sentence)
    return read(corpora[at]!, sentence - offsets[at]!)
  }
  return {
    name: corpora.map(({ name }) => name).join(", "),
    count: corpora.reduce((sum, { count }) => sum + count, 0),
    ids: (sentence) => of(sentence, ({ ids }, own) => ids(own)),
    place: (sentence) => of(sentence, ({ place }, own) => place(own)),
    pairs: Int32Array.from(corpora.flatMap(({ pairs }, i) => Array.from(pairs, (pair) => pair + offsets[i]!)))
  }
}
