import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Problem } from "../../dsl/Problem.ts"
import * as Carriable from "./Carriable.ts"
import * as Defects from "./Defects.ts"
import type { Definition } from "../../dsl/Level.ts"
import * as Price from "./Price.ts"
import { uncut } from "./Rows.ts"
import { unsolvable } from "./Solvable.ts"
import { type Index, type Sweep, sweeps } from "./Sweep.ts"
import * as Wiring from "./Wiring.ts"
import { WiringError } from "./Wiring.ts"
import { estimating, unestimated } from "./Variance.ts"

const PlannedSweep = Schema.Struct({
  level: Schema.String,
  reads: Schema.Array(Schema.String),
  hops: Schema.Array(
    Schema.Struct({
      level: Schema.String,
      variable: Schema.String,
      into: Schema.Array(Schema.String),
      /** Levels whose responses the level's own gradient contains, in the order in which they follow it. */
      moving: Schema.optionalKey(Schema.Array(Schema.String)),
      /** Where it begins with the evaluation of the level's own update, on engines that compute equal things once. */
      shared: Schema.optionalKey(Schema.Literal(true))
    })
  )
})

const PlannedLevel = Schema.Struct({ ...Wiring.LevelWiring.fields, period: Schema.Int, start: Schema.Int })
/** A level with its place in time: it takes a turn at every tick divisible by `period` and acts on those after `start`. */
export type PlannedLevel = typeof PlannedLevel.Type

/** What a level's update costs, in evaluations of a first-order gradient. */
const Cost = Schema.Struct({
  level: Schema.String,
  evaluations: Schema.Finite,
  /** Further evaluations per element of the named levels' variables, of `"m × w"` for each of both (dense solves, derivatives carried forward). */
  evaluationsPerElement: Schema.Record(Schema.String, Schema.Finite),
  /** Average per tick, what is per element left out. */
  perTick: Schema.Finite
})

/** How a problem is run, as plain data: order, periods, firing pattern, sweeps, cost. */
export const Plan = Schema.Struct({
  version: Schema.Literal(1),
  simultaneous: Schema.Boolean,
  /** Whether updates within a tick go through `levels` backwards. */
  upperFirst: Schema.optionalKey(Schema.Literal(true)),
  /** Lower levels first: the order of updates within a tick, unless they are simultaneous or upper first. */
  levels: Schema.Array(PlannedLevel),
  fixed: Schema.Array(Schema.String),
  sweeps: Schema.Array(PlannedSweep),
  cost: Schema.Array(Cost)
})
export type Plan = typeof Plan.Type

/** Lower levels first, alphabetical among those that are free to go: the order in which levels were declared is forgotten. */
const ordered = (wiring: Wiring.Wiring): ReadonlyArray<Wiring.LevelWiring> | WiringError => {
  const byName = new Map(wiring.levels.map((l) => [l.name, l]))
  const readers = new Map<string, Array<string>>(wiring.levels.map((l) => [l.name, []]))
  const waiting = new Map(wiring.levels.map((l) => [l.name, new Set(l.upstream).size]))
  for (const level of wiring.levels) for (const name of new Set(level.upstream)) readers.get(name)!.push(level.name)
  const ready = wiring.levels.flatMap((l) => (l.upstream.length === 0 ? [l.name] : [])).sort()
  const order: Array<Wiring.LevelWiring> = []
  while (ready.length > 0) {
    const name = ready.shift()!
    order.push(byName.get(name)!)
    for (const reader of readers.get(name)!) {
      const left = waiting.get(reader)! - 1
      waiting.set(reader, left)
      if (left === 0) ready.push(reader)
    }
    ready.sort()
  }
  if (order.length < wiring.levels.length) {
    const stuck = wiring.levels
      .map((l) => l.name)
      .filter((name) => waiting.get(name)! > 0)
      .sort()
    return Defects.defect(
      "Cycle",
      stuck[0]!,
      `it is on or above a cycle of upstream levels among ${stuck.join(", ")}`,
      "a level may read only levels below it"
    )
  }
  return order
}

const indexOf = (order: ReadonlyArray<Wiring.LevelWiring>): Index => {
  const byName = new Map(order.map((l) => [l.name, l]))
  const below = new Map<string, ReadonlySet<string>>()
  for (const level of order) {
    below.set(level.name, new Set(level.upstream.flatMap((name) => [name, ...below.get(name)!])))
  }
  return { order, byName, below, owner: new Map(order.map((l) => [l.variable, l])) }
}

const misplaced = (wiring: Wiring.Wiring, index: Index): WiringError | undefined => {
  const reachable = index.below.get(wiring.top)!
  for (const level of index.order) {
    if (level.name !== wiring.top && !reachable.has(level.name)) {
      return Defects.defect(
        "Unreachable",
        level.name,
        `the top level '${wiring.top}' does not rest on it`,
        "add it upstream of a level that needs it, or leave it out"
      )
    }
    for (const variable of level.given) {
      const owner = index.owner.get(variable)
      if (owner !== undefined && !index.below.get(owner.name)!.has(level.name)) {
        const found = `it is given '${variable}', whose level '${owner.name}' is not above it`
        return Defects.defect(
          "GivenNotAbove",
          level.name,
          found,
          `put '${level.name}' below '${owner.name}', or read '${owner.name}' upstream`
        )
      }
    }
  }
  return undefined
}

