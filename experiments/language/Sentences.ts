/** Texts as vectors: mean states of an encoder, and how alike two texts are. */
import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Encoder, type EncoderFolder } from "tapweight"
import * as Finished from "../common/Finished.ts"
import * as LengthBuckets from "./tokenizers/LengthBuckets.ts"
import type { Tokenizer } from "./tokenizers/Tokenizer.ts"

type Batch = { readonly ids: tf.Tensor2D; readonly types: tf.Tensor2D; readonly mask: tf.Tensor2D }

/** Settings of {@link embed}. */
export interface Options {
  /** Tokens of a row at most; longer texts are cut. */
  readonly longest: number
  /** Rows of a batch. */
  readonly batch: number
}

/**
 * Mean states of the last layer, one vector for each text, computed by the engine at hand. Rows come by length, so that few shapes are
 * compiled and little is padded.
 */
export const embed = Effect.fnUntraced(function* (
  { config, encoder }: Pick<EncoderFolder.EncoderFolder, "config" | "encoder">,
  tokenizer: Tokenizer,
  texts: ReadonlyArray<string>,
  { batch, longest }: Options
) {
  const rows = texts.map((text) => tokenizer.encode(text, undefined, longest))
  const mean = ({ encoder }: { readonly encoder: Encoder.Params }, batch: Batch) => ({
    means: Encoder.average(Encoder.encode(config, encoder, batch), batch.mask)
  })
  const observe = yield* Finished.observed({ encoder }, mean)
  const vectors = Array<Float32Array>(texts.length)
  const sizes = rows.map(({ ids }) => ids.length)
  for (const { length, rows: at } of LengthBuckets.evaluation(sizes, LengthBuckets.lengths(longest), batch)) {
    const padded = LengthBuckets.padded(
      at.map((row) => rows[row]!),
      length,
      tokenizer,
      batch
    )
    const { means } = yield* observe(padded)
    for (const [i, row] of at.entries()) {
      vectors[row] = (means.data as Float32Array).slice(i * config.width, (i + 1) * config.width)
    }
  }
  return vectors as ReadonlyArray<Float32Array>
}, Effect.scoped)

/** The cosine of the angle between two vectors; 0 where one has no length. */
export const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [product, first, second] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!
    first += a[i]! ** 2
    second += b[i]! ** 2
  }
  return first === 0 || second === 0 ? 0 : product / Math.sqrt(first * second)
}
