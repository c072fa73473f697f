/** The records of one trial as curves. */
import type { Record as Line } from "../folder/Records.ts"
import type { Series } from "../view/Chart.ts"
import { even, type Point, thin } from "./Thin.ts"

/** What one level wrote, each on the level's own count of updates. */
export interface LevelCurves {
  readonly level: string
  readonly loss: ReadonlyArray<Point>
  readonly parts: ReadonlyArray<Series>
  readonly gradient: ReadonlyArray<Point>
  /** Of the ticks that were looked at: norms of the gradient, of what the optimizer takes of it, and of the change. */
  readonly norms: ReadonlyArray<Series>
  readonly rates: ReadonlyArray<Series>
}

/** What a level cost: what a turn takes, at the middle of its records, and all of its turns. */
export interface LevelCost {
  readonly level: string
  readonly turns: number
  readonly milliseconds: number | undefined
  readonly evaluations: number
  readonly bytes: number | undefined
}

/** Tradeoff weights of one level over steps. */
export interface LambdaCurves {
  readonly level: string
  readonly weights: ReadonlyArray<Series>
  readonly first: ReadonlyArray<number>
  readonly last: ReadonlyArray<number>
  /** Mean over the last half of the records. */
  readonly late: ReadonlyArray<number>
}

/** A level's hypergradient over steps: its norm, the direct part's, each path's with its cosine, and each solve's residual. */
export interface HyperCurves {
  readonly level: string
  readonly norm: ReadonlyArray<Point>
  readonly direct: ReadonlyArray<Point>
  readonly paths: ReadonlyArray<{
    readonly via: string
    readonly norm: ReadonlyArray<Point>
    readonly cosine: ReadonlyArray<Point>
    readonly share: ReadonlyArray<Point>
  }>
  readonly solves: ReadonlyArray<{
    readonly solve: string
    readonly residual: ReadonlyArray<Point>
    readonly unmeasured: number
    /** How often it was looked at, and how often its solver did not call it sound. */
    readonly looks: number
    readonly unsound: number
  }>
}

/** Everything that a trial wrote, thinned for drawing. */
export interface Curves {
  readonly levels: ReadonlyArray<LevelCurves>
  readonly lambda: ReadonlyArray<LambdaCurves>
  readonly hyper: ReadonlyArray<HyperCurves>
  readonly scores: ReadonlyArray<Series>
  readonly costs: ReadonlyArray<LevelCost>
  /** The most memory that the process held, in bytes; undefined where it was not noted. */
  readonly peak: number | undefined
}

/** Points of a line at most: a picture has no more columns to show them in. */
const most = 400