/**
 * First tick after `start` at which a level of this period takes its turn.
 *
 * @internal
 */
export const firstTurn = (level: Pick<PlannedLevel, "period" | "start">): number =>
  (Math.floor(level.start / level.period) + 1) * level.period

const timed = (order: ReadonlyArray<Wiring.LevelWiring>): ReadonlyArray<PlannedLevel> => {
  const done = new Map<string, PlannedLevel>()
  for (const level of order) {
    const upstream = level.upstream.map((name) => done.get(name)!)
    done.set(level.name, {
      ...level,
      period: Math.max(1, ...upstream.map((below) => below.period * below.unroll)),
      start: Math.max(level.warmup, ...upstream.map((below) => firstTurn(below) - 1))
    })
  }
  return [...done.values()]
}

/** Whether a hop starts where the level's own update of the tick was made from, with an evaluation that this made. */
const sharing = ({ simultaneous }: Wiring.Wiring, { estimator }: Wiring.LevelWiring): boolean =>
  estimator?.shareable !== undefined && (estimator.atUpdate === true || estimator.kind === "unrolled" || simultaneous)

/** A level that is differentiated where its last update was made from must have made it in the same tick. */
const absent = (sweep: Sweep, levels: ReadonlyMap<string, PlannedLevel>): WiringError | undefined => {
  const reader = levels.get(sweep.level)!
  const late = sweep.hops
    .map((hop) => levels.get(hop.level)!)
    .find(({ estimator, period }) => estimator?.atUpdate === true && reader.period % period !== 0)
  if (late === undefined) return undefined
  const found =
    `it is to be differentiated where its last update was made from, but '${reader.name}', which does so every ` +
    `${reader.period} ticks, does not always come in a tick in which it updates, every ${late.period}`
  return Defects.defect("Estimator", late.name, found, "leave out at, or give the levels below periods that divide")
}

const costOf = (
  level: PlannedLevel,
  sweep: Sweep,
  index: Index,
  reader: PlannedLevel | undefined,
  priceOf: ReturnType<typeof Price.prices>
): typeof Cost.Type => {
  const estimators = sweep.hops.map((hop) => [hop.level, index.byName.get(hop.level)!.estimator!] as const)
  const shared = sweep.hops.map((hop, i) => (hop.shared === true ? estimators[i]![1].shareable! : 0))
  const carrying = Carriable.costOf(level, reader)
  const carried =
    (carrying?.perElement ?? 0) === 0 ? [] : [[reader!.name, carrying!.perElement * level.repeat] as const]
  const own = (level.accumulate ?? 1) * estimating(level, level) + (carrying?.once ?? 0)
  const prices = sweep.hops.map((hop, i) => {
    const factor = estimating(level, index.byName.get(hop.level)!)
    if (hop.moving !== undefined) return Price.times(priceOf(hop), factor)
    const [name, { evaluations, evaluationsPerElement }] = estimators[i]!
    return new Map([
      ["", (evaluations - shared[i]!) * factor],
      ...(evaluationsPerElement > 0 ? [[name, evaluationsPerElement * factor] as const] : [])
    ])
  })
  const once = own + prices.reduce((sum, price) => sum + (price.get("") ?? 0), 0)
  const perElement = new Map<string, number>()
  for (const price of prices)
    for (const [key, count] of price)
      if (key !== "" && count > 0) perElement.set(key, (perElement.get(key) ?? 0) + count * level.repeat)
  return {
    level: level.name,
    evaluations: once * level.repeat,
    evaluationsPerElement: Object.fromEntries([...perElement, ...carried]),
    perTick: (once * level.repeat) / level.period
  }
}

/** The plan of a wiring, or the first defect found in it. */
export const fromWiring = (wiring: Wiring.Wiring): Result.Result<Plan, WiringError> => {
  const early = Defects.first(wiring)
  if (early !== undefined) return Result.fail(early)
  const order = ordered(wiring)
  if (order instanceof WiringError) return Result.fail(order)
  const index = indexOf(order)
  const late = misplaced(wiring, index)
  if (late !== undefined) return Result.fail(late)
  const swept = sweeps(index)
  if (swept instanceof WiringError) return Result.fail(swept)
  const levels = timed(order)
  const planned = new Map(levels.map((level) => [level.name, level]))
  const found = new Map<string, Sweep>()
  for (const [name, sweep] of swept) {
    const defect = absent(sweep, planned)
    if (defect !== undefined) return Result.fail(defect)
    const hops = sweep.hops.map((hop) =>
      hop.moving === undefined && sharing(wiring, planned.get(hop.level)!) ? { ...hop, shared: true as const } : hop
    )
    found.set(name, { ...sweep, hops })
  }
  const uncarried = Carriable.uncarried([...found.values()], planned)
  if (uncarried !== undefined) return Result.fail(uncarried)
  const priceOf = Price.prices(levels, found)
  const readerOf = (name: string) => planned.get(Carriable.sweepThrough(found.values(), name)?.level ?? "")
  return Result.succeed({
    version: 1,
    simultaneous: wiring.simultaneous,
    ...(wiring.upperFirst === true ? { upperFirst: true as const } : {}),
    levels,
    fixed: [...wiring.fixed].sort(),
    sweeps: [...found.values()],
    cost: levels.map((level) => costOf(level, found.get(level.name)!, index, readerOf(level.name), priceOf))
  })
}

