/** Words as numbers: word-level, lower case, five special tokens first. */

/** Padding: fills a row up and is never attended to. */
export const PAD = 0
/** A word outside the vocabulary. */
export const UNK = 1
/** Stands first in every row. */
export const CLS = 2
/** Ends a segment. */
export const SEP = 3
/** Stands in for a hidden word. */
export const MASK = 4

const specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const

/** Number of special tokens: ids of words start here. */
export const firstWord = specials.length

/** Words by id, and ids by word. */
export interface Vocabulary {
  readonly words: ReadonlyArray<string>
  readonly ids: ReadonlyMap<string, number>
}

type Text = { readonly sentences: ReadonlyArray<ReadonlyArray<string>> }

/**
 * The most frequent words of these texts, so many that with the special tokens there are at most `size`. Equally frequent
 * words stand in alphabetic order (of code units), so the result does not depend on the order of the texts.
 */
export const make = (texts: ReadonlyArray<Text>, size: number): Vocabulary => {
  const counts = new Map<string, number>()
  for (const { sentences } of texts) {
    for (const sentence of sentences) {
      for (const printed of sentence) {
        const word = printed.toLowerCase()
        counts.set(word, (counts.get(word) ?? 0) + 1)
      }
    }
  }
  const ranked = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([word]) => word)
  const words = [...specials, ...ranked.slice(0, Math.max(0, size - firstWord))]
  return { words, ids: new Map(words.map((word, id) => [word, id])) }
}

/** Ids of words; words that the vocabulary lacks become {@link UNK}. */
export const encode = ({ ids }: Vocabulary, words: ReadonlyArray<string>): Int32Array =>
  Int32Array.from(words, (word) => ids.get(word.toLowerCase()) ?? UNK)
