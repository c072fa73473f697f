import { Seed } from "tapweight"

/** Share of a row's words that are hidden (Devlin et al. 2019). */
export const share = 0.15

/** Hidden words that a row of `length` tokens has room for. */
export const slots = (length: number): number => Math.ceil(share * length)

/** Which tokens are words, and what stands for a hidden one. */
export interface Words {
  /** Whether a token stands for no word: it is never hidden. */
  readonly special: (id: number) => boolean
  /** Words that may stand in a hidden one's place. */
  readonly others: Int32Array
  readonly mask: number
  readonly padding: number
}

/** Rows with words hidden, and where they stood; m = `slots(length)` for each row. */
export interface Masked {
  /** [rows · length]: tokens as the encoder reads them. */
  readonly ids: Int32Array
  /** [rows · m]: places in `ids`; 0 in unused slots. */
  readonly positions: Int32Array
  /** [rows · m]: the hidden words; padding in unused slots. */
  readonly targets: Int32Array
  /** [rows · m]: 1 where the slot is used, else 0. */
  readonly weights: Float32Array
}

/**
 * Hides 15 % of each row's words, special tokens excepted: of those, 80 % become the mask, 10 % a random word and 10 %
 * stay (Devlin et al. 2019). A row of n words hides ⌊0.15 n⌋ or one more, such that the expected share is exact.
 */
export const mask = (seed: Seed.Seed, ids: Int32Array, length: number, words: Words): Masked => {
  const rows = ids.length / length
  const m = slots(length)
  const extra = Seed.uniform(Seed.fold(seed, "extra"), rows)
  const fates = Seed.uniform(Seed.fold(seed, "fates"), rows * m)
  const others = Seed.integers(Seed.fold(seed, "others"), rows * m, words.others.length)
  const out = {
    ids: ids.slice(),
    positions: new Int32Array(rows * m),
    targets: new Int32Array(rows * m).fill(words.padding),
    weights: new Float32Array(rows * m)
  }
  for (let row = 0; row < rows; row++) {
    const places: Array<number> = []
    for (let at = row * length; at < (row + 1) * length; at++) if (!words.special(ids[at]!)) places.push(at)
    const order = Seed.permutation(Seed.fold(seed, row), places.length)
    const hidden = Math.floor(share * places.length + extra[row]!)
    for (let i = 0; i < hidden; i++) {
      const at = places[order[i]!]!
      const slot = row * m + i
      out.positions[slot] = at
      out.targets[slot] = ids[at]!
      out.weights[slot] = 1
      if (fates[slot]! < 0.8) out.ids[at] = words.mask
      else if (fates[slot]! < 0.9) out.ids[at] = words.others[others[slot]!]!
    }
  }
  return out
}
