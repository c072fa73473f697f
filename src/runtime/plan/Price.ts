/** What hops cost through levels whose own gradients contain responses: their expansion gone through once, and counted. */
import * as Reduced from "./Reduced.ts"
import { type Hop, shapesOf, type Sweep } from "./Sweep.ts"
import type { LevelWiring } from "./Wiring.ts"

/** Gradient evaluations; beside those at `""`, for each element of a level's variable, or of several (`"m × w"`). */
export type Price = ReadonlyMap<string, number>

export const times = (price: Price, factor: number, element = ""): Price =>
  new Map(
    [...price].map(([key, count]) => [
      [...(key === "" ? [] : key.split(" × ")), ...(element === "" ? [] : [element])].toSorted().join(" × "),
      count * factor
    ])
  )
const plus = (...prices: ReadonlyArray<Price>): Price => {
  const sum = new Map<string, number>()
  for (const price of prices) for (const [key, count] of price) sum.set(key, (sum.get(key) ?? 0) + count)
  return sum
}
const minus = (a: Price, b: Price): Price => plus(a, times(b, -1))

/** Stands for any tensor. */
type Token = null

/** Prices of hops by level. */
export const prices = (
  levels: ReadonlyArray<LevelWiring>,
  sweeps: ReadonlyMap<string, Sweep>
): ((hop: Hop) => Price) => {
  const byName = new Map(levels.map((level) => [level.name, level]))
  const owner = new Map(levels.map((level) => [level.variable, level]))
  const solveOf = (name: string) => {
    const { evaluations, solve } = byName.get(name)!.estimator!
    return solve ?? { products: 0, productsPerElement: 0, evaluations }
  }
  const shapes = shapesOf(
    levels.map(({ given, name, upstream, variable }) => ({
      name,
      variable,
      reads: [...given.filter((each) => owner.has(each)), ...upstream.map((each) => byName.get(each)!.variable)]
    })),
    sweeps
  )
  return (hop) => {
    let spent: Price = new Map()
    const costOf = (f: () => void): Price => {
      const before = spent
      f()
      const cost = minus(spent, before)
      spent = before
      return cost
    }
    const known = new Map<string, Price>()
    // The first product of a solve also makes what all of them need; each later one costs the same.
    const solving = (name: string, product: () => void): Price => {
      const { products, productsPerElement } = solveOf(name)
      if (products === 0 && productsPerElement === 0) return new Map()
      const first = known.has(name) ? undefined : costOf(product)
      const each = known.get(name) ?? costOf(product)
      known.set(name, each)
      const once = first === undefined ? new Map<string, number>() : minus(first, each)
      return plus(once, times(each, products), times(each, productsPerElement, name))
    }
    const reduced = Reduced.make<Token>(shapes, {
      add: () => null,
      negate: () => null,
      derivative: (name, along) => {
        const { variable } = byName.get(name)!
        spent = plus(spent, new Map([["", solveOf(name).evaluations ** along.length]]))
        return new Map([variable, ...shapes.get(name)!.reads].map((each) => [each, null]))
      },
      solve: (name, operator) => {
        spent = plus(
          spent,
          solving(name, () => operator(null))
        )
        return null
      }
    })
    const along = (by: ReadonlyArray<string>) => () => reduced.along(hop.level, null, by)
    return plus(solving(hop.level, along([hop.variable])), costOf(along(hop.into)))
  }
}
