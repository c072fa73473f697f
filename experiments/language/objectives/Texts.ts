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
