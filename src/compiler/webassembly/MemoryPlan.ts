/** Where results that are needed for a while lie: places are used again when nothing more is read from them. */
import { type Node, sizeOf } from "../graph/Graph.ts"
import type { Schedule } from "./Schedule.ts"

export interface MemoryPlan {
  /** In words from the start, of every node that is needed in memory and is no output. */
  readonly places: ReadonlyMap<Node, number>
  /** Words of all. */
  readonly words: number
}

interface Occupied {
  readonly from: number
  readonly to: number
  /** The last kernel that reads it. */
  readonly until: number
}

/** The first gap that is large enough. */
const gap = (occupied: ReadonlyArray<Occupied>, words: number): number => {
  let from = 0
  for (const each of occupied) {
    if (each.from - from >= words) return from
    from = Math.max(from, each.to)
  }
  return from
}

/** Gives nodes places in the order in which they are computed. */
export const make = (
  { begun, list, read, stored, written }: Pick<Schedule, "begun" | "list" | "read" | "stored" | "written">,
  outputs: ReadonlyArray<Node>
): MemoryPlan => {
  const places = new Map<Node, number>()
  const apart = new Set([list, ...outputs])
  const nodes = [...stored].filter((node) => !apart.has(node) && node.op !== "input" && node.op !== "const")
  nodes.sort((a, b) => begun.get(a)! - begun.get(b)!)
  let occupied: ReadonlyArray<Occupied> = []
  let words = 0
  for (const node of nodes) {
    const length = Math.ceil(sizeOf(node) / 4) * 4
    occupied = occupied.filter(({ until }) => until >= begun.get(node)!)
    const from = gap(occupied, length)
    places.set(node, from)
    words = Math.max(words, from + length)
    const until = Math.max(read.get(node) ?? 0, written.get(node)!)
    occupied = [...occupied, { from, to: from + length, until }].sort((a, b) => a.from - b.from)
  }
  return { places, words }
}
