/** Scores of predictions against labels: classes by number, or real values, as plain arrays. */

const checked = (labels: ArrayLike<number>, predictions: ArrayLike<number>): void => {
  if (labels.length === 0 || labels.length !== predictions.length) {
    throw new RangeError(
      `Metrics: ${labels.length} labels and ${predictions.length} predictions; give as many of both, at least one`
    )
  }
}

/**
 * The share of predictions that equal their label, in [0, 1]. Throws a `RangeError` on unequal or no rows.
 *
 * ```ts
 * Metrics.accuracy([0, 1, 1], [0, 1, 0]) // => 0.6667
 * ```
 */
export const accuracy = (labels: ArrayLike<number>, predictions: ArrayLike<number>): number => {
  checked(labels, predictions)
  let right = 0
  for (let i = 0; i < labels.length; i++) if (labels[i] === predictions[i]) right++
  return right / labels.length
}

/**
 * The mean, over classes that occur among labels or predictions, of F1 = 2 TP / (2 TP + FP + FN), in [0, 1]: what
 * scikit-learn's `f1_score(average="macro")` gives. Throws a `RangeError` on unequal or no rows.
 *
 * ```ts
 * Metrics.macroF1([0, 0, 1], [0, 1, 1]) // => 0.6667
 * ```
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

/**
 * F1 = 2 TP / (2 TP + FP + FN) of class 1, in [0, 1]; 0 where it neither occurs nor is predicted, as scikit-learn's
 * `f1_score(zero_division=0)` has it. Throws a `RangeError` on unequal or no rows.
 *
 * ```ts
 * Metrics.f1([0, 1, 1], [0, 1, 0]) // => 0.6667
 * ```
 */
export const f1 = (labels: ArrayLike<number>, predictions: ArrayLike<number>): number => {
  checked(labels, predictions)
  let [both, either] = [0, 0]
  for (let i = 0; i < labels.length; i++) {
    const [label, prediction] = [labels[i] === 1, predictions[i] === 1]
    if (label && prediction) both++
    either += Number(label) + Number(prediction)
  }
  return either === 0 ? 0 : (2 * both) / either
}

/**
 * Matthews' correlation coefficient of classes, in [-1, 1], for any number of them (Gorodkin 2004); 0 where labels or predictions
 * are all of one class, as scikit-learn has it. Throws a `RangeError` on unequal or no rows.
 *
 * ```ts
 * Metrics.mcc([0, 0, 1, 1], [0, 1, 1, 1]) // => 0.5774
 * ```
 */
export const mcc = (labels: ArrayLike<number>, predictions: ArrayLike<number>): number => {
  checked(labels, predictions)
  const rows = labels.length
  const counts = new Map<number, [labels: number, predictions: number]>()
  const add = (key: number, of: 0 | 1) => {
    const own = counts.get(key) ?? [0, 0]
    own[of]++
    counts.set(key, own)
  }
  let right = 0
  for (let i = 0; i < rows; i++) {
    add(labels[i]!, 0)
    add(predictions[i]!, 1)
    if (labels[i] === predictions[i]) right++
  }
  let [product, first, second] = [0, 0, 0]
  for (const [t, p] of counts.values()) {
    product += t * p
    first += t * t
    second += p * p
  }
  const square = (rows ** 2 - first) * (rows ** 2 - second)
  return square === 0 ? 0 : (right * rows - product) / Math.sqrt(square)
}

/**
 * The area under the ROC curve: the probability that a positive row scores higher than a negative one, ties counting half
 * (Mann-Whitney's U over the number of pairs, by midranks), in [0, 1]. Labels are 1 and 0; rows whose label is NaN (missing)
 * are passed over. Undefined where one of the classes has no row. Throws a `RangeError` on unequal or no rows, other labels
 * or a NaN score.
 *
 * ```ts
 * Metrics.rocAuc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) // => 0.75
 * ```
 */
