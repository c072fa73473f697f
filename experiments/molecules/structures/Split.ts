import { Seed } from "tapweight"
/** Molecules in disjoint parts, as row numbers in ascending order. */

export interface Split {
  readonly train: Int32Array
  readonly validation: Int32Array
  readonly test: Int32Array
}

/** Shares of the train and the validation part; the test part has the rest. */
export interface Shares {
  readonly train: number
  readonly validation: number
}

/** The paper's 8:1:1. */
export const eightOneOne: Shares = { train: 0.8, validation: 0.1 }

const checked = ({ train, validation }: Shares): void => {
  if (!(train > 0 && validation >= 0 && train + validation <= 1)) {
    throw new RangeError(`Split: shares ${train} and ${validation}; give a positive train share and a sum of at most 1`)
  }
}

const parts = (train: Array<number>, validation: Array<number>, test: Array<number>): Split => ({
  train: Int32Array.from(train).sort(),
  validation: Int32Array.from(validation).sort(),
  test: Int32Array.from(test).sort()
})

/**
 * Molecules of one scaffold stay together: groups, from the largest on and of equal ones the one whose first row comes
 * later, go to train while they fit, then to validation while they fit, else to test. This is the split of ImageMol (and
 * of Hu et al. 2020) on Murcko scaffolds with handedness, molecules without rings being one group. Throws a `RangeError`
 * on shares that are none.
 */
export const scaffold = (scaffolds: ReadonlyArray<string>, shares: Shares = eightOneOne): Split => {
  checked(shares)
  const groups = new Map<string, Array<number>>()
  for (const [row, name] of scaffolds.entries()) {
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [row])
    else group.push(row)
  }
  const ordered = [...groups.values()].sort((a, b) => b.length - a.length || b[0]! - a[0]!)
  const [train, validation, test]: [Array<number>, Array<number>, Array<number>] = [[], [], []]
  const trainEnd = shares.train * scaffolds.length
  const validationEnd = (shares.train + shares.validation) * scaffolds.length
  for (const group of ordered) {
    const part =
      train.length + group.length <= trainEnd
        ? train
        : train.length + validation.length + group.length <= validationEnd
          ? validation
          : test
    for (const row of group) part.push(row)
  }
  return parts(train, validation, test)
}

const cut = (order: ArrayLike<number>, shares: Shares): [Array<number>, Array<number>, Array<number>] => {
  const all = Array.from(order)
  const train = Math.round(shares.train * all.length)
  const validation = Math.round((shares.train + shares.validation) * all.length)
  return [all.slice(0, train), all.slice(train, validation), all.slice(validation)]
}

/** Rows in an order drawn from the seed, cut by the shares. Throws a `RangeError` on shares that are none. */
export const random = (seed: Seed.Seed, count: number, shares: Shares = eightOneOne): Split => {
  checked(shares)
  return parts(...cut(Seed.permutation(seed, count), shares))
}

/**
 * As {@link random} within each class, so that classes have the same shares of each part but for rounding: for labels of
 * one task, NaN (missing) being a class of its own. Throws a `RangeError` on shares that are none.
 */
export const stratified = (seed: Seed.Seed, labels: ArrayLike<number>, shares: Shares = eightOneOne): Split => {
  checked(shares)
  const classes = new Map<number, Array<number>>()
  for (let row = 0; row < labels.length; row++) {
    const rows = classes.get(labels[row]!)
    if (rows === undefined) classes.set(labels[row]!, [row])
    else rows.push(row)
  }
  const cuts = [...classes].map(([label, rows]) => {
    const order = Seed.permutation(Seed.fold(seed, String(label)), rows.length)
    return cut(
      Array.from(order, (i) => rows[i]!),
      shares
    )
  })
  const of = (part: 0 | 1 | 2) => cuts.flatMap((three) => three[part])
  return parts(of(0), of(1), of(2))
}

/** A split of places in a list, as a split of what stands there. */
export const ofRows = (split: Split, rows: ArrayLike<number>): Split => {
  const of = (part: Int32Array) => part.map((place) => rows[place]!)
  return { train: of(split.train), validation: of(split.validation), test: of(split.test) }
}