/** Values by name, in the order in which names come. */
class Lines {
  readonly #lines = new Map<string, Array<Point>>()
  add(name: string, k: number, value: number): void {
    const line = this.#lines.get(name)
    if (line === undefined) this.#lines.set(name, [[k, value]])
    else line.push([k, value])
  }
  of(name: string): ReadonlyArray<Point> {
    return thin(this.#lines.get(name) ?? [], most)
  }
  all(): ReadonlyArray<Series> {
    return [...this.#lines.keys()].map((name) => ({ name, points: this.of(name) }))
  }
}

const grouped = <A extends { readonly level: string }>(
  all: ReadonlyArray<A>
): ReadonlyArray<readonly [string, ReadonlyArray<A>]> => {
  const groups = new Map<string, Array<A>>()
  for (const one of all) {
    const group = groups.get(one.level)
    if (group === undefined) groups.set(one.level, [one])
    else group.push(one)
  }
  return [...groups]
}

type Of<T extends Line["t"]> = Extract<Line, { readonly t: T }>
const only = <T extends Line["t"]>(records: ReadonlyArray<Line>, t: T): ReadonlyArray<Of<T>> =>
  records.filter((record): record is Of<T> => record.t === t)

const mean = (rows: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> =>
  rows[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length)

/** The curves of a trial's records. */
export const of = (records: ReadonlyArray<Line>): Curves => {
  const levels = grouped(only(records, "step")).map(([level, steps]): LevelCurves => {
    const [own, parts, norms, rates] = [new Lines(), new Lines(), new Lines(), new Lines()]
    for (const { gnorm, loss, moved, parts: values = {}, rates: groups = {}, taken, tick } of steps) {
      own.add("loss", tick, loss)
      if (gnorm !== undefined) own.add("gradient", tick, gnorm)
      for (const [name, value] of Object.entries(values)) parts.add(name, tick, value)
      for (const [name, value] of Object.entries(groups)) rates.add(name === "" ? "rate" : name, tick, value)
      if (moved === undefined) continue
      if (gnorm !== undefined) norms.add("gradient", tick, gnorm)
      if (taken !== undefined) norms.add("gradient as taken", tick, taken)
      norms.add("change", tick, moved)
    }
    const lines = { parts: parts.all(), norms: norms.all(), rates: rates.all() }
    return { level, loss: own.of("loss"), gradient: own.of("gradient"), ...lines }
  })
  const lambda = grouped(only(records, "lambda")).map(([level, rows]): LambdaCurves => {
    const weights = new Lines()
    for (const { k, lambda, names } of even(rows, most))
      for (const [i, value] of lambda.entries()) weights.add(names[i] ?? `${i}`, k, value)
    const late = mean(rows.slice(Math.floor(rows.length / 2)).map((row) => row.lambda))
    return { level, weights: weights.all(), first: rows[0]!.lambda, last: rows.at(-1)!.lambda, late }
  })
  const hyper = grouped(only(records, "hyper")).map(([level, rows]): HyperCurves => {
    const [own, norms, cosines] = [new Lines(), new Lines(), new Lines()]
    const [shares, residuals] = [new Lines(), new Lines()]
    const solved = new Map<string, { unmeasured: number; looks: number; unsound: number }>()
    for (const { direct, k, norm, parts, solves } of rows) {
      own.add("norm", k, norm)
      own.add("direct", k, direct)
      for (const part of parts) {
        norms.add(part.via.join(" → "), k, part.norm)
        cosines.add(part.via.join(" → "), k, part.cos)
        if (part.share !== undefined) shares.add(part.via.join(" → "), k, part.share)
      }
      for (const { level, ok, residual, solver } of solves) {
        const name = `${level}: ${solver}`
        const known = solved.get(name) ?? { unmeasured: 0, looks: 0, unsound: 0 }
        solved.set(name, known)
        known.looks++
        if (ok === false) known.unsound++
        if (residual === null) known.unmeasured++
        else residuals.add(name, k, residual)
      }
    }
    return {
      level,
      norm: own.of("norm"),
      direct: own.of("direct"),
      paths: norms
        .all()
        .map(({ name, points }) => ({ via: name, norm: points, cosine: cosines.of(name), share: shares.of(name) })),
      solves: [...solved].map(([solve, counts]) => ({ solve, residual: residuals.of(solve), ...counts }))
    }
  })
  const scores = new Lines()
  for (const { k, level, metrics, split } of only(records, "eval")) {
    for (const [name, value] of Object.entries(metrics)) scores.add(`${level} ${name} (${split})`, k, value)
  }
  const costs = grouped(only(records, "cost")).map(([level, rows]): LevelCost => {
    const times = rows.flatMap(({ ms }) => (ms === null ? [] : [ms])).sort((a, b) => a - b)
    const { bytes, evaluations } = rows.at(-1)!
    const turns = rows.reduce((sum, row) => sum + row.turns, 0)
    return { level, turns, milliseconds: times[times.length >> 1], evaluations, bytes: bytes ?? undefined }
  })
  const peak = only(records, "memory").reduce<number | undefined>(
    (most, row) => Math.max(most ?? 0, row.peak),
    undefined
  )
  return { levels, lambda, hyper, scores: scores.all(), costs, peak }
}
