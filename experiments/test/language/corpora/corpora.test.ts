import { join } from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { NodeServices } from "tapweight"
import { present, shared } from "../../../../test/support/shared.ts"
import * as Corpus from "../../../language/corpora/Corpus.ts"
import * as TextFiles from "../../../language/corpora/TextFiles.ts"
import * as Tokens from "../../../language/corpora/Tokens.ts"
import { folderOf, parquet } from "../../support/files.ts"

type Bytes = string | Uint8Array

const documentsOf = (path: string, options: TextFiles.Options = {}) =>
  Effect.gen(function* () {
    const { documents } = yield* TextFiles.corpus(path, options)
    const chunks = yield* Stream.runCollect(documents)
    return chunks.flat().map(({ sentences }) => sentences)
  })

const reading = (name: string, content: Bytes, options: TextFiles.Options = {}) =>
  Effect.flatMap(folderOf({ [name]: content }), (folder) => documentsOf(join(folder, name), options))

const text = "One sentence.\nAnother one.\n\nA second document.\n\n\nA third.\nIts end.\n"
const [one, two, three] = [["One sentence.", "Another one."], ["A second document."], ["A third.", "Its end."]]

layer(NodeServices.layer)("corpora out of files", (it) => {
  const forms: ReadonlyArray<readonly [string, string, Bytes]> = [
    ["plain", "a.txt", text],
    ["gzipped", "a.txt.gz", gzipSync(text)],
    ["gzipped and called otherwise", "a.raw", gzipSync(text)],
    ["marked, with CRLF", "a.txt", `\ufeff${text.replaceAll("\n", "\r\n")}`],
    ["without an end to its last line", "a.txt", text.trimEnd()],
    ["ended by white space between documents", "a.txt", text.replaceAll("\n\n", "\n \t\n")],
    [
      "JSONL of lists",
      "a.jsonl",
      [one, two, three].map((sentences) => `${JSON.stringify({ id: 1, sentences })}\n`).join("")
    ]
  ]
  for (const [what, name, content] of forms) {
    it.effect(`reads documents that are ${what}`, () =>
      Effect.map(reading(name, content), (documents) => assert.deepStrictEqual(documents, [one, two, three]))
    )
  }

  it.effect("only LF and CRLF end a line", () =>
    Effect.gen(function* () {
      const odd = "a\u2028b\u0085c\u000cd\re"
      assert.deepStrictEqual(yield* reading("a.txt", `${odd}\nf\n`), [[odd, "f"]])
    })
  )

  it.effect("a line is a document, or stands alone", () =>
    Effect.gen(function* () {
      const lines = "It is 3.5 metres long. Is it? Yes!\n\nHe left.\n"
      const documents = yield* reading("a.txt", lines, { unit: "document" })
      assert.deepStrictEqual(documents, [["It is 3.5 metres long.", "Is it?", "Yes!"], ["He left."]])
      const alone = yield* reading("a.txt", lines, { unit: "alone" })
      assert.deepStrictEqual(alone, [["It is 3.5 metres long. Is it? Yes!"], ["He left."]])
    })
  )

  it.effect("lines that no blank line parts are documents of a bounded number of sentences", () =>
    Effect.gen(function* () {
      const lines = Array.from({ length: 2 * TextFiles.longest + 3 }, (_, i) => `s${i}`)
      const documents = yield* reading("a.txt", lines.join("\n"))
      assert.deepStrictEqual(
        documents.map(({ length }) => length),
        [TextFiles.longest, TextFiles.longest, 3]
      )
      assert.deepStrictEqual(documents.flat(), lines)
    })
  )

  it.effect("columns of text come out of JSONL, CSV, TSV and Parquet alike", () =>
    Effect.gen(function* () {
      const texts = ['A, and "b".', "Grüße aus Köln.", "x"]
      const csv = `id,text\n${texts.map((t, i) => `${i},"${t.replaceAll('"', '""')}"`).join("\n")}\n`
      const columns = { text: texts, id: [1, 2, 3] }
      const contents: { readonly [name: string]: Bytes } = {
        "a.jsonl": texts.map((t) => JSON.stringify({ text: t })).join("\n"),
        "a.csv": csv,
        "a.tsv.gz": gzipSync(`text\n${texts.join("\n")}\n`),
        "snappy.parquet": parquet(columns),
        "plain.parquet": parquet(columns, { codec: "UNCOMPRESSED" }),
        "gzip.parquet": parquet(columns, { codec: "GZIP", compressors: { GZIP: (b: Uint8Array) => gzipSync(b) } }),
        "zstd.parquet": parquet(columns, {
          codec: "ZSTD",
          compressors: { ZSTD: (b: Uint8Array) => zstdCompressSync(b) }
        }),
        "brotli.parquet": parquet(columns, {
          codec: "BROTLI",
          compressors: { BROTLI: (b: Uint8Array) => brotliCompressSync(b) }
        }),
        "groups.parquet": parquet(columns, { rowGroupSize: 2 })
      }
      for (const [name, content] of Object.entries(contents))
        assert.deepStrictEqual(
          yield* reading(name, content),
          texts.map((t) => [t]),
          name
        )
    })
  )

  it.effect("a folder's files are read in the order of their numbers", () =>
    Effect.gen(function* () {
      const documents = yield* Effect.flatMap(
        folderOf({ "wiki_10.txt": "c", "wiki_2.txt": "b\n", "wiki_1.txt.gz": gzipSync("a\n") }),
        (folder) => documentsOf(folder)
      )
      assert.deepStrictEqual(documents, [["a"], ["b"], ["c"]])
    })
  )

  const bad: ReadonlyArray<readonly [string, string, Bytes, string, RegExp]> = [
    ["half a gzip file", "a.txt.gz", gzipSync(text.repeat(99)).subarray(0, 60), "truncated", /cut short or damaged/],
    ["Latin-1", "a.txt", Buffer.from("fine\ncaf\u00e9\n", "latin1"), "encoding", /a.txt, line 2: it is not UTF-8/],
    ["UTF-16", "a.txt", Buffer.from("\ufefftext\n", "utf16le"), "encoding", /UTF-16: save it as UTF-8/],
    ["a JSON array", "a.jsonl", '[{"text": "a"}]', "row", /line 1: the line is a JSON array/],
    ["broken JSON", "a.jsonl", '{"text": "a"}\n{"text": \n', "row", /line 2: the line is no JSON/],
    [
      "a text that is a number",
      "a.jsonl",
      '{"text": 7}',
      "value",
      /line 1: a text or a list of texts is wanted, and there is 7/
    ],
    [
      "no column of text",
      "a.csv",
      "id,body\n1,a\n",
      "column",
      /no column 'text' or 'sentence' or .*there are 'id', 'body'/
    ],
    [
      "half a Parquet file",
      "a.parquet",
      parquet({ text: ["a"] }).subarray(0, 40),
      "unreadable",
      /no Parquet file, cut short/
    ],
    [
      "text that is called Parquet",
      "a.parquet",
      "text\nof some length, and no magic\n",
      "unreadable",
      /no Parquet file/
    ]
  ]
  for (const [what, name, content, problem, message] of bad) {
    it.effect(`refuses ${what}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(reading(name, content))
        assert.strictEqual(error._tag === "TableError" ? error.problem : error._tag, problem)
        assert.match(error.message, message)
      })
    )
  }

  it.effect("says that a file is not there", () =>
    Effect.map(Effect.flip(documentsOf("/nowhere/wiki.txt")), (error) =>
      assert.match(error.message, /^\/nowhere\/wiki.txt: there is no such file/)
    )
  )
})

/** What the process holds once what nobody refers to is collected. */
const settled = (): NodeJS.MemoryUsage => {
  setFlagsFromString("--expose-gc")
  ;(runInNewContext("gc") as () => void)()
  return process.memoryUsage()
}

/** Words are numbers already. */
const numbers = { size: 30_000, content: (sentence: string) => sentence.split(" ").filter(Boolean).map(Number) }

describe("a corpus as tokens", () => {
  const word = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 29_999 }))
  const documents = Arbitrary.array(
    Arbitrary.array(Arbitrary.array(Arbitrary.schema(word), { maxLength: 9 }), { minLength: 1, maxLength: 5 }),
    { minLength: 1, maxLength: 8 }
  )
  it.effect.prop(
    "each sentence has the tokens that the tokenizer gives, cut, and each document its sentences; one without tokens is none",
    { documents },
    ({ documents }) =>
      Effect.gen(function* () {
        const corpus = Corpus.ofDocuments(
          "made",
          documents.map((sentences) => ({ sentences: sentences.map((words) => words.join(" ")) }))
        )
        const kept = documents
          .map((sentences) => sentences.filter(({ length }) => length > 0))
          .filter(({ length }) => length > 0)
        if (kept.length === 0) {
          const error = yield* Effect.flip(Tokens.read(corpus, numbers, { longest: 6 }))
          return assert.match(error.message, /no sentence in it/)
        }
        const tokens = yield* Tokens.read(corpus, numbers, { longest: 6 })
        const sentences = kept.flatMap((own) => own.map((words, at) => ({ words, place: { at, of: own.length } })))
        for (const [i, { place, words }] of sentences.entries()) {
          assert.deepStrictEqual(Array.from(tokens.ids(i)), words.slice(0, 6))
          assert.deepStrictEqual(tokens.place(i), place)
        }
        assert.deepStrictEqual(
          [...tokens.pairs],
          sentences.flatMap(({ place: { at, of } }, i) => (at + 1 < of ? [i] : []))
        )
        assert.strictEqual(tokens.documents, kept.length)
        assert.strictEqual(tokens.count, kept.flat().length)
      }),
    { arbitrary: { runs: 100, seed: 1 } }
  )

  it.effect("a large vocabulary keeps its numbers", () =>
    Effect.gen(function* () {
      const corpus = Corpus.ofDocuments("made", [{ sentences: ["128099 0 65536"] }])
      const tokens = yield* Tokens.read(corpus, { ...numbers, size: 128_100 }, { longest: 9 })
      assert.deepStrictEqual(Array.from(tokens.ids(0)), [128_099, 0, 65_536])
    })
  )

  it.effect("no more documents are read than hold the sentences that are wanted", () =>
    Effect.gen(function* () {
      let read = 0
      const chunk = (from: number) =>
        Effect.sync(() => {
          read++
          return [{ sentences: [`${from} 1`, `${from} 2`, `${from} 3`] }]
        })
      const corpus = { name: "made", files: [], documents: Stream.mapEffect(Stream.range(0, 99), chunk) }
      const tokens = yield* Tokens.read(corpus, numbers, { longest: 9, most: 7 })
      assert.deepStrictEqual([tokens.count, read], [9, 3])
    })
  )

  it.effect("refuses lengths that are none", () =>
    Effect.sync(() => {
      for (const longest of [0, 1.5, 65_536])
        assert.throws(
          () => Effect.runSync(Tokens.read(Corpus.ofDocuments("x", []), numbers, { longest })),
          /1 to 65535/
        )
    })
  )

  it.live("a file is held as two bytes a token and eighteen a sentence, and not as text", () =>
    Effect.gen(function* () {
      const [sentences, length] = [60_000, 24]
      const line = Array.from({ length }, (_, i) => 10_000 + i).join(" ")
      const content = gzipSync(`${Array.from({ length: sentences }, () => line).join("\n")}\n`)
      yield* Effect.flatMap(folderOf({ "big.txt.gz": content }), (folder) =>
        Effect.gen(function* () {
          const before = settled()
          const tokens = yield* Tokens.read(yield* TextFiles.corpus(join(folder, "big.txt.gz")), numbers, {
            longest: 32
          })
          assert.strictEqual(tokens.count, sentences)
          // More than one piece, so that sentences begin anew in the next.
          assert.isAbove(sentences * length, 2 ** 20)
          assert.deepStrictEqual(Array.from(tokens.ids(sentences - 1)), numbers.content(line))
          assert.deepStrictEqual(Array.from(tokens.ids(43_690)), numbers.content(line))
          assert.isAtMost(tokens.bytes, 2 * 2 ** 20 * 2 + 18 * sentences + 8)
          // Neither a second copy of the tokens nor the text (8 MiB of it) is there any more.
          const after = settled()
          assert.isAtMost(after.arrayBuffers - before.arrayBuffers, tokens.bytes + 1.5 * 2 ** 20)
          assert.isAtMost(after.heapUsed - before.heapUsed, 4 * 2 ** 20)
          assert.strictEqual(tokens.count, sentences)
        })
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})

describe("the corpora beside the project", () => {
  const wiki = "data/wiki/simplewiki.txt.gz"
  it.live.skipIf(!present(wiki))("Simple English Wikipedia has its documents and sentences", () =>
    Effect.gen(function* () {
      const documents = yield* documentsOf(shared(wiki))
      assert.deepStrictEqual([documents.length, documents.flat().length], [4631, 128_927])
    })
  )
})

it("labelled examples lend their text: sentences by document, both texts of a pair apart", () =>
  Effect.runPromise(
    Effect.gen(function* () {
      const { documents } = Corpus.ofExamples("made", [
        { text: "a", label: 0, document: "1" },
        { text: "b", label: 1, document: "1" },
        { text: "c", label: 0, document: "2" },
        { text: "d", pair: "e", label: 0 },
        { text: "f", label: 0 }
      ])
      const chunks = yield* Stream.runCollect(documents)
      assert.deepStrictEqual(
        chunks.flat().map(({ sentences }) => sentences),
        [["a", "b"], ["c"], ["d"], ["e"], ["f"]]
      )
    })
  ))