export const rocAuc = (labels: ArrayLike<number>, scores: ArrayLike<number>): number | undefined => {
  checked(labels, scores)
  const rows: Array<number> = []
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!
    if (Number.isNaN(label)) continue
    if (label !== 0 && label !== 1) throw new RangeError(`Metrics: label ${label} at row ${i}; labels are 0 or 1`)
    if (Number.isNaN(scores[i]!)) throw new RangeError(`Metrics: the score of row ${i} is not a number`)
    rows.push(i)
  }
  rows.sort((a, b) => scores[a]! - scores[b]!)
  let [positives, ranks] = [0, 0]
  for (let from = 0; from < rows.length;) {
    let to = from
    let tied = 0
    for (; to < rows.length && scores[rows[to]!] === scores[rows[from]!]; to++) tied += labels[rows[to]!]!
    positives += tied
    // Rows from … to - 1 share the mean of the ranks from + 1 … to.
    ranks += (tied * (from + 1 + to)) / 2
    from = to
  }
  const negatives = rows.length - positives
  if (positives === 0 || negatives === 0) return undefined
  return (ranks - (positives * (positives + 1)) / 2) / (positives * negatives)
}

/** The score of several tasks and of each. */
export interface TaskScores {
  /** The mean over the tasks that have a score; NaN where none has. */
  readonly mean: number
  /** Undefined for tasks left out of the mean. */
  readonly tasks: ReadonlyArray<number | undefined>
  /** The numbers of the tasks left out. */
  readonly leftOut: ReadonlyArray<number>
}

const byTask = (
  labels: ArrayLike<number>,
  predictions: ArrayLike<number>,
  tasks: number,
  score: (labels: ArrayLike<number>, predictions: ArrayLike<number>) => number | undefined
): TaskScores => {
  checked(labels, predictions)
  if (!Number.isInteger(tasks) || tasks < 1 || labels.length % tasks !== 0) {
    throw new RangeError(`Metrics: ${labels.length} labels are not rows of ${tasks} tasks`)
  }
  const column = (values: ArrayLike<number>, task: number) =>
    Float64Array.from({ length: values.length / tasks }, (_, row) => values[row * tasks + task]!)
  const scores = Array.from({ length: tasks }, (_, task) => score(column(labels, task), column(predictions, task)))
  const known = scores.filter((value) => value !== undefined)
  return {
    mean: known.reduce((sum, value) => sum + value, 0) / known.length,
    tasks: scores,
    leftOut: scores.flatMap((value, task) => (value === undefined ? [task] : []))
  }
}

/**
 * {@link rocAuc} of each task, labels and scores being [rows, tasks], and the mean over the tasks that have rows of both
 * classes, which is how MoleculeNet's sets of several tasks are scored.
 */
export const rocAucByTask = (labels: ArrayLike<number>, scores: ArrayLike<number>, tasks: number): TaskScores =>
  byTask(labels, scores, tasks, rocAuc)

const meanError =
  (error: (difference: number) => number, finish: (mean: number) => number) =>
  (labels: ArrayLike<number>, predictions: ArrayLike<number>): number | undefined => {
    checked(labels, predictions)
    let [count, sum] = [0, 0]
    for (let i = 0; i < labels.length; i++) {
      if (Number.isNaN(labels[i]!)) continue
      count++
      sum += error(predictions[i]! - labels[i]!)
    }
    return count === 0 ? undefined : finish(sum / count)
  }

/**
 * The root of the mean squared error, in the unit of the labels; rows whose label is NaN are passed over, undefined where
 * none is left. Throws a `RangeError` on unequal or no rows.
 *
 * ```ts
 * Metrics.rmse([1, 2], [1, 4]) // => 1.4142
 * ```
 */
export const rmse = meanError((difference) => difference * difference, Math.sqrt)

/** The mean absolute error, otherwise as {@link rmse}. */
export const mae = meanError(Math.abs, (mean) => mean)

/** {@link rmse} of each task, labels and predictions being [rows, tasks], and the mean over tasks that have labels. */
export const rmseByTask = (labels: ArrayLike<number>, predictions: ArrayLike<number>, tasks: number): TaskScores =>
  byTask(labels, predictions, tasks, rmse)

/** {@link mae} of each task, labels and predictions being [rows, tasks], and the mean over tasks that have labels. */
export const maeByTask = (labels: ArrayLike<number>, predictions: ArrayLike<number>, tasks: number): TaskScores =>
  byTask(labels, predictions, tasks, mae)
