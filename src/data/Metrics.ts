/** Scores of class predictions against labels, as plain arrays of class numbers. */

const checked = (labels: ArrayLike<number>, predictions: ArrayLike<number>): void => {
  if (labels.length === 0 || labels.length !== predictions.length) {
    throw new RangeError(
      `Metrics: ${labels.length} labels and ${predictions.length} predictions; give as many of both, at least one`
    )
  }
}

/** The share of predictions that equal their label, in [0, 1]. Throws a `RangeError` on unequal or no rows. */
export const accuracy = (labels: ArrayLike<number>, predictions: ArrayLike<number>): number => {
  checked(labels, predictions)
  let right = 0
  for (let i = 0; i < labels.length; i++) if (labels[i] === predictions[i]) right++
  return right / labels.length
}

/**
 * The mean, over classes that occur among labels or predictions, of F1 = 2 TP / (2 TP + FP + FN), in [0, 1]: what
 * scikit-learn's `f1_score(average="macro")` gives. Throws a `RangeError` on unequal or no rows.
 */
export const macroF1 = (labels: ArrayLike<number>, predictions: ArrayLike<number>): number => {
  checked(labels, predictions)
  const both = new Map<number, number>()
  const either = new Map<number, number>()
  const add = (counts: Map<number, number>, key: number) => counts.set(key, (counts.get(key) ?? 0) + 1)
  for (let i = 0; i < labels.length; i++) {
    add(either, labels[i]!)
    add(either, predictions[i]!)
    if (labels[i] === predictions[i]) add(both, labels[i]!)
  }
  // A class occurs TP + FN times among labels and TP + FP times among predictions, so `either` holds its denominator.
  const scores = Array.from(either, ([key, count]) => (2 * (both.get(key) ?? 0)) / count)
  return scores.reduce((sum, score) => sum + score, 0) / scores.length
}
