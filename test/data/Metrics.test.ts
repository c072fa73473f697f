import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as Effect from "effect/Effect"
import * as Metrics from "../../src/data/Metrics.ts"

const classes = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 }))
const rows = Arbitrary.array(Arbitrary.schema(Schema.Tuple([classes, classes])), { minLength: 1, maxLength: 40 })

describe("Metrics", () => {
  it("accuracy is the share of equal pairs", () => {
    assert.strictEqual(Metrics.accuracy([0, 1, 2, 2], [0, 2, 2, 1]), 0.5)
    assert.strictEqual(Metrics.accuracy(Int32Array.of(3), [3]), 1)
  })

  it("macro-F1: closed forms", () => {
    // Per class: 0 → TP 1, FP 1, FN 0; 1 → TP 1, FP 0, FN 1; 2 → TP 1, FP 0, FN 0.
    assert.approximately(Metrics.macroF1([0, 1, 1, 2], [0, 0, 1, 2]), (2 / 3 + 2 / 3 + 1) / 3, 1e-12)
    // A class that is only ever predicted scores zero and counts.
    assert.approximately(Metrics.macroF1([0, 0], [0, 5]), (2 / 3 + 0) / 2, 1e-12)
    // Always predicting one of k balanced classes: F1 of that class is 2 / (k + 1).
    assert.approximately(Metrics.macroF1([0, 1, 2, 3], [0, 0, 0, 0]), 2 / 5 / 4, 1e-12)
  })

  it.effect.prop(
    "both are symmetric, within [0, 1], and 1 exactly where all predictions are right",
    { rows },
    ({ rows }) =>
      Effect.sync(() => {
        const [labels, predictions] = [rows.map(([label]) => label), rows.map(([, prediction]) => prediction)]
        const right = rows.every(([label, prediction]) => label === prediction)
        for (const score of [Metrics.accuracy, Metrics.macroF1]) {
          const value = score(labels, predictions)
          assert.isTrue(value >= 0 && value <= 1 + 1e-12)
          assert.strictEqual(value > 1 - 1e-12, right)
          assert.approximately(score(predictions, labels), value, 1e-12)
        }
      }),
    { arbitrary: { runs: 100, seed: 1 } }
  )

  it("refuses unequal or no rows", () => {
    for (const score of [Metrics.accuracy, Metrics.macroF1]) {
      assert.throws(() => score([1, 2], [1]), /2 labels and 1 predictions/)
      assert.throws(() => score([], []), /at least one/)
    }
  })
})
