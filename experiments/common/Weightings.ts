/** Fixed weights λ of objectives, by name. */
import { Seed } from "tapweight"

/** A share of λ for each objective. */
export type Lambda = { readonly [objective: string]: number }

/** Equal shares. */
export const equal = (names: ReadonlyArray<string>): Lambda =>
  Object.fromEntries(names.map((name) => [name, 1 / names.length]))

/** From equal shares a part of the way to the corner where one objective has all. */
export const towards = (names: ReadonlyArray<string>, corner: string, part: number): Lambda =>
  Object.fromEntries(names.map((name) => [name, (1 - part) / names.length + (name === corner ? part : 0)]))

/** A handful of weightings by name: equal shares, each corner, and half-way from equal shares to each. */
export const handful = (names: ReadonlyArray<string>): ReadonlyArray<readonly [name: string, lambda: Lambda]> => [
  ["equal", equal(names)],
  ...names.map((name) => [`${name}-only`, towards(names, name, 1)] as const),
  ...names.map((name) => [`${name}-mostly`, towards(names, name, 0.5)] as const)
]

/** Shares drawn uniformly from all that there are (Dirichlet with ones). */
export const random = (names: ReadonlyArray<string>, seed: Seed.Seed): Lambda => {
  const draws = Array.from(Seed.uniform(seed, names.length), (u) => -Math.log(1 - u))
  const sum = draws.reduce((total, draw) => total + draw, 0)
  return Object.fromEntries(names.map((name, i) => [name, draws[i]! / sum]))
}

/** All shares that are whole multiples of 1 / `steps`. */
export const grid = (names: ReadonlyArray<string>, steps: number): ReadonlyArray<Lambda> => {
  const parts = (count: number, left: number): ReadonlyArray<ReadonlyArray<number>> =>
    count === 1
      ? [[left]]
      : Array.from({ length: left + 1 }, (_, own) => parts(count - 1, left - own).map((rest) => [own, ...rest])).flat()
  return parts(names.length, steps).map((point) =>
    Object.fromEntries(names.map((name, i) => [name, point[i]! / steps]))
  )
}
