import { assert, describe, it } from "@effect/vitest"
import * as Vocabulary from "../../text/Vocabulary.ts"

const texts = [
  {
    sentences: [
      ["The", "cat", "sat"],
      ["the", "DOG", "sat"]
    ]
  },
  { sentences: [["a", "the"]] }
]

describe("Vocabulary", () => {
  it("holds special tokens, then words by frequency, ties in alphabetic order", () => {
    const { words } = Vocabulary.make(texts, 100)
    assert.deepStrictEqual(words.slice(Vocabulary.firstWord), ["the", "sat", "a", "cat", "dog"])
    assert.strictEqual(words[Vocabulary.PAD], "[PAD]")
    assert.strictEqual(words[Vocabulary.MASK], "[MASK]")
    assert.deepStrictEqual(words, Vocabulary.make(texts.toReversed(), 100).words)
  })

  it("keeps to its size; other words are unknown", () => {
    const vocabulary = Vocabulary.make(texts, 7)
    assert.strictEqual(vocabulary.words.length, 7)
    assert.deepStrictEqual([...Vocabulary.encode(vocabulary, ["Sat", "The", "cat", "new"])], [6, 5, 1, 1])
  })
})
