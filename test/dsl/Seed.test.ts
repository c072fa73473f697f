import { assert, describe, it } from "vitest"
import * as Seed from "../../src/dsl/values/Seed.ts"

const seed = Seed.make(1)

describe("numbers that a seed is given", () => {
  it.each<readonly [string, () => unknown, string]>([
    ["a seed that is no number", () => Seed.make(Number.NaN), "Seed.make: seed is NaN"],
    ["a fraction as a seed", () => Seed.make(0.5), "Seed.make: seed is 0.5"],
    ["a label that is no number", () => Seed.fold(seed, Number.NaN), "Seed.fold: label is NaN"],
    ["a fraction as a label", () => Seed.fold(seed, 1.5), "Seed.fold: label is 1.5"],
    ["a negative count", () => Seed.normal(seed, -1), "Seed: count is"],
    ["half a permutation", () => Seed.permutation(seed, 2.5), "Seed: count is 2.5"],
    ["no bound", () => Seed.integers(seed, 3, 0), "Seed.integers: bound is 0"],
    ["a bound that is no number", () => Seed.integers(seed, 3, Number.NaN), "Seed.integers: bound is NaN"]
  ])("%s is refused", (_, make, sentence) => {
    assert.throws(make, RangeError)
    assert.throws(make, sentence)
  })
  it("any safe integer is a seed and a label", () => {
    for (const value of [0, -1, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
      Seed.make(value)
      Seed.fold(seed, value)
    }
  })
})
