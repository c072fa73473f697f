/** Molecules in disjoint parts, as row numbers in ascending order. */
import { checked, eightOneOne, type Partition, parts, type Shares } from "../../common/Partition.ts"

export { eightOneOne, ofRows, random, type Shares, stratified } from "../../common/Partition.ts"
export type Split = Partition

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
