/** What levels cost, from what ticks took: which levels acted in each is known, and what a level adds is what ticks with it take more. */
import { acts, type Plan } from "../../runtime/plan/Plan.ts"
import type { Tick } from "../../runtime/run/Run.ts"
import type { Record } from "./Records.ts"

/** Times of ticks that are remembered for each set of levels that act: the middle one of them is taken. */
const remembered = 32

/** Ticks in which the same levels act. */
interface Kind {
  readonly levels: ReadonlySet<number>
  readonly times: Array<number>
}

const middle = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const within = (one: ReadonlySet<number>, other: ReadonlySet<number>): boolean =>
  one.size < other.size && [...one].every((level) => other.has(level))

/** What a run's levels cost, tick by tick. */
export class Costs {
  readonly #plan: Plan
  readonly #bytes: { readonly [level: string]: number }
  readonly #kinds = new Map<string, Kind>()
  readonly #turns: Array<number>

  /** `bytes` are those of the state that each level carries, where they are known. */
  constructor(plan: Plan, bytes: { readonly [level: string]: number }) {
    this.#plan = plan
    this.#bytes = bytes
    this.#turns = plan.levels.map(() => 0)
  }

  /** Notes a tick. */
  add({ index, took }: Pick<Tick, "index" | "took">): void {
    const acting = this.#plan.levels.flatMap((level, i) => (acts(level, index) ? [i] : []))
    for (const i of acting) this.#turns[i]!++
    const key = acting.join()
    const kind = this.#kinds.get(key)
    if (kind === undefined) return void this.#kinds.set(key, { levels: new Set(acting), times: [took] })
    kind.times.push(took)
    if (kind.times.length > remembered) kind.times.shift()
  }

  /**
   * The milliseconds of a turn of each level; undefined of one that had none. Of ticks with the same levels the middle time is
   * taken, so that the first ones, which compile, do not count; levels that never act without one another share what they add by
   * the gradients that the plan counts.
   */
  milliseconds(): ReadonlyArray<number | undefined> {
    const { cost, levels } = this.#plan
    const found: Array<number | undefined> = levels.map(() => undefined)
    const kinds = [...this.#kinds.values()].sort((a, b) => a.levels.size - b.levels.size)
    for (const { levels: own, times } of kinds) {
      const below = kinds.findLast((kind) => within(kind.levels, own))
      const added = [...own].filter((i) => !below?.levels.has(i) && found[i] === undefined)
      const known = [...own].reduce((sum, i) => sum + (added.includes(i) ? 0 : (found[i] ?? 0)), 0)
      const rest = Math.max(0, middle(times) - known)
      const evaluations = added.reduce((sum, i) => sum + cost[i]!.evaluations, 0)
      for (const i of added) found[i] = (rest * cost[i]!.evaluations) / evaluations
    }
    return found
  }

  /** The records of what levels have cost since they were last asked for. */
  take(tick: number, seconds: number): ReadonlyArray<Extract<Record, { readonly t: "cost" }>> {
    const milliseconds = this.milliseconds()
    return this.#plan.levels.flatMap(({ name }, i) => {
      const turns = this.#turns[i]!
      this.#turns[i] = 0
      if (turns === 0) return []
      const ms = milliseconds[i] ?? null
      const { evaluations } = this.#plan.cost[i]!
      return [
        {
          t: "cost",
          k: tick,
          level: name,
          w: seconds,
          turns,
          ms,
          evaluations,
          bytes: this.#bytes[name] ?? null
        } as const
      ]
    })
  }
}
