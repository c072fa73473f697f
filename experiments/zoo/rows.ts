/** Rows that the zoo's problems make from a seed. */
import { NdArray, Seed } from "tapweight"

/** Normal features [count, coefficients] and labels [count]: what `label` makes of Σ coefficientⱼ xⱼ + noise · ε, itself where absent. */
export const linear = (options: {
  readonly seed: number
  /** Of the problem: others draw other rows. */
  readonly problem: string
  readonly part: string
  readonly count: number
  readonly coefficients: ReadonlyArray<number>
  readonly noise: number
  readonly label?: (sum: number) => number
}) => {
  const { coefficients, count, label = (sum: number) => sum, noise, part, problem, seed } = options
  const own = Seed.fold(Seed.fold(Seed.make(seed), problem), part)
  const features = coefficients.length
  const x = Seed.normal(Seed.fold(own, "x"), features * count)
  const y = Seed.normal(Seed.fold(own, "noise"), count).map((each, row) =>
    label(coefficients.reduce((sum, coefficient, j) => sum + coefficient * x[features * row + j]!, noise * each))
  )
  return { x: NdArray.float32([count, features], x), y: NdArray.float32([count], y) }
}

/** The first `informative` coefficients 1, the others 0. */
export const leading = (informative: number, features: number): ReadonlyArray<number> =>
  Array.from({ length: features }, (_, j) => (j < informative ? 1 : 0))
