/** Unlabelled text as objectives read it. */

/** Sentences as tokens, without those that a row adds. */
export interface Sentences {
  /** What messages and batches call it. */
  readonly name: string
  readonly count: number
  readonly tokens: (sentence: number) => ReadonlyArray<number>
}

/** Sentences in documents. */
export interface Documents extends Sentences {
  /** The first sentence of each document, rising; the number of sentences stands at the end. */
  readonly starts: ArrayLike<number>
}

/** The document that a sentence is in, by halving. */
export const documentOf = ({ starts }: Pick<Documents, "starts">, sentence: number): number => {
  let [low, high] = [0, starts.length - 2]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (starts[middle]! <= sentence) low = middle
    else high = middle - 1
  }
  return low
}

/** The sentences after which another of the same document stands. */
export const pairs = ({ starts }: Pick<Documents, "starts">): Int32Array => {
  const last = new Set(Array.from(starts, (start) => start - 1))
  return Int32Array.from({ length: starts[starts.length - 1]! }, (_, i) => i).filter((i) => !last.has(i))
}

/** Documents of the two halves of each text, in place of neighbouring sentences; texts of one token are left out. */
export const halves = (texts: Sentences): Documents => {
  const long = Int32Array.from({ length: texts.count }, (_, i) => i).filter((i) => texts.tokens(i).length > 1)
  return {
    name: `halves of ${texts.name}`,
    count: 2 * long.length,
    tokens: (i) => {
      const whole = texts.tokens(long[i >> 1]!)
      const middle = Math.ceil(whole.length / 2)
      return i % 2 === 0 ? whole.slice(0, middle) : whole.slice(middle)
    },
    starts: Int32Array.from({ length: long.length + 1 }, (_, i) => 2 * i)
  }
}

/** Sentences of several corpora as those of one. */
export const joined = (corpora: ReadonlyArray<Documents>): Documents => {
  if (corpora.length === 1) return corpora[0]!
  const offsets = corpora.map((_, i) => corpora.slice(0, i).reduce((sum, { count }) => sum + count, 0))
  const count = corpora.reduce((sum, { count }) => sum + count, 0)
  return {
    name: corpora.map(({ name }) => name).join(", "),
    count,
    tokens: (sentence) => {
      const at = offsets.findLastIndex((offset) => offset <= sentence)
      return corpora[at]!.tokens(sentence - offsets[at]!)
    },
    starts: Int32Array.from([
      ...corpora.flatMap(({ starts }, i) => Array.from(starts, (start) => start + offsets[i]!).slice(0, -1)),
      count
    ])
  }
}
