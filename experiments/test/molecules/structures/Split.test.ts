import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Seed } from "tapweight"
import * as Split from "../../../molecules/structures/Split.ts"

const names = Arbitrary.array(Arbitrary.schema(Schema.Literals(["a", "b", "c", "d", "e", "f", "g", "h"])), {
  minLength: 1,
  maxLength: 80
})
const partsOf = ({ test, train, validation }: Split.Split) => [train, validation, test]
const isPartition = (split: Split.Split, count: number): void => {
  const all = partsOf(split).flatMap((part) => Array.from(part))
  assert.deepStrictEqual(
    all.sort((a, b) => a - b),
    Array.from({ length: count }, (_, i) => i)
  )
}

describe("Split", () => {
  it.effect.prop(
    "a scaffold split parts all rows, keeps scaffolds together and fills the parts no further than their shares",
    { names },
    ({ names }) =>
      Effect.sync(() => {
        const split = Split.scaffold(names)
        isPartition(split, names.length)
        const scaffolds = partsOf(split).map((part) => new Set(Array.from(part, (row) => names[row]!)))
        const distinct = new Set(names).size
        assert.strictEqual(
          scaffolds.reduce((sum, own) => sum + own.size, 0),
          distinct
        )
        assert.isAtMost(split.train.length, 0.8 * names.length)
        assert.isAtMost(split.validation.length, 0.9 * names.length)
      }),
    { arbitrary: { runs: 200, seed: 1 } }
  )

  it("takes large groups first, and of equal ones the one that begins later", () => {
    // Sizes: x 4, y 2 (rows 1, 9), z 2 (rows 4, 5), then singles w (row 8), v (row 7).
    const scaffolds = ["x", "y", "x", "x", "z", "z", "x", "v", "w", "y"]
    const split = Split.scaffold(scaffolds)
    assert.deepStrictEqual(Array.from(split.train), [0, 1, 2, 3, 4, 5, 6, 9])
    assert.deepStrictEqual(Array.from(split.validation), [8])
    assert.deepStrictEqual(Array.from(split.test), [7])
  })

  it("random and stratified splits part all rows, by the seed alone, in the shares asked for", () => {
    const labels = Array.from({ length: 1000 }, (_, i) => (i % 20 === 0 ? 1 : i % 50 === 1 ? Number.NaN : 0))
    for (const split of [
      (seed: number) => Split.random(Seed.make(seed), 1000),
      (seed: number) => Split.stratified(Seed.make(seed), labels)
    ]) {
      isPartition(split(1), 1000)
      assert.deepStrictEqual(
        partsOf(split(1)).map((part) => part.length),
        [800, 100, 100]
      )
      assert.deepStrictEqual(split(1), split(1))
      assert.notDeepEqual(split(1), split(2))
    }
    const positives = partsOf(Split.stratified(Seed.make(3), labels)).map(
      (part) => part.filter((row) => labels[row] === 1).length
    )
    assert.deepStrictEqual(positives, [40, 5, 5])
  })

  it("refuses shares that are none", () => {
    for (const shares of [
      { train: 0.8, validation: 0.3 },
      { train: 0, validation: 0.5 },
      { train: 0.5, validation: -0.1 }
    ]) {
      assert.throws(() => Split.random(Seed.make(1), 10, shares), /positive train share/)
    }
  })

  it("rows stand in ascending order, also beyond nine", () => {
    const { train } = Split.random(Seed.make(1), 200)
    assert.deepStrictEqual(
      Array.from(train),
      Array.from(train).sort((a, b) => a - b)
    )
  })
})
