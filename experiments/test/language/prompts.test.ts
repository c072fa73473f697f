import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { EncoderConfig, NdArray, NodeServices, Seed } from "tapweight"
import { expected, live, relative, whole } from "../../../test/support/encoders.ts"
import * as Prompt from "../../language/prompts/Prompt.ts"
import * as Prompted from "../../language/prompts/Prompted.ts"
import { prompts } from "../../language/prompts/Prompts.ts"
import * as Benchmarks from "../../language/tasks/Benchmarks.ts"
import * as Pieces from "../../language/tokenizers/Pieces.ts"
import * as Tokenizer from "../../language/tokenizers/Tokenizer.ts"
import { config, encoder, head, tokenizer } from "../support/language.ts"

const read = (kind: string, family: EncoderConfig.Family) =>
  Effect.provide(
    Tokenizer.read(
      fileURLToPath(new URL(`vectors/${kind}`, import.meta.url)),
      Result.getOrThrow(EncoderConfig.decode({ ...config.json, model_type: family }))
    ),
    NodeServices.layer
  )

const texts: ReadonlyArray<Prompt.Texts> = [
  { text: "The Fulton County Grand Jury said Friday", pair: "no evidence was found." },
  { text: "It's 3.14% (or £5), they'd say!", pair: "Two of them" },
  { text: "a", pair: "b ." },
  { text: "Café crème — naïve", pair: "was it?" }
]
const single = texts.map(({ text }) => ({ text }))
const words = ["no", "good"] as const
const templates = [
  "{text} It was {word} .",
  "{word} : {text}",
  "{text} ? {word} , {pair}",
  "{text} . {word} , I think that {pair}",
  "Say {word} of {pair} after {text}"
]
const filled = (template: string, { pair = "", text }: Prompt.Texts, word: string): string =>
  template.replace("{text}", text).replace("{pair}", pair).replace("{word}", word)
const forTemplate = (template: string) => (template.includes("{pair}") ? texts : single)
const binary = { type: "classes", names: ["a", "b"] } as const

