/** One series of points as it grows, in the order of steps, each of them once, in bounded memory. */
import type { Key, Stepped } from "./News.ts"

/** Points kept of a series: beyond them there is one for each of twice as many steps as before. */
const kept = 40_000

/** The points of one series. */
export class Series implements Key {
  readonly trial: string
  readonly level: string
  readonly name: string
  #points: Array<Stepped> = []
  /** Steps of which one point is kept. */
  #stride = 1
  /** Whether the last point is there as the newest alone, until another is. */
  #passing = false

  constructor({ level, name, trial }: Key) {
    this.trial = trial
    this.level = level
    this.name = name
  }

  /** Its points, in the order of steps. */
  get points(): ReadonlyArray<Stepped> {
    return this.#points
  }

  /**
   * Adds a point: at the end, or between others where its step came before; `passed` is one in whose place another is kept. One of a
   * step that is there already is known, unless a later attempt wrote it, whose it is then.
   */
  add(point: Stepped): "end" | "between" | "passed" | "known" {
    const points = this.#points
    const last = points.at(-1)
    if (last === undefined || last[2] < point[2]) {
      if (this.#passing) points.pop()
      this.#passing = this.#near(points.at(-1), point)
      points.push(point)
      this.#bound()
      return "end"
    }
    let [low, high] = [0, points.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (points[middle]![2] < point[2]) low = middle + 1
      else high = middle
    }
    if (points[low]![2] === point[2]) {
      if (points[low]![3] >= point[3]) return "known"
      points[low] = point
      return "between"
    }
    if (this.#near(points[low - 1], point) || this.#near(points[low], point)) return "passed"
    points.splice(low, 0, point)
    this.#bound()
    return "between"
  }

  /** Whether two points are of one stride, which keeps one of them. */
  #near(one: Stepped | undefined, other: Stepped): boolean {
    return one !== undefined && Math.floor(one[2] / this.#stride) === Math.floor(other[2] / this.#stride)
  }

  #bound(): void {
    while (this.#points.length > kept) {
      this.#stride *= 2
      const [all, few] = [this.#points, [] as Array<Stepped>]
      for (const point of all) if (!this.#near(few.at(-1), point)) few.push(point)
      this.#passing = few.at(-1) !== all.at(-1)
      if (this.#passing) few.push(all.at(-1)!)
      this.#points = few
    }
  }

  /** Leaves out what attempts before one wrote after a step. Whether there was any. */
  cut(step: number, attempt: number): boolean {
    const [before, last] = [this.#points.length, this.#points.at(-1)]
    this.#points = this.#points.filter((point) => point[2] <= step || point[3] >= attempt)
    this.#passing &&= this.#points.at(-1) === last
    return this.#points.length < before
  }
}
