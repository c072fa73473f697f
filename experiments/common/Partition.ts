/** Rows in disjoint parts, drawn by a seed. */
import { Seed } from "tapweight"

/** Rows by part, as numbers in ascending order. */
export interface Partition {
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

/** Throws a `RangeError` on shares that are none. */
export const checked = ({ train, validation }: Shares): void => {
  if (!(train > 0 && validation >= 0 && train + validation <= 1)) {
    throw new RangeError(
      `Partition: shares ${train} and ${validation}; give a positive train share and a sum of at most 1`
    )
  }
}

/** Parts in ascending order. */
export const parts = (train: Array<number>, validation: Array<number>, test: Array<number>): Partition => ({
  train: Int32Array.from(train).sort(),
  validation: Int32Array.from(validation).sort(),
  test: Int32Array.from(test).sort()
})

const cut = (order: ArrayLike<number>, shares: Shares): [Array<number>, Array<number>, Array<number>] => {
  const all = Array.from(order)
  const train = Math.round(shares.train * all.length)
  const validation = Math.round((shares.train + shares.validation) * all.length)
  return [all.slice(0, train), all.slice(train, validation), all.slice(validation)]
}

/** Rows in an order drawn from the seed, cut by the shares. Throws a `RangeError` on shares that are none. */
export const random = (seed: Seed.Seed, count: number, shares: Shares = eightOneOne): Partition => {
  checked(shares)
  return parts(...cut(Seed.permutation(seed, count), shares))
}

/**
 * As {@link random} within each class, so that classes have the same shares of each part but for rounding: for labels of
 * one task, NaN (missing) being a class of its own. Throws a `RangeError` on shares that are none.
 */
export const stratified = (seed: Seed.Seed, labels: ArrayLike<number>, shares: Shares = eightOneOne): Partition => {
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

/** A partition of places in a list, as one of what stands there. */
export const ofRows = (partition: Partition, rows: ArrayLike<number>): Partition => {
  const of = (part: Int32Array) => part.map((place) => rows[place]!)
  return { train: of(partition.train), validation: of(partition.validation), test: of(partition.test) }
}
