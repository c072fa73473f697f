/** One series of points as it grows, in the order of steps, each of them once, in bounded memory. */
import type { Key, Stepped } from "./News.ts"

/** Points kept of a series: beyond them every other one is left out. */
const kept = 40_000

/** The points of one series. */
export class Series implements Key {
  readonly trial: string
  readonly level: string
  readonly name: string
  #points: Array<Stepped> = []
  #stride = 1
  #seen = 0

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
   * Adds a point: at the end, or between others where its step came before. One of a step that is there already is known, unless a
   * later attempt wrote it, whose it is then.
   */
  add(point: Stepped): "end" | "between" | "known" {
    const points = this.#points
    const last = points.at(-1)
    if (last !== undefined && last[2] >= point[2]) {
      let [low, high] = [0, points.length]
      while (low < high) {
        const middle = (low + high) >> 1
        if (points[middle]![2] < point[2]) low = middle + 1
        else high = middle
      }
      const same = points[low]![2] === point[2]
      if (same && points[low]![3] >= point[3]) return "known"
      points.splice(low, same ? 1 : 0, point)
      this.#bound()
      return "between"
    }
    if (this.#seen++ % this.#stride === 0) points.push(point)
    this.#bound()
    return "end"
  }

  #bound(): void {
    if (this.#points.length <= kept) return
    this.#points = this.#points.filter((_, i) => i % 2 === 0)
    this.#stride *= 2
  }

  /** Leaves out what attempts before one wrote after a step. Whether there was any. */
  cut(step: number, attempt: number): boolean {
    const before = this.#points.length
    this.#points = this.#points.filter((point) => point[2] <= step || point[3] >= attempt)
    return this.#points.length < before
  }
}
