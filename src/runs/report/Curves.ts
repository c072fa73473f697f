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
  }>
  readonly solves: ReadonlyArray<{
    readonly solve: string
    readonly residual: ReadonlyArray<Point>
    readonly unmeasured: number
  }>
}

/** Everything that a trial wrote, thinned for drawing. */
export interface Curves {
  readonly levels: ReadonlyArray<LevelCurves>
  readonly lambda: ReadonlyArray<LambdaCurves>
  readonly hyper: ReadonlyArray<HyperCurves>
  readonly scores: ReadonlyArray<Series>
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
    const [own, parts] = [new Lines(), new Lines()]
    for (const { gnorm, loss, parts: values = {}, tick } of steps) {
      own.add("loss", tick, loss)
      if (gnorm !== undefined) own.add("gradient", tick, gnorm)
      for (const [name, value] of Object.entries(values)) parts.add(name, tick, value)
    }
    return { level, loss: own.of("loss"), gradient: own.of("gradient"), parts: parts.all() }
  })
  const lambda = grouped(only(records, "lambda")).map(([level, rows]): LambdaCurves => {
    const weights = new Lines()
    for (const { k, lambda, names } of even(rows, most))
      for (const [i, value] of lambda.entries()) weights.add(names[i] ?? `${i}`, k, value)
    const late = mean(rows.slice(Math.floor(rows.length / 2)).map((row) => row.lambda))
    return { level, weights: weights.all(), first: rows[0]!.lambda, last: rows.at(-1)!.lambda, late }
  })
  const hyper = grouped(only(records, "hyper")).map(([level, rows]): HyperCurves => {
    const [own, norms, cosines, residuals] = [new Lines(), new Lines(), new Lines(), new Lines()]
    const unmeasured = new Map<string, number>()
    for (const { direct, k, norm, parts, solves } of rows) {
      own.add("norm", k, norm)
      own.add("direct", k, direct)
      for (const part of parts) {
        norms.add(part.via.join(" → "), k, part.norm)
        cosines.add(part.via.join(" → "), k, part.cos)
      }
      for (const { level, residual, solver } of solves) {
        const name = `${level}: ${solver}`
        if (!unmeasured.has(name)) unmeasured.set(name, 0)
        if (residual === null) unmeasured.set(name, unmeasured.get(name)! + 1)
        else residuals.add(name, k, residual)
      }
    }
    return {
      level,
      norm: own.of("norm"),
      direct: own.of("direct"),
      paths: norms.all().map(({ name, points }) => ({ via: name, norm: points, cosine: cosines.of(name) })),
      solves: [...unmeasured].map(([solve, missing]) => ({ solve, residual: residuals.of(solve), unmeasured: missing }))
    }
  })
  const scores = new Lines()
  for (const { k, level, metrics, split } of only(records, "eval")) {
    for (const [name, value] of Object.entries(metrics)) scores.add(`${level} ${name} (${split})`, k, value)
  }
  return { levels, lambda, hyper, scores: scores.all() }
}
