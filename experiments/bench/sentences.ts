// Sentence similarity without training: Spearman's correlation of STS-B's scores with cosines of mean states, and the same by transformers.
//   node --conditions=tapweight-source experiments/bench/sentences.ts FOLDER STS-B/dev.tsv.gz
//   python3 experiments/bench/sentences.py FOLDER STS-B/dev.tsv.gz
import { readFileSync } from "node:fs"
import { gunzipSync } from "node:zlib"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { EncoderFolder, OnnxEngine, Statistics } from "tapweight"
import { cosine, embed } from "../language/Sentences.ts"
import * as Tokenizer from "../language/tokenizers/Tokenizer.ts"

const [folder = ".", file = "dev.tsv"] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const bytes = readFileSync(file)
  const text = new TextDecoder().decode(file.endsWith(".gz") ? gunzipSync(bytes) : bytes)
  const lines = text.trimEnd().split("\n").slice(1)
  const rows = lines.map((line) => line.split("\t"))
  const read = yield* EncoderFolder.read(folder)
  const tokenizer = yield* Tokenizer.read(folder, read.config)
  const begun = performance.now()
  const texts = [7, 8].flatMap((column) => rows.map((row) => row[column]!))
  const vectors = yield* embed(read, tokenizer, texts, { longest: 128, batch: 64 })
  const scores = rows.map((_, i) => cosine(vectors[i]!, vectors[rows.length + i]!))
  const gold = rows.map((row) => Number(row[9]))
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  yield* Console.log(`${rows.length} pairs, Spearman ${Statistics.spearman(scores, gold).toFixed(6)}, ${seconds} s`)
  for (const i of [0, 1, 2]) yield* Console.log(`${scores[i]!.toFixed(6)} ${rows[i]![7]}`)
})

NodeRuntime.runMain(Effect.provide(program, [OnnxEngine.layer(), NodeServices.layer]))
