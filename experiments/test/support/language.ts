/** A tiny encoder with a tokenizer of 1,100 tokens, and made texts for it. */
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Encoder, EncoderConfig, MaskedHead, NodeServices, Seed } from "tapweight"
import type { Setting } from "../../language/objectives/Objective.ts"
import type { Documents } from "../../language/objectives/Texts.ts"
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
  const starts = [0]
  const sentences: Array<ReadonlyArray<number>> = []
  for (let i = 0; i < count; i++) {
    const seed = Seed.fold(Seed.fold(Seed.make(5), name), i)
    const lengths = Seed.integers(seed, 1 + (i % 7), 20)
    for (const [j, length] of lengths.entries()) {
      sentences.push(Array.from(Seed.integers(Seed.fold(seed, j), 3 + length, words.length), (at) => words[at]!))
    }
    starts.push(sentences.length)
  }
  return { name, count: sentences.length, tokens: (i) => sentences[i]!, starts }
}
