import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Seed } from "tapweight"
import * as Brown from "../../brown/Corpus.ts"
import * as Passages from "../../text/Passages.ts"
import { partsOf } from "../support/parts.ts"
import * as Vocabulary from "../../text/Vocabulary.ts"

const documents = await Effect.runPromise(Brown.corpus.pipe(Effect.provide(NodeServices.layer)))
const seed = Seed.make(7)
const shares = { validation: 0.2, test: 0.2 }
const split = Passages.split(seed, documents, shares)
const { test, train, validation } = partsOf(split)
const vocabulary = Vocabulary.make(split.unlabelled, 2000)
const idsOf = (part: ReadonlyArray<Brown.Document>) => part.map((document) => document.id)

describe("Passages.split", () => {
  it("puts every document into exactly one part", () => {
    const all = [...idsOf(train), ...idsOf(validation), ...idsOf(test)]
    assert.deepStrictEqual(all.sort(), idsOf(documents))
  })

  it("lets no test document into what pretraining sees", () => {
    const tested = new Set(idsOf(test))
    assert.strictEqual(split.unlabelled.length, 500 - tested.size)
    assert.isFalse(idsOf(split.unlabelled).some((id) => tested.has(id)))
  })

  it("is stratified: each genre is split by the same shares", () => {
    for (const genre of Brown.genreNames) {
      const count = (part: ReadonlyArray<Brown.Document>) => part.filter((document) => document.genre === genre).length
      const expected = Math.round(0.2 * count(documents))
      assert.deepStrictEqual([count(validation), count(test)], [expected, expected])
    }
  })

  it("is a function of the seed", () => {
    assert.deepStrictEqual(idsOf(partsOf(Passages.split(seed, documents, shares)).test), idsOf(test))
    assert.notDeepEqual(idsOf(partsOf(Passages.split(Seed.fold(seed, 1), documents, shares)).test), idsOf(test))
  })
})

describe("Passages.labelled", () => {
  const length = 32

  it.effect("gives the same number of full rows to each genre", () =>
    Effect.gen(function* () {
      const { ids, labels } = yield* Passages.labelled(seed, vocabulary, split.train, { length, perGenre: 4 })
      assert.deepStrictEqual([ids.shape, labels.shape], [[60, length], [60]])
      assert.deepStrictEqual(
        [...labels.data],
        Array.from({ length: 60 }, (_, i) => Math.floor(i / 4))
      )
      for (let row = 0; row < 60; row++) {
        const tokens = [...ids.data.subarray(row * length, (row + 1) * length)]
        assert.deepStrictEqual([tokens[0], tokens.at(-1)], [Vocabulary.CLS, Vocabulary.SEP])
        assert.isTrue(tokens.slice(1, -1).every((id) => id === Vocabulary.UNK || id >= Vocabulary.firstWord))
      }
      const rows = new Set(
        Array.from({ length: 60 }, (_, row) => ids.data.subarray(row * length, (row + 1) * length).join())
      )
      assert.strictEqual(rows.size, 60)
    })
  )

  it.effect("rows start with a sentence and run on through the next", () =>
    Effect.gen(function* () {
      const sentences = [["a"], ["b", "c"], ["d", "e", "f"], ["g"], ["h", "i", "j", "k"]]
      const text = [{ id: "ca01", genre: "news", sentences }]
      const words = Vocabulary.make(text, 100)
      const { ids } = yield* Passages.labelled(seed, words, text, { length: 6, perGenre: 2 })
      const rows = [0, 6].map((at) => Array.from(ids.data.subarray(at, at + 6), (id) => words.words[id]).join(" "))
      assert.deepStrictEqual(rows.sort(), ["[CLS] a b c d [SEP]", "[CLS] g h i j [SEP]"])
    })
  )

  it.effect("says what to change where a genre holds too few", () =>
    Effect.gen(function* () {
      const options = { length: 128, perGenre: 100_000 }
      const error = yield* Effect.flip(Passages.labelled(seed, vocabulary, test, options))
      assert.match(error.message, /9 documents of genre 'news' hold \d+ passages of 128 tokens.*ask for fewer/)
    })
  )
})
