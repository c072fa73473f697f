/** Masked language modelling (Devlin et al. 2019; TapWeight, appendix D.1) on one corpus: domain weights are several of these. */
import * as tf from "@tensorflow/tfjs-core"
import { Dataset, MaskedHead, NdArray, Objective as Losses, Seed } from "tapweight"
import * as Masking from "../../common/Masking.ts"
import type { Tokenizer } from "../tokenizers/Tokenizer.ts"
import * as Objective from "./Objective.ts"
import * as Pooling from "./Pooling.ts"
import { type Sentences, tokensOf } from "./Texts.ts"

/** Tokens that are words: all that are not special. */
export const wordsOf = ({ mask, padding, size, special }: Tokenizer): Masking.Words => ({
  special: (id) => special.has(id),
  others: Int32Array.from({ length: size }, (_, id) => id).filter((id) => !special.has(id)),
  mask,
  padding
})

/**
 * Predicts hidden tokens of single sentences: 15 % of them, of which 80 % are masked, 10 % replaced and 10 % left, others each time a
 * sentence is drawn. Only hidden tokens reach the head, m = ⌈0.15 t⌉ places a row. The head is that of
 * all corpora, and starts from `head`: the checkpoint's.
 */
export const masked = (
  setting: Objective.Setting,
  texts: Sentences,
  { head, name = "mlm" }: { readonly head: MaskedHead.HostParams; readonly name?: string }
): Objective.Objective<Dataset.DataError> => {
  const { batch, config, length, tokenizer } = setting
  const words = wordsOf(tokenizer)
  const slots = Masking.slots(length)
  const fields = {
    ...Objective.rowsOf(setting),
    positions: Dataset.int32([batch, slots]),
    targets: Dataset.int32([batch, slots]),
    weights: Dataset.float32([batch, slots])
  }
  const draw = (items: Int32Array, seed: Seed.Seed) => {
    const rows = Array.from(items, (item) => tokenizer.row(tokensOf(texts, item), undefined, length))
    const whole = Objective.filled(setting, rows, seed)
    const { ids, positions, targets, weights } = Masking.mask(
      Seed.fold(seed, "mask"),
      whole.ids.data as Int32Array,
      length,
      words
    )
    return {
      ...whole,
      ids: NdArray.int32([batch, length], ids),
      positions: NdArray.int32([batch, slots], positions),
      targets: NdArray.int32([batch, slots], targets),
      weights: NdArray.float32([batch, slots], weights)
    }
  }
  return Objective.make({
    name,
    shares: "mlm",
    data: Objective.batches(`${name}, ${texts.name}`, texts.count, setting, fields, draw),
    head: () => head,
    loss: ({ encoder, head }, rows) => {
      const hidden = tf.reshape(Pooling.hidden(setting, encoder, rows), [batch * length, config.width])
      const states = tf.gather(hidden, tf.reshape(rows.positions, [batch * slots])) as tf.Tensor2D
      return Losses.weightedCrossEntropy(
        MaskedHead.apply(config, head, encoder.embeddings.words, states),
        tf.reshape(rows.targets, [batch * slots]),
        tf.reshape(rows.weights, [batch * slots])
      )
    }
  })
}
