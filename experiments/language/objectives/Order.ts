/** What sentences say of the document they stand in. */
import { Dataset, NdArray, Objective as Losses, Seed } from "tapweight"
import * as Objective from "./Objective.ts"
import * as Pooling from "./Pooling.ts"
import { type Documents, tokensOf } from "./Texts.ts"

const labelled = (setting: Objective.Setting) => ({
  ...Objective.rowsOf(setting),
  labels: Dataset.int32([setting.batch])
})

/**
 * Sentence order (Lan et al. 2020): whether two neighbouring sentences of a document, in one row, stand in their order or are swapped, as
 * half of them are, drawn anew each time.
 */
export const order = (
  setting: Objective.Setting,
  texts: Documents,
  { name = "order" }: { readonly name?: string } = {}
): Objective.Objective<Dataset.DataError> => {
  const { batch, length, tokenizer } = setting
  const draw = (items: Int32Array, seed: Seed.Seed) => {
    const swapped = Seed.integers(Seed.fold(seed, "order"), batch, 2)
    const rows = Array.from(items, (item, i) => {
      const [first, second] = [tokensOf(texts, texts.pairs[item]!), tokensOf(texts, texts.pairs[item]! + 1)]
      return swapped[i] === 1 ? tokenizer.row(second, first, length) : tokenizer.row(first, second, length)
    })
    return { ...Objective.filled(setting, rows, seed), labels: NdArray.int32([batch], swapped) }
  }
  return Objective.make({
    name,
    data: Objective.batches(`${name}, ${texts.name}`, texts.pairs.length, setting, labelled(setting), draw),
    head: Pooling.head(setting, 2),
    loss: ({ encoder, head }, rows) => Losses.crossEntropy(Pooling.answers(setting, encoder, head, rows), rows.labels)
  })
}

/** In which of `bins` equal parts of its document a sentence stands. */
export const placeOf = ({ place }: Pick<Documents, "place">, sentence: number, bins: number): number => {
  const { at, of } = place(sentence)
  return Math.floor((bins * at) / of)
}

/** The place of a sentence in its document: in which of `bins` equal parts it stands. */
export const place = (
  setting: Objective.Setting,
  texts: Documents,
  { bins = 5, name = "place" }: { readonly bins?: number; readonly name?: string } = {}
): Objective.Objective<Dataset.DataError> => {
  const { batch, length, tokenizer } = setting
  const draw = (items: Int32Array, seed: Seed.Seed) => ({
    ...Objective.filled(
      setting,
      Array.from(items, (item) => tokenizer.row(tokensOf(texts, item), undefined, length)),
      seed
    ),
    labels: NdArray.int32(
      [batch],
      Array.from(items, (item) => placeOf(texts, item, bins))
    )
  })
  return Objective.make({
    name,
    data: Objective.batches(`${name}, ${texts.name}`, texts.count, setting, labelled(setting), draw),
    head: Pooling.head(setting, bins),
    loss: ({ encoder, head }, rows) => Losses.crossEntropy(Pooling.answers(setting, encoder, head, rows), rows.labels)
  })
}
