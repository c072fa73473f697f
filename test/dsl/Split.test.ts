import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Split from "../../src/dsl/Split.ts"

const parts = { train: ["a", "b"], validation: ["c"], test: ["d", "e"] }
const name = (item: string) => item

describe("Split", () => {
  it("keeps an item in one part, once", () => {
    assert.deepStrictEqual(
      Split.count(Split.make(parts, name), ({ length }) => length),
      {
        train: 2,
        validation: 1,
        test: 2
      }
    )
    const leaks: ReadonlyArray<readonly [typeof parts, RegExp]> = [
      [{ ...parts, test: ["d", "b"] }, /'b' is in the train part and in the test part; give each item to one part/],
      [{ ...parts, validation: ["c", "a"] }, /'a' is in the train part and in the validation part/],
      [{ ...parts, test: ["c"] }, /'c' is in the validation part and in the test part/],
      [{ ...parts, train: ["a", "b", "a"] }, /'a' is in the train part twice/]
    ]
    for (const [leak, message] of leaks) assert.throws(() => Split.make(leak, name), RangeError, message)
    // By what the key says, not by identity.
    const documents = { train: [{ id: 1 }], validation: [{ id: 2 }], test: [{ id: 1 }] }
    assert.throws(() => Split.make(documents, ({ id }) => id), /'1' is in the train part and in the test part/)
  })

  it("has a test part that nothing reads, whatever is made of it", () => {
    const split = Split.make({ train: ["t"], validation: ["v"], test: ["secret"] }, name)
    const made = Split.map(split, (items) => items.map((item) => `${item}!`))
    assert.deepStrictEqual([[...made.train], [...made.validation]], [["t!"], ["v!"]])
    for (const { test } of [split, made]) {
      assert.notInclude(JSON.stringify(test), "secret")
      assert.deepStrictEqual(Reflect.ownKeys(test), [])
    }
    assert.throws(() => Split.count({ ...split, test: {} as never }, () => 0), /this is no test part/)
  })

  it.effect("makes parts in turn", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const made = yield* Split.mapEffect(Split.make(parts, name), (items, part) =>
        Effect.sync(() => seen.push(`${part} ${items.join("")}`))
      )
      assert.deepStrictEqual(seen, ["train ab", "validation c", "test de"])
      assert.deepStrictEqual(
        Split.count(made, (n) => n),
        { train: 1, validation: 2, test: 3 }
      )
    })
  )
})

// What follows must not compile: one part is not another's, and the test part is nobody's.
export const refusals = (split: Split.Split<ReadonlyArray<string>>) => {
  const trained = (rows: Split.Train<ReadonlyArray<string>>) => rows
  const validated = (rows: Split.Validation<ReadonlyArray<string>>) => rows
  // @ts-expect-error: training data where validation data is asked for
  validated(split.train)
  // @ts-expect-error: validation data where training data is asked for
  trained(split.validation)
  // @ts-expect-error: test data where validation data is asked for
  validated(split.test)
  // @ts-expect-error: data of no part
  validated(["a"])
  // @ts-expect-error: what is made of training data
  validated(Split.ofTrain(split.train, (rows) => rows.slice(1)))
  // @ts-expect-error: the test part has no items
  split.test.map((item: string) => item)
}
