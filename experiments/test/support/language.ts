/** A tiny encoder with a tokenizer of 1,100 tokens, and made texts for it. */
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Encoder, EncoderConfig, MaskedHead, NodeServices, Seed, Split } from "tapweight"
import type { Task } from "../../language/methods/Task.ts"
import type { Setting } from "../../language/objectives/Objective.ts"
import type { Labelled } from "../../language/objectives/Supervised.ts"
import { type Documents, tokensOf } from "../../language/objectives/Texts.ts"
import { type Settings, small } from "../../language/Settings.ts"
import * as Tokenizer from "../../language/tokenizers/Tokenizer.ts"

export const config = Result.getOrThrow(
  EncoderConfig.decode({
    model_type: "bert",
    vocab_size: 1100,
    hidden_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    intermediate_size: 16,
    max_position_embeddings: 64,
    type_vocab_size: 2
  })
)

export const tokenizer = await Effect.runPromise(
  Effect.provide(
    Tokenizer.read(fileURLToPath(new URL("../language/vectors/wordpiece", import.meta.url)), config),
    NodeServices.layer
  )
)

export const setting: Setting = { config, tokenizer, batch: 4, length: 16, pooling: "mean" }
export const encoder = Encoder.init(config)(Seed.make(3))
export const head = MaskedHead.init(config)(Seed.make(4))

/** Documents of a few sentences each, of words that the tokenizer knows. */
export const documents = (count: number, name = "made"): Documents => {
  const words = Array.from({ length: tokenizer.size }, (_, id) => id).filter((id) => !tokenizer.special.has(id))
  const places: Array<{ readonly at: number; readonly of: number }> = []
  const sentences: Array<ReadonlyArray<number>> = []
  for (let i = 0; i < count; i++) {
    const seed = Seed.fold(Seed.fold(Seed.make(5), name), i)
    const lengths = Seed.integers(seed, 1 + (i % 7), 20)
    for (const [j, length] of lengths.entries()) {
      places.push({ at: j, of: lengths.length })
      sentences.push(Array.from(Seed.integers(Seed.fold(seed, j), 3 + length, words.length), (at) => words[at]!))
    }
  }
  const pairs = Int32Array.from(places.keys()).filter((i) => places[i]!.at + 1 < places[i]!.of)
  return { name, count: sentences.length, ids: (i) => sentences[i]!, place: (i) => places[i]!, pairs }
}

/** A task of three classes, which follow the first word of a text. */
export const task = (): Task => {
  const texts = documents(60, "labelled")
  const rows = Array.from({ length: texts.count }, (_, i) => tokenizer.row(tokensOf(texts, i), undefined, 16))
  const labels = rows.map(({ ids }) => ids[1]! % 3)
  const of = (from: number, to: number): Labelled => ({ rows: rows.slice(from, to), labels: labels.slice(from, to) })
  return {
    name: "made",
    kind: { type: "classes", names: ["a", "b", "c"] },
    metric: "accuracy",
    known: of(0, 24),
    ...Split.apart({ train: of(0, 12), validation: of(12, 24), test: of(24, 40) })
  }
}

/** Settings that a second is enough for. */
export const settings: Settings = {
  ...small,
  ticks: 6,
  seeds: 1,
  length: { pretrain: 16, task: 16 },
  batch: { pretrain: 4, finetune: 4, reweight: 8, solve: 12 },
  schedule: { ...small.schedule, warmup: 1 },
  warmup: 1,
  every: 2,
  window: 2,
  finetuneTicks: 4,
  scoreEvery: 2,
  finetunings: ["held", "free", "frozen"],
  frozen: { ...small.frozen, ticks: 5 }
}
