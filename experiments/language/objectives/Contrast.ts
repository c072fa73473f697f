/** Contrastive learning of sentences (Gao et al. 2021; TapWeight, equation 16). */
import * as tf from "@tensorflow/tfjs-core"
import { type Dataset, Mlp, Objective as Losses, type Seed, Smooth } from "tapweight"
import * as Objective from "./Objective.ts"
import * as Pooling from "./Pooling.ts"
import { type Sentences, tokensOf } from "./Texts.ts"

/**
 * Tells two dropout views of a sentence from those of the rest of the batch. Without dropout it is solved at once and teaches nothing. The head
 * is a dense layer with tanh, as SimCSE has it while it trains; the temperature is SimCSE's 0.05 where absent.
 */
export const contrast = (
  setting: Objective.Setting,
  texts: Sentences,
  { name = "contrast", temperature = 0.05 }: { readonly name?: string; readonly temperature?: number } = {}
): Objective.Objective<Dataset.DataError> => {
  const { config, length, tokenizer } = setting
  const draw = (items: Int32Array, seed: Seed.Seed) =>
    Objective.filled(
      setting,
      Array.from(items, (item) => tokenizer.row(tokensOf(texts, item), undefined, length)),
      seed
    )
  return Objective.make({
    name,
    data: Objective.batches(`${name}, ${texts.name}`, texts.count, setting, Objective.rowsOf(setting), draw),
    head: Mlp.dense(config.width, config.width),
    loss: ({ encoder, head }, { ids, key, types }) => {
      // Dropout differs from row to row, so that repeated rows are views.
      const twice = <T extends tf.Tensor2D>(x: T) => tf.concat([x, x]) as T
      const states = Pooling.states(setting, encoder, { ids: twice(ids), types: twice(types), key })
      const [first, second] = tf.split(Smooth.tanh(Mlp.affine(head, states)), 2) as [tf.Tensor2D, tf.Tensor2D]
      return Losses.contrastive(first, second, temperature)
    }
  })
}
