/** What settings have in common: the encoder with its head and its tokenizer, few labels, and documents of sentences. */
import * as Effect from "effect/Effect"
import { EncoderFolder, Seed } from "tapweight"
import * as Input from "../../common/Input.ts"
import * as Corpus from "../corpora/Corpus.ts"
import * as Tokens from "../corpora/Tokens.ts"
import type { Example } from "../tasks/Task.ts"
import * as Read from "../tasks/Read.ts"
import * as Tasks from "../tasks/Tasks.ts"
import * as Tokenizer from "../tokenizers/Tokenizer.ts"

/** An encoder's folder with all its tokens. */
export const encoder = Effect.fnUntraced(function* (path: string) {
  const folder = yield* EncoderFolder.read(path)
  const { config, encoder } = folder
  const tokenizer = yield* Tokenizer.read(path, config)
  const input = yield* Input.ofWeights(folder.file)
  return { config, encoder, head: yield* EncoderFolder.masked(folder), tokenizer, input }
})

/** A known task as its files have it. */
export const task = Effect.fnUntraced(function* (folder: string, name: string) {
  const { data, schema } = yield* Tasks.named(folder, name)
  const { kind, parts } = yield* Read.read(data, schema)
  const all = [parts.train, parts.validation, parts.test].flatMap((part) => part ?? [])
  const rows = all.reduce((sum, { examples }) => sum + examples.length, 0)
  const input = yield* Input.ofFiles({
    name,
    version: null,
    files: all.flatMap(({ sources }) => sources),
    licence: schema.licence,
    read: rows,
    dropped: [],
    split: { rule: "few training and validation rows, drawn by each seed; the test as it is", rows: { all: rows } }
  })
  return { kind, parts, classes: schema.labels!.length, input }
})

/** Documents of a task's examples in an order that the seed draws. */
export const shuffled = (seed: Seed.Seed, examples: ReadonlyArray<Example>): ReadonlyArray<ReadonlyArray<Example>> => {
  const documents = new Map<string, Array<Example>>()
  for (const example of examples) {
    const own = documents.get(example.document!)
    if (own === undefined) documents.set(example.document!, [example])
    else own.push(example)
  }
  const all = [...documents.values()]
  return Array.from(Seed.permutation(seed, all.length), (i) => all[i]!)
}

/** Tokens of a sentence that are kept: more than a row has, so that rows are cut as their pairs want it. */
const longest = 512

/** Sentences of documents as tokens. */
export const documents = (name: string, of: ReadonlyArray<ReadonlyArray<Example>>, tokenizer: Tokenizer.Tokenizer) =>
  Tokens.read(
    Corpus.ofDocuments(
      name,
      of.map((own) => ({ sentences: own.map(({ text }) => text) }))
    ),
    tokenizer,
    { longest }
  )