describe("a prompt", () => {
  const kinds = { wordpiece: "bert", bytelevel: "roberta", unigram: "deberta-v2" } as const
  for (const [kind, family] of Object.entries(kinds)) {
    it.live(`${kind}: is the tokens of the whole sentence, and its mask stands where the word does`, () =>
      Effect.gen(function* () {
        const tokenizer = yield* read(kind, family)
        const mask = kind === "bytelevel" ? "<mask>" : "[MASK]"
        for (const template of templates) {
          const tokens = Prompt.make(tokenizer, { template, words }, 60)
          for (const one of forTemplate(template)) {
            // A word that begins a sentence is the token that it is after a space.
            const sentence = (word: string) => (template.startsWith("{word}") ? " " : "") + filled(template, one, word)
            for (const [i, word] of words.entries()) {
              assert.deepStrictEqual(tokens.said(one, i), tokenizer.content(sentence(word)), sentence(word))
            }
            const { position, row } = tokens.asked(one)
            assert.deepStrictEqual(row, tokenizer.encode(sentence(mask), undefined, 60))
            assert.strictEqual(row.ids[position], tokenizer.mask)
            for (const [i] of words.entries()) {
              const answered = tokenizer.row(tokens.said(one, i), undefined, 60)
              assert.deepStrictEqual(answered.ids, row.ids.with(position, tokens.words[i]!))
            }
          }
        }
      })
    )
  }

  it("cuts texts, the longer one first, and never the template", () => {
    const [long, short] = ["no good man ".repeat(30), "good"]
    for (const template of templates) {
      const tokens = Prompt.make(tokenizer, { template, words }, 24)
      const pair = template.includes("{pair}") ? { pair: short } : {}
      const { position, row } = tokens.asked({ text: long, ...pair })
      assert.strictEqual(row.ids.length, 24)
      assert.strictEqual(row.ids[position], tokenizer.mask)
      const literals = template.split(/\{[a-z]+\}/).flatMap((literal) => tokenizer.content(literal))
      for (const id of [...literals, ...tokenizer.content(pair.pair ?? "")]) assert.include(row.ids, id)
      assert.isAtMost(tokens.said({ text: long, ...pair }, 0).length, 22)
    }
  })

  it("is of a vocabulary that was cut: rows have the new numbers, contents the old ones", () => {
    const counts = new Float64Array(tokenizer.size)
    for (const id of tokenizer.content("no good it was . the")) counts[id] = 1
    const cut = Pieces.cut({ config, encoder, head, tokenizer }, counts, 400).tokenizer
    const tokens = Prompt.make(cut, { template: templates[0]!, words }, 20)
    const { position, row } = tokens.asked({ text: "the" })
    assert.strictEqual(row.ids[position], cut.mask)
    assert.deepStrictEqual(
      cut.row(tokens.said({ text: "the" }, 1), undefined, 20).ids,
      row.ids.with(position, tokens.words[1]!)
    )
    assert.strictEqual(tokens.words[1], cut.idOf("good"))
    const none = Pieces.cut({ config, encoder, head, tokenizer }, new Float64Array(tokenizer.size), 8).tokenizer
    assert.throws(() => Prompt.make(none, { template: templates[0]!, words }, 20), /'no' is no token.*keep more/)
  })

  it("says what is wrong with it", () => {
    const made = (template: string, own: readonly [string, ...Array<string>] = words, longest = 30) =>
      Prompt.make(tokenizer, { template, words: own }, longest)
    assert.throws(() => made("{text} It was ."), /lacks \{word\}: write it once/)
    assert.throws(() => made("({text}) {word}"), /has text beside \{text\}: put a space between/)
    assert.throws(() => made("{word}"), /lacks \{text\}/)
    assert.throws(() => made("{text} {word} {word}"), /has 2 times \{word\}/)
    assert.throws(() => made("{text} {word}", ["no", "zymurgy"]), /'zymurgy' is \d tokens.*one token after a space/)
    assert.throws(() => made("{text} {word}", ["no", "No"]), /'no' and 'No' are one token/)
    assert.throws(() => made("{text} {word}", ["no", "[SEP]"]), /'\[SEP\]' is no token/)
    assert.throws(() => made("{text} it was {word} .", words, 6), /no room for text in rows of 6 tokens/)
    assert.throws(
      () => made("{text} {word}").asked({ text: "a", pair: "b" }),
      /lacks \{pair\}, and texts come in pairs/
    )
    assert.throws(() => made("{text} {word} {pair}").asked({ text: "a" }), /has \{pair\}, and a text has no second one/)
  })

  it("is there for the benchmark's tasks, a word for each class and places for their texts", () => {
    const without = Benchmarks.all.filter(({ name }) => prompts[name] === undefined).map(({ name }) => name)
    // Thirteen relations of molecules and proteins have no words that are one token each.
    assert.deepStrictEqual(without, ["chemprot"])
    for (const { forms, labels, name } of Benchmarks.all.filter(({ name }) => name !== "chemprot")) {
      const { template, words } = prompts[name]!
      assert.strictEqual(words.length, labels?.length ?? 2, name)
      assert.strictEqual(template.includes("{pair}"), forms[0]!.pair !== undefined, name)
    }
  })
})