const faults = (levels: ReadonlyArray<Definition>, sweeps: ReadonlyArray<Sweep>): WiringError | undefined =>
  unsolvable(levels, sweeps) ??
  uncut(levels, sweeps) ??
  Carriable.crowded(levels, sweeps) ??
  unestimated(levels, sweeps)

/**
 * The plan of a problem, or the first defect found in its wiring.
 *
 * ```ts
 * const lambda = Var.make("lambda", Init.zeros([]))
 * const fit = Level.minimize(Var.make("w", Init.zeros([])), {
 *   given: [lambda],
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ lambda, w }) => tf.square(tf.sub(w, lambda))
 * }).pipe(Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact })))
 * const tune = Level.minimize(lambda, {
 *   upstream: [fit],
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ w }) => tf.square(tf.sub(w, 3))
 * })
 * const plan = await Effect.runPromise(Effect.fromResult(Plan.make(Problem.close(tune))))
 * plan.levels.map((level) => level.name) // => ["w", "lambda"]
 * ```
 */
export const make = (problem: Problem.Any): Result.Result<Plan, WiringError> => {
  const confusion = Wiring.confused(problem)
  if (confusion !== undefined) return Result.fail(confusion)
  return Result.flatMap(fromWiring(Wiring.fromProblem(problem)), (plan) => {
    const found = faults(Wiring.definitions(problem), plan.sweeps) ?? idle(plan, Infinity)
    return found === undefined ? Result.succeed(plan) : Result.fail(found)
  })
}

// Asked for at every tick: a plan's sweeps change only when another level freezes.
const sweepsKnown = new WeakMap<Plan, Map<string, ReadonlyMap<string, Sweep>>>()

/**
 * Sweeps while some levels are frozen: their solutions are constants to the levels above.
 *
 * @internal
 */
export const sweepsWhile = (plan: Plan, frozen: ReadonlySet<string>): ReadonlyMap<string, Sweep> => {
  const known = sweepsKnown.get(plan) ?? new Map<string, ReadonlyMap<string, Sweep>>()
  sweepsKnown.set(plan, known)
  const key = [...frozen].sort().join("\n")
  const before = known.get(key)
  if (before !== undefined) return before
  const found = sweeps(indexOf(plan.levels), frozen)
  // Freezing only removes levels from sweeps, so a plan that was accepted stays acceptable.
  if (found instanceof WiringError) throw found
  known.set(key, found)
  return found
}

/**
 * Whether a level acts at a tick (ticks count from 1).
 *
 * @internal
 */
export const acts = (level: PlannedLevel, tick: number): boolean =>
  tick % level.period === 0 && tick > level.start && (level.freeze === null || tick <= level.freeze)

/**
 * Updates a level has made up to and including a tick.
 *
 * @internal
 */
export const updatesAt = (level: PlannedLevel, tick: number): number => {
  const last = level.freeze === null ? tick : Math.min(tick, level.freeze)
  const turns = Math.floor(last / level.period) - Math.floor(level.start / level.period)
  return Math.max(0, turns) * level.repeat
}

/**
 * Whether a level starts again from its initial value before acting at a tick.
 *
 * @internal
 */
export const restarts = (level: PlannedLevel, tick: number): boolean =>
  level.restart && (tick / level.period - 1) % level.unroll === 0

/** Of a run of `ticks` ticks: the first level that never gets its turn, so that nothing trains its variable. */
export const idle = (plan: Plan, ticks: number): WiringError | undefined => {
  const late = plan.levels.find((level) => level.freeze !== 0 && updatesAt(level, ticks) === 0)
  if (late === undefined) return undefined
  const first = firstTurn(late)
  if (late.freeze !== null && late.freeze < first) {
    const found = `it is held constant after tick ${late.freeze}, before its first turn at tick ${first}`
    return Defects.defect("Schedule", late.name, found, "freeze it later, or hold its variable constant with Level.fix")
  }
  const found = `its first turn is at tick ${first}, but the run ends after tick ${ticks}, so that nothing trains '${late.variable}'`
  return Defects.defect(
    "Schedule",
    late.name,
    found,
    "run longer, or shorten the unroll and warm-up of it and of the levels below"
  )
}
