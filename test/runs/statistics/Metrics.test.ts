import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as Effect from "effect/Effect"
import * as Metrics from "../../../src/runs/statistics/Metrics.ts"
import sklearn from "./metrics.json" with { type: "json" }

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

  it("all equal scikit-learn's, with classes that occur on one side only and predictions that are all the same", () => {
    for (const { labels, predictions, ...values } of sklearn.classes) {
      for (const name of ["accuracy", "mcc", "f1", "macroF1"] as const)
        assert.approximately(
          Metrics[name](labels, predictions),
          values[name],
          1e-12,
          `${name} of ${labels.length} rows`
        )
    }
  })

  it.effect.prop(
    "Matthews' coefficient does not know the classes' names or sides; of two it is √(χ² / n) with its sign",
    { rows },
    ({ rows }) =>
      Effect.sync(() => {
        const [labels, predictions] = [rows.map(([label]) => label), rows.map(([, prediction]) => prediction)]
        const value = Metrics.mcc(labels, predictions)
        assert.isTrue(Math.abs(value) <= 1 + 1e-12)
        assert.approximately(Metrics.mcc(predictions, labels), value, 1e-12)
        const renamed = (values: ReadonlyArray<number>) => values.map((c) => (c * 7 + 3) % 5)
        assert.approximately(Metrics.mcc(renamed(labels), renamed(predictions)), value, 1e-12)
        const [t, p] = [labels, predictions].map((values) => values.map((c) => Number(c > 2))) as [
          Array<number>,
          Array<number>
        ]
        const of = (label: number, prediction: number) => t.filter((c, i) => c === label && p[i] === prediction).length
        const [tp, tn, fp, fn] = [of(1, 1), of(0, 0), of(0, 1), of(1, 0)]
        const root = Math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        assert.approximately(Metrics.mcc(t, p), root === 0 ? 0 : (tp * tn - fp * fn) / root, 1e-12)
        const f1 = tp === 0 ? 0 : 2 / ((tp + fp) / tp + (tp + fn) / tp)
        assert.approximately(Metrics.f1(t, p), f1, 1e-12)
      }),
    { arbitrary: { runs: 200, seed: 1 } }
  )

  it("refuses unequal or no rows", () => {
    for (const score of [Metrics.accuracy, Metrics.macroF1, Metrics.mcc, Metrics.f1]) {
      assert.throws(() => score([1, 2], [1]), /2 labels and 1 predictions/)
      assert.throws(() => score([], []), /at least one/)
    }
  })
})

const scored = Arbitrary.array(
  Arbitrary.schema(
    Schema.Tuple([Schema.Literals([0, 1]), Schema.Int.check(Schema.isBetween({ minimum: -9, maximum: 9 }))])
  ),
  { minLength: 1, maxLength: 40 }
)
const columns = (rows: ReadonlyArray<readonly [number, number]>) =>
  [rows.map(([label]) => label), rows.map(([, score]) => score)] as const

describe("ROC-AUC", () => {
  it.effect.prop(
    "is the share of pairs that are ordered right, ties counting half",
    { rows: scored },
    ({ rows }) =>
      Effect.sync(() => {
        const [labels, scores] = columns(rows)
        const of = (wanted: number) => rows.filter(([label]) => label === wanted).map(([, score]) => score)
        const pairs = of(1).flatMap((high) => of(0).map((low): number => (high > low ? 1 : high === low ? 0.5 : 0)))
        const found = Metrics.rocAuc(labels, scores)
        if (pairs.length === 0) return assert.isUndefined(found)
        assert.approximately(found!, pairs.reduce((sum, pair) => sum + pair, 0) / pairs.length, 1e-12)
      }),
    { arbitrary: { runs: 200, seed: 1 } }
  )

  it.effect.prop(
    "does not change under rising maps, and is turned around by negation; missing rows do not count",
    { rows: scored },
    ({ rows }) =>
      Effect.sync(() => {
        const [labels, scores] = columns(rows)
        const found = Metrics.rocAuc(labels, scores)
        const close = (value: number | undefined, expected: number | undefined) =>
          expected === undefined ? assert.isUndefined(value) : assert.approximately(value!, expected, 1e-12)
        close(
          Metrics.rocAuc(
            labels,
            scores.map((score) => Math.exp(score / 3) - 5)
          ),
          found
        )
        close(
          Metrics.rocAuc(
            labels,
            scores.map((score) => -score)
          ),
          found === undefined ? undefined : 1 - found
        )
        close(
          Metrics.rocAuc(
            labels.map((label) => 1 - label),
            scores
          ),
          found === undefined ? undefined : 1 - found
        )
        close(Metrics.rocAuc([...labels, Number.NaN], [...scores, 1e9]), found)
      }),
    { arbitrary: { runs: 100, seed: 2 } }
  )

  it("equals scikit-learn's, with ties, and averaged over tasks with missing labels", () => {
    for (const { labels, scores, value } of sklearn.auc) {
      assert.approximately(Metrics.rocAuc(labels, scores)!, value, 1e-12)
    }
    const { labels, mean, scores, tasks } = sklearn.multitask
    const found = Metrics.rocAucByTask(
      labels.map((label) => label ?? Number.NaN),
      scores,
      5
    )
    assert.approximately(found.mean, mean, 1e-12)
    assert.deepStrictEqual(found.leftOut, [3, 4])
    for (const [task, value] of tasks.entries()) {
      if (value === null) assert.isUndefined(found.tasks[task])
      else assert.approximately(found.tasks[task]!, value, 1e-12)
    }
  })

  it("refuses labels that are no class, scores that are no number, and rows that do not fill tasks", () => {
    assert.throws(() => Metrics.rocAuc([0, 2], [0, 1]), /label 2 at row 1/)
    assert.throws(() => Metrics.rocAuc([0, 1], [0, Number.NaN]), /score of row 1/)
    assert.throws(() => Metrics.rocAucByTask([0, 1, 0], [0, 1, 1], 2), /3 labels are not rows of 2 tasks/)
    assert.isNaN(Metrics.rocAucByTask([1, 1], [0, 1], 1).mean)
  })
})

describe("RMSE and MAE", () => {
  it("equal scikit-learn's", () => {
    for (const { labels, mae, predictions, rmse } of sklearn.errors) {
      assert.approximately(Metrics.rmse(labels, predictions)!, rmse, 1e-12)
      assert.approximately(Metrics.mae(labels, predictions)!, mae, 1e-12)
    }
  })

  it("of a constant offset are its size; missing labels do not count; tasks without labels are left out", () => {
    const labels = [1, Number.NaN, 5, Number.NaN]
    const predictions = [-2, 7, 2, 9]
    assert.strictEqual(Metrics.rmse(labels, predictions), 3)
    assert.strictEqual(Metrics.mae(labels, predictions), 3)
    assert.isUndefined(Metrics.mae([Number.NaN], [1]))
    for (const score of [Metrics.rmseByTask, Metrics.maeByTask]) {
      assert.deepStrictEqual(score(labels, predictions, 2), { mean: 3, tasks: [3, undefined], leftOut: [1] })
    }
  })
})
