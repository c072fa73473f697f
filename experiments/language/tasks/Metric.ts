/** What tasks are scored by; of all of them more is better. */
import * as Schema from "effect/Schema"
import { Metrics, Statistics } from "tapweight"

export const Metric = Schema.Literals(["accuracy", "mcc", "f1", "macro-f1", "pearson", "spearman"])
export type Metric = typeof Metric.Type

type Scorer = (labels: ArrayLike<number>, predictions: ArrayLike<number>) => number

const scorers: { readonly [M in Metric]: Scorer } = {
  accuracy: Metrics.accuracy,
  mcc: Metrics.mcc,
  f1: Metrics.f1,
  "macro-f1": Metrics.macroF1,
  pearson: Statistics.pearson,
  spearman: Statistics.spearman
}

/** Whether labels of so many classes, or scores where undefined, are measured by a metric; if not, what is expected. */
export const goesWith = (metric: Metric, classes: number | undefined): true | string => {
  const correlation = metric === "pearson" || metric === "spearman"
  if (classes === undefined) return correlation || `a score is not measured with ${metric}: take pearson or spearman`
  if (correlation) return `classes are not measured with ${metric}: take accuracy, mcc, f1 or macro-f1`
  return (
    metric !== "f1" || classes === 2 || `f1 is of the second of two classes, and there are ${classes}: take macro-f1`
  )
}

/**
 * The score of predictions: numbers of classes, or real values. A correlation is not a number where the predictions are all the
 * same. Throws a `RangeError` on unequal or no rows.
 */
export const score = (metric: Metric, labels: ArrayLike<number>, predictions: ArrayLike<number>): number =>
  scorers[metric](labels, predictions)
