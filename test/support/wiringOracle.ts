import type { Wiring, WiringError } from "../../src/runtime/plan/Wiring.ts"

type Relation = ReadonlyArray<ReadonlyArray<boolean>>

/** Transitive closure (Warshall), so that nothing here walks a graph the way the planner does. */
const closure = (edges: Relation): Relation => {
  const reach = edges.map((row) => [...row])
  for (let k = 0; k < reach.length; k++)
    for (let i = 0; i < reach.length; i++)
      for (let j = 0; j < reach.length; j++) reach[i]![j] ||= reach[i]![k]! && reach[k]![j]!
  return reach
}

/** Every kind of defect a wiring has, by its definition; empty exactly if it is well wired. */
export const defects = (wiring: Wiring): ReadonlySet<WiringError["kind"]> => {
  const { levels } = wiring
  const found = new Set<WiringError["kind"]>()
  const index = new Map(levels.map((l, i) => [l.name, i]))
  const owner = new Map(levels.map((l, i) => [l.variable, i]))
  if (index.size < levels.length) found.add("DuplicateLevel")
  if (owner.size < levels.length) found.add("DuplicateVariable")
  if (!index.has(wiring.top)) found.add("UnknownLevel")
  for (const l of levels) {
    if (l.unroll < 1) found.add("Schedule")
    if (l.upstream.some((name) => !index.has(name))) found.add("UnknownLevel")
    if (l.given.some((v) => !owner.has(v) && !wiring.fixed.includes(v))) found.add("UnknownVariable")
    if (new Set(l.upstream).size < l.upstream.length || new Set(l.given).size < l.given.length) found.add("ReadTwice")
    if (l.given.includes(l.variable)) found.add("OwnGiven")
    if (wiring.fixed.includes(l.variable)) found.add("FixedAndMinimized")
    // Whatever a level carries must be named nowhere else in the wiring.
    const named = levels.flatMap((o) => [
      o.variable,
      ...o.given,
      ...(o === l || o.buffers === undefined ? [] : [o.buffers])
    ])
    if (l.buffers !== undefined && [...named, ...wiring.fixed].includes(l.buffers)) found.add("Buffers")
  }
  if (found.size > 0) return found
  const rests = closure(levels.map((l) => levels.map((other) => l.upstream.includes(other.name))))
  if (levels.some((_, i) => rests[i]![i])) return new Set(["Cycle"])
  const top = index.get(wiring.top)!
  levels.forEach((l, i) => {
    if (i !== top && !rests[top]![i]) found.add("Unreachable")
    for (const v of l.given) if (owner.has(v) && !rests[owner.get(v)!]![i]) found.add("GivenNotAbove")
  })
  if (found.size > 0) return found
  const responds = levels.map((l) => l.estimator?.kind !== "detached")
  const reads = levels.map((l) => levels.map((o) => l.upstream.includes(o.name) || l.given.includes(o.variable)))
  // Level m takes part in u's gradient if u's loss reaches it through solutions and it reaches u's variable.
  const partsOf = (u: number): ReadonlyArray<number> => {
    const inside = (i: number) => rests[u]![i]! && responds[i]!
    const among = closure(levels.map((_, i) => levels.map((_o, j) => inside(i) && inside(j) && reads[i]![j]!)))
    const starts = levels.flatMap((o, i) => (inside(i) && levels[u]!.upstream.includes(o.name) ? [i] : []))
    const ends = levels.flatMap((o, i) => (inside(i) && o.given.includes(levels[u]!.variable) ? [i] : []))
    return levels.flatMap((_, m) =>
      inside(m) && starts.some((s) => s === m || among[s]![m]) && ends.some((e) => e === m || among[m]![e]) ? [m] : []
    )
  }
  const parts = levels.map((_, u) => partsOf(u))
  for (const members of parts) {
    for (const m of members) {
      if (levels[m]!.estimator === null) found.add("NoEstimator")
      const deep = parts[m]!.concat(...parts[m]!.map((k) => parts[k]!))
      if (deep.some((k) => levels[k]!.estimator?.solve?.differentiable !== true)) found.add("ResponseOfResponse")
    }
  }
  return found
}