describe("answers to prompts", () => {
  for (const name of ["bert", "bert-untied", "roberta", "deberta-v2"]) {
    it.live(`${name}: are transformers' logits of the words where the word is hidden`, () =>
      Effect.gen(function* () {
        const { config, encoder, masked } = yield* whole(name)
        const want = expected(name)
        const { data: logits, shape } = want.get("logits")!
        const [rows, length, vocabulary] = shape as [number, number, number]
        const words = Int32Array.of(5, 17, 9)
        const positions = Int32Array.of(3, 0, 2)
        tf.tidy(() => {
          const [ids, types] = ["ids", "types"].map((key) => live({ x: want.get(key)! }).x as tf.Tensor2D)
          const answers = Prompted.answers(
            { config },
            words,
            { encoder: live(encoder), masked: live(masked) },
            {
              ids: ids!,
              types: types!,
              positions: tf.tensor1d(positions, "int32")
            }
          )
          assert.deepStrictEqual(answers.shape, [rows, words.length])
          const wanted = Array.from({ length: rows }, (_, row) =>
            Array.from(words, (word) => logits[(row * length + positions[row]!) * vocabulary + word]!)
          ).flat()
          assert.isAtMost(relative(answers.dataSync(), wanted), 1e-5)
        })
      })
    )
  }

  it("of classes are learned by cross-entropy, of scores by the divergence of two words' shares", () => {
    tf.tidy(() => {
      const answers = tf.tensor2d([
        [2, 0.5],
        [-1, 1]
      ])
      const shares = [
        [Math.exp(2), Math.exp(0.5)],
        [Math.exp(-1), Math.exp(1)]
      ].map((row) => row.map((x) => x / (row[0]! + row[1]!)))
      const classes = Prompted.lossOf(binary, answers, tf.tensor1d([1, 0], "int32")).dataSync()[0]!
      assert.approximately(classes, -(Math.log(shares[0]![1]!) + Math.log(shares[1]![0]!)) / 2, 1e-6)
      const scores = [0.2, 0.9]
      const entropy = (p: number) => -(p * Math.log(p) + (1 - p) * Math.log(1 - p))
      const divergence = scores.map((y, i) => {
        const [low, high] = shares[i] as [number, number]
        return y * Math.log(y / high) + (1 - y) * Math.log((1 - y) / low)
      })
      const kind = { type: "score", range: [0, 5] } as const
      const loss = Prompted.lossOf(kind, answers, tf.tensor1d(scores)).dataSync()[0]!
      const wanted = (divergence[0]! + divergence[1]! + entropy(0.2) + entropy(0.9)) / 2
      assert.approximately(loss, wanted, 1e-6)
      const host = NdArray.float32([2, 2], answers.dataSync() as Float32Array)
      assert.deepStrictEqual(Prompted.predictions(binary, host), [0, 1])
      for (const [i, y] of Prompted.predictions(kind, host).entries()) assert.approximately(y, shares[i]![1]!, 1e-6)
      assert.deepStrictEqual(
        [0, 0.49, 0.5, 1].map((y) => Prompted.wordOf(kind, y)),
        [0, 0, 1, 1]
      )
    })
  })

  it.live("come in batches whose places are those of their masks", () =>
    Effect.gen(function* () {
      const setting = { config, tokenizer, batch: 3, length: 20, pooling: "mean" } as const
      const tokens = Prompt.make(tokenizer, { template: templates[0]!, words }, 20)
      const own = { texts: single, labels: [0, 1, 1, 0] }
      const sample = yield* Prompted.batches("prompts", setting, tokens, own, binary).open
      const seen = new Set<string>()
      for (let i = 0; i < 8; i++) {
        const { ids, labels, positions } = yield* sample(Seed.make(2), i)
        assert.deepStrictEqual(ids!.shape, [3, 20])
        for (let row = 0; row < 3; row++) {
          const tokens = Array.from(ids!.data.slice(row * 20, (row + 1) * 20))
          assert.strictEqual(tokens[positions!.data[row]!], tokenizer.mask)
          assert.strictEqual(tokens.filter((id) => id === tokenizer.mask).length, 1)
          const of = single.findIndex(
            (texts) =>
              `${Prompt.make(tokenizer, { template: templates[0]!, words }, 20).asked(texts).row.ids}` ===
              `${tokens.filter((id) => id !== tokenizer.padding)}`
          )
          assert.strictEqual(labels!.data[row], own.labels[of])
          seen.add(`${tokens}`)
        }
      }
      assert.strictEqual(seen.size, single.length)
      const lines = Prompted.sentences("lines", tokens, own, binary)
      assert.deepStrictEqual(lines.ids(1), tokens.said(single[1]!, 1))
    }).pipe(Effect.scoped)
  )
})
