import type { Shape } from "./Reduced.ts"
import type { LevelWiring } from "./Wiring.ts"
import { WiringError } from "./Wiring.ts"

/** One solve of a reverse sweep: at `level`, handing cotangents on to the variables in `into`. */
export interface Hop {
  readonly level: string
  readonly variable: string
  readonly into: ReadonlyArray<string>
  /** Levels whose responses the level's own gradient contains, in the order in which they follow it; absent where there are none. */
  readonly moving?: ReadonlyArray<string>
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

/** What a level reads: solutions below it and what it is given. */
const readsOf = (level: LevelWiring, index: Index): ReadonlyArray<string> => [
  ...level.upstream.map((name) => index.byName.get(name)!.variable),
  ...level.given
]

// A sweep only ever follows levels that respond: detached and frozen ones are constants to everyone above.
const responds = (level: LevelWiring, frozen: ReadonlySet<string>): boolean =>
  level.estimator?.kind !== "detached" && !frozen.has(level.name)

/** The levels that follow a level: those of its sweep, each before those that follow it in turn. */
export const followers = ({ hops }: Sweep): ReadonlyArray<string> => [
  ...new Set(hops.toReversed().flatMap((hop) => [hop.level, ...(hop.moving ?? [])]))
]

/** Why the response of a level cannot be had whose own gradient contains responses. */
const inflexible = (
  level: LevelWiring,
  node: LevelWiring,
  following: ReadonlyArray<LevelWiring>
): WiringError | undefined => {
  if (following.length === 0) return undefined
  const refuse = (found: string, remedy: string) =>
    new WiringError({
      kind: "ResponseOfResponse",
      level: level.name,
      found:
        `it needs the response of '${node.name}', whose own gradient already contains the response of ` +
        `'${following[0]!.name}' to '${node.variable}', and ${found}`,
      remedy
    })
  const { estimator } = node
  if (estimator?.kind !== "implicit" || estimator.atUpdate === true) {
    const found = `'${estimator?.name}' of '${node.name}' does not differentiate its optimality at its present value`
    return refuse(found, `give '${node.name}' Hypergradient.implicit, or Hypergradient.detached`)
  }
  if (estimator.curvature !== undefined) {
    const found = `the curvature '${estimator.curvature}' is of a loss, not of one with responses`
    return refuse(found, `leave out curvature of '${node.name}'`)
  }
  const stiff = following.find((each) => each.estimator?.solve?.differentiable !== true)
  if (stiff === undefined) return undefined
  return refuse(
    `'${stiff.estimator?.name}' of '${stiff.name}' is no solve that can be differentiated`,
    `give '${stiff.name}' Hypergradient.implicit with a solver that solves anew each time (exact, conjugateGradient, minres, neumann, ` +
      `nystrom), or give it or '${node.name}' Hypergradient.detached`
  )
}

/** What the reduced gradient of a level reads: what it and the levels that follow it do, these left out. */
export const readsWith = (
  level: { readonly variable: string },
  reads: ReadonlyArray<string>,
  following: ReadonlyArray<{ readonly variable: string; readonly reads: ReadonlyArray<string> }>
): ReadonlyArray<string> => {
  const eliminated = new Set([level.variable, ...following.map(({ variable }) => variable)])
  return [...new Set([reads, ...following.map((each) => each.reads)].flat())]
    .filter((variable) => !eliminated.has(variable))
    .toSorted()
}

/**
 * The reverse sweep of one level.
 *
 * A level below takes part if a cotangent reaches it from `level` and its solution depends on `level`'s variable. Where its own
 * gradient contains responses, its optimality is that of the reduced gradient, with the levels that follow it eliminated.
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
  const following = (node: LevelWiring): ReadonlyArray<string> => {
    const own = done.get(node.name)
    return own === undefined ? [] : followers(own)
  }
  const reduced = (node: LevelWiring): ReadonlyArray<string> => {
    const others = following(node).map((name) => index.byName.get(name)!)
    return readsWith(
      node,
      readsOf(node, index),
      others.map((other) => ({ variable: other.variable, reads: readsOf(other, index) }))
    )
  }
  const targets = (node: LevelWiring): ReadonlyArray<LevelWiring> =>
    reduced(node).flatMap((variable) => {
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
    if (node.estimator === null) {
      return new WiringError({
        kind: "NoEstimator",
        level: node.name,
        found: `'${level.name}' differentiates its solution with respect to '${level.variable}', but it states no estimator`,
        remedy: "add Level.hypergradient(…) to it: Hypergradient.implicit, unrolled, forward or detached"
      })
    }
    const rigid = inflexible(
      level,
      node,
      following(node).map((name) => index.byName.get(name)!)
    )
    if (rigid !== undefined) return rigid
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
    hops: finished.toReversed().map((node) => {
      const moving = following(node)
      return {
        level: node.name,
        variable: node.variable,
        into: [
          ...targets(node).map((next) => next.variable),
          ...(reduced(node).includes(level.variable) ? [level.variable] : [])
        ].sort(),
        ...(moving.length === 0 ? {} : { moving })
      }
    })
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

/** What the expansion of reduced gradients needs to know of these levels. */
export const shapesOf = (
  levels: ReadonlyArray<{ readonly name: string; readonly variable: string; readonly reads: ReadonlyArray<string> }>,
  sweeps: ReadonlyMap<string, Sweep>
): ReadonlyMap<string, Shape> => {
  const byName = new Map(levels.map((level) => [level.name, level]))
  return new Map(
    levels.map((level) => {
      const sweep = sweeps.get(level.name)!
      const following = followers(sweep)
      const reduced = readsWith(
        level,
        level.reads,
        following.map((name) => byName.get(name)!)
      )
      const { reads, variable } = level
      return [level.name, { variable, reads, hops: sweep.hops.map((hop) => hop.level), followers: following, reduced }]
    })
  )
}
