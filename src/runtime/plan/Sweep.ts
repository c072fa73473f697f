import type { LevelWiring } from "./Wiring.ts"
import { WiringError } from "./Wiring.ts"

/** One solve of a reverse sweep: at `level`, handing cotangents on to the variables in `into`. */
export interface Hop {
  readonly level: string
  readonly variable: string
  readonly into: ReadonlyArray<string>
  /** Whether it begins with the evaluation of the level's own update. */
  readonly shared?: true
}

/** How one level's hypergradient is put together. */
export interface Sweep {
  readonly level: string
  /** Variables of levels below that the objective reads and a gradient passes through. */
  readonly reads: ReadonlyArray<string>
  /** Solves, in the order in which cotangents are complete. */
  readonly hops: ReadonlyArray<Hop>
}

/** Levels by name and by variable, with the set of levels strictly below each. */
export interface Index {
  readonly order: ReadonlyArray<LevelWiring>
  readonly owner: ReadonlyMap<string, LevelWiring>
  readonly byName: ReadonlyMap<string, LevelWiring>
  readonly below: ReadonlyMap<string, ReadonlySet<string>>
}

const readsOf = (level: LevelWiring, index: Index): ReadonlyArray<string> => [
  ...level.upstream.map((name) => index.byName.get(name)!.variable),
  ...level.given
]

// A sweep only ever follows levels that respond: detached and frozen ones are constants to everyone above.
const responds = (level: LevelWiring, frozen: ReadonlySet<string>): boolean =>
  level.estimator?.kind !== "detached" && !frozen.has(level.name)

/**
 * The reverse sweep of one level.
 *
 * A level below takes part if a cotangent reaches it from `level` and its solution depends on `level`'s variable. Its
 * own optimality must be first-order: where its gradient is itself a hypergradient, its response would need a response
 * of a response, which is refused here rather than answered with a silent zero.
 */
const sweepOf = (
  level: LevelWiring,
  index: Index,
  frozen: ReadonlySet<string>,
  done: ReadonlyMap<string, Sweep>
): Sweep | WiringError => {
  const below = index.below.get(level.name)!
  const inside = (variable: string): LevelWiring | undefined => {
    const owner = index.owner.get(variable)
    return owner !== undefined && below.has(owner.name) && responds(owner, frozen) ? owner : undefined
  }
  // Which levels below depend on `level.variable`, found from the readers of each dependent variable.
  const readers = new Map<string, Array<LevelWiring>>()
  for (const name of below) {
    const reader = index.byName.get(name)!
    if (!responds(reader, frozen)) continue
    for (const variable of readsOf(reader, index)) readers.set(variable, [...(readers.get(variable) ?? []), reader])
  }
  const dependent = new Set<string>()
  const spread = [level.variable]
  while (spread.length > 0) {
    for (const reader of readers.get(spread.pop()!) ?? []) {
      if (dependent.has(reader.name)) continue
      dependent.add(reader.name)
      spread.push(reader.variable)
    }
  }
  // Sorted, so that the order in which cotangents are summed does not follow the order of declaration.
  const targets = (node: LevelWiring): ReadonlyArray<LevelWiring> =>
    readsOf(node, index)
      .toSorted()
      .flatMap((variable) => {
        const owner = inside(variable)
        return owner !== undefined && dependent.has(owner.name) ? [owner] : []
      })
  // Depth-first from the level: finished last means that every reader's cotangent comes before.
  const finished: Array<LevelWiring> = []
  const state = new Map<string, "open" | "closed">()
  const visit = (node: LevelWiring): WiringError | undefined => {
    if (state.get(node.name) === "closed") return undefined
    if (state.get(node.name) === "open") {
      return new WiringError({
        kind: "CyclicResponse",
        level: level.name,
        found: `the response of '${node.name}' to '${level.variable}' depends on itself`,
        remedy: "give one of the levels in between Hypergradient.detached, or merge them into one level"
      })
    }
    state.set(node.name, "open")
    const own = done.get(node.name)
    if (own !== undefined && own.hops.length > 0) {
      return new WiringError({
        kind: "ResponseOfResponse",
        level: level.name,
        found:
          `it needs the response of '${node.name}', whose own gradient already contains the response of ` +
          `'${own.hops[0]!.level}' to '${node.variable}'`,
        remedy:
          "a response of a response needs third derivatives that no estimator here computes: give " +
          `'${own.hops[0]!.level}' or '${node.name}' Hypergradient.detached, or merge the two levels`
      })
    }
    if (node.estimator === null) {
      return new WiringError({
        kind: "NoEstimator",
        level: node.name,
        found: `'${level.name}' differentiates its solution with respect to '${level.variable}', but it states no estimator`,
        remedy: "add Level.hypergradient(…) to it: Hypergradient.implicit, unrolled, forward or detached"
      })
    }
    for (const next of targets(node)) {
      const defect = visit(next)
      if (defect !== undefined) return defect
    }
    state.set(node.name, "closed")
    finished.push(node)
    return undefined
  }
  const first = targets({ ...level, given: [] })
  for (const node of first) {
    const defect = visit(node)
    if (defect !== undefined) return defect
  }
  return {
    level: level.name,
    reads: first.map((node) => node.variable),
    hops: finished.toReversed().map((node) => ({
      level: node.name,
      variable: node.variable,
      into: [
        ...targets(node).map((next) => next.variable),
        ...(readsOf(node, index).includes(level.variable) ? [level.variable] : [])
      ].sort()
    }))
  }
}

/** Every level's sweep, lower levels first; the first defect found otherwise. */
export const sweeps = (
  index: Index,
  frozen: ReadonlySet<string> = new Set()
): ReadonlyMap<string, Sweep> | WiringError => {
  const done = new Map<string, Sweep>()
  for (const level of index.order) {
    const sweep = sweepOf(level, index, frozen, done)
    if (sweep instanceof WiringError) return sweep
    done.set(level.name, sweep)
  }
  return done
}
