/** How methods stand: by task with paired differences from a baseline, and over all tasks. */
import * as Arr from "effect/Array"
import type { Score } from "../folder/Score.ts"
import * as Paired from "./Paired.ts"
import * as Statistics from "./Statistics.ts"

/** One method on one task. */
export interface Standing {
  readonly method: string
  /** Scores by seed, ascending. */
  readonly values: ReadonlyArray<{ readonly seed: number; readonly value: number }>
  readonly mean: number
  /** Sample deviation; not a number for a single seed. */
  readonly deviation: number
  /** Its score minus the baseline's over the seeds that both have; undefined of the baseline, or where none is shared. */
  readonly difference: (Paired.Paired & { readonly holm: number | undefined }) | undefined
}

/** All methods on one task, p corrected over them. */
export interface OfTask {
  readonly task: string
  readonly standings: ReadonlyArray<Standing>
  /** Seeds that every comparison has at least, and the smallest corrected p that they can give. */
  readonly seeds: number
  readonly smallest: number
}

/** One method over all tasks. */
export interface Overall {
  readonly method: string
  /** The mean over tasks of its rank by mean score, 1 the best. */
  readonly rank: number
  /** How likely it is better than the baseline, the mean over tasks; undefined of the baseline. */
  readonly improvement: number | undefined
  /** Of its differences from the baseline, a mean for each task; undefined of the baseline and of a single task. */
  readonly p: number | undefined
}

/** Methods compared by one metric on one split. */
export interface Standings {
  readonly metric: string
  readonly split: Score["split"]
  readonly better: Score["better"]
  readonly baseline: string
  readonly tasks: ReadonlyArray<OfTask>
  /** Over the tasks that all methods have; empty of a single task. */
  readonly overall: ReadonlyArray<Overall>
}

const ofTask = (task: string, scores: ReadonlyArray<Score>, baseline: string): OfTask => {
  const rows = Arr.dedupe(scores.map(({ method }) => method)).map((method) => {
    const values = scores
      .filter((score) => score.method === method)
      .map(({ seed, value }) => ({ seed, value }))
      .toSorted((a, b) => a.seed - b.seed)
    return { method, values }
  })
  const base = new Map(rows.find(({ method }) => method === baseline)?.values.map(({ seed, value }) => [seed, value]))
  const paired = rows.map(({ method, values }) =>
    method === baseline
      ? undefined
      : Paired.of(values.flatMap(({ seed, value }) => (base.has(seed) ? [value - base.get(seed)!] : [])))
  )
  const tested = paired.flatMap((each) => (each?.p === undefined ? [] : [each.p]))
  const corrected = Paired.holm(tested)
  let next = 0
  const standings = rows.map(({ method, values }, i): Standing => {
    const numbers = values.map(({ value }) => value)
    const own = paired[i]
    return {
      method,
      values,
      mean: Statistics.mean(numbers),
      deviation: Statistics.deviation(numbers),
      difference: own === undefined ? undefined : { ...own, holm: own.p === undefined ? undefined : corrected[next++] }
    }
  })
  const seeds = Math.min(...paired.flatMap((each) => (each === undefined ? [] : [each.n])))
  return {
    task,
    standings,
    seeds: Number.isFinite(seeds) ? seeds : 0,
    smallest: Math.min(1, tested.length * Paired.smallestP(seeds))
  }
}

const overall = (
  tasks: ReadonlyArray<OfTask>,
  methods: ReadonlyArray<string>,
  baseline: string,
  sign: 1 | -1
): ReadonlyArray<Overall> => {
  const complete = tasks.filter(({ standings }) => standings.length === methods.length)
  if (complete.length < 2) return []
  const of = (task: OfTask, method: string) => task.standings.find((standing) => standing.method === method)!
  return methods.map((method) => {
    const ranks = complete.map((task) => {
      const places = Statistics.ranks(methods.map((other) => -sign * of(task, other).mean))
      return places[methods.indexOf(method)]!
    })
    if (method === baseline) {
      return { method, rank: Statistics.mean(ranks), improvement: undefined, p: undefined }
    }
    const signed = (task: OfTask, which: string) => of(task, which).values.map(({ value }) => sign * value)
    const improvements = complete.map((task) => Paired.improvement(signed(task, method), signed(task, baseline)))
    const differences = complete.flatMap((task) => of(task, method).difference?.mean ?? [])
    return {
      method,
      rank: Statistics.mean(ranks),
      improvement: Statistics.mean(improvements),
      p: differences.length < 2 ? undefined : Statistics.pairedP(differences)
    }
  })
}

/**
 * How methods stand by scores of one metric on one split, each method having one score for a task and seed. Tests are paired by
 * seed and exact (sign flips), p is corrected over the methods of a task (Holm), intervals are {@link Paired.interval}'s.
 */
export const of = (scores: ReadonlyArray<Score>, baseline: string): Standings => {
  const { better, metric, split } = scores[0]!
  const methods = Arr.dedupe(scores.map(({ method }) => method))
  const tasks = Arr.dedupe(scores.map(({ task }) => task)).map((task) =>
    ofTask(
      task,
      scores.filter((score) => score.task === task),
      baseline
    )
  )
  return {
    metric,
    split,
    better,
    baseline,
    tasks,
    overall: overall(tasks, methods, baseline, better === "more" ? 1 : -1)
  }
}

/** Whether a method is better than the baseline on a task, at a corrected p of at most `level`. */
export const isBetter = ({ standings }: OfTask, method: string, better: Score["better"], level: number): boolean => {
  const difference = standings.find((standing) => standing.method === method)?.difference
  if (difference?.holm === undefined) return false
  return difference.holm <= level && (better === "more" ? difference.mean > 0 : difference.mean < 0)
}
