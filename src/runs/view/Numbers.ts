/** Numbers for people. */

/** A number in five figures. */
export const five = (value: number): string => `${Number(value.toPrecision(5))}`

const largest = (values: ReadonlyArray<number>): number =>
  Math.max(...values.map(Math.abs).filter(Number.isFinite), 1e-6)

/** Digits behind the point such that three figures of the largest mean show, and two of the largest difference; at most six. */
export const digitsFor = (means: ReadonlyArray<number>, differences: ReadonlyArray<number>): number => {
  const nonzero = differences.filter((difference) => difference !== 0)
  const apart = nonzero.length === 0 ? 0 : 1 - Math.floor(Math.log10(largest(nonzero)))
  return Math.min(6, Math.max(0, apart, 3 - Math.ceil(Math.log10(largest(means)))))
}

/** With its sign, and so many digits behind the point. */
export const signed = (value: number, digits: number): string => `${value >= 0 ? "+" : ""}${value.toFixed(digits)}`

/** A p in three digits, of which one that is none of them says so; a dash where there is none. */
export const p = (value: number | undefined): string =>
  value === undefined ? "-" : value < 0.0005 ? "< 0.001" : value.toFixed(3)

const units = ["bytes", "KiB", "MiB", "GiB", "TiB"]

/** A number of bytes in the unit that it fills. */
export const bytes = (value: number): string => {
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, value)) / 10)))
  return `${Number((value / 2 ** (10 * unit)).toPrecision(3))} ${units[unit]}`
}
