/** Estimates of a level's direction of less variance than one batch has. */
import * as tf from "@tensorflow/tfjs-core"
import * as Dataset from "../../dsl/Dataset.ts"
import type { Definition } from "../../dsl/Level.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import type { Moment } from "../plan/Moment.ts"
import type { Direction, Parts } from "./Direction.ts"
import * as Objective from "./Evaluation.ts"
import { keptOf, type Last, type Memory, type Named, type Tables } from "./Memory.ts"
import type { State } from "./State.ts"

/** What a batch says now, less what it said last, and the mean of what is kept; and the table with its row renewed. */
const saga = (table: tf.Tensor, now: tf.Tensor, term: tf.Tensor): readonly [estimate: tf.Tensor, table: tf.Tensor] => {
  const [terms, size] = table.shape as [number, number]
  // Asked for float32 directly, the wasm backend's oneHot writes integer bits, which read as zeros.
  const chosen = tf.cast(tf.oneHot(tf.reshape(term, [1]) as tf.Tensor1D, terms), "float32")
  const own = tf.reshape(chosen, [terms, 1])
  const row = tf.reshape(now, [1, size])
  const last = tf.sum(tf.mul(own, table), 0, true)
  const estimate = tf.add(tf.sub(row, last), tf.mean(table, 0, true))
  return [tf.reshape(estimate, now.shape), tf.add(tf.mul(tf.sub(1, own), table), tf.mul(own, row))]
}

/** Tables of which some are renewed as estimates are asked for. */
const renewing = (before: Tables) => {
  const after = {
    own: { ...before.own },
    slopes: { ...before.slopes },
    crossed: Object.fromEntries(Object.entries(before.crossed).map(([name, tables]) => [name, { ...tables }]))
  } as {
    own: Record<string, Tree.Tree>
    slopes: Record<string, Tree.Tree>
    crossed: Record<string, Record<string, Tree.Tree>>
  }
  const estimated = (tables: Record<string, Tree.Tree>, name: string, now: Tree.Tree, term: tf.Tensor): Tree.Tree => {
    const rows = Tree.leaves(tables[name]!)
    const found = Tree.leaves(now).map((leaf, i) => saga(rows[i]!, leaf, term))
    tables[name] = Tree.unflatten(
      tables[name]!,
      found.map(([, table]) => table)
    )
    return Tree.unflatten(
      now,
      found.map(([estimate]) => estimate)
    )
  }
  return { after, estimated }
}

type Take = (state: State, parts: Parts) => Direction

/** A direction with the estimate in place of what its batches said. */
const estimatedAs = (
  found: Direction,
  gradient: Tree.Tree,
  slopes: Named,
  level: Definition,
  levels: ReadonlyMap<string, Definition>,
  state: State,
  variance: Memory
): Direction => {
  const solver: Record<string, Tree.Tree> = { ...found.solver }
  const soundness: Record<string, tf.Scalar> = { ...found.metrics.soundness }
  for (const [lower, slope] of Object.entries(slopes)) {
    const before = state.solver[level.name]![lower]!
    ;[solver[lower], soundness[lower]] = keptOf(levels.get(lower)!)!.move!(slope, found.apart![lower]!.right, before)
  }
  return {
    ...found,
    gradient,
    solver,
    variance,
    metrics: { ...found.metrics, soundness, gradientNorm: Vector.norm(gradient) }
  }
}

const slopesOf = ({ apart = {} }: Direction): Named =>
  Object.fromEntries(
    Object.entries(apart).flatMap(([lower, { image, right }]) =>
      image === undefined ? [] : [[lower, Vector.subtract(image, right)] as const]
    )
  )

const fromTables = (
  level: Definition,
  levels: ReadonlyMap<string, Definition>,
  take: Take,
  state: State,
  termOf: (level: string) => tf.Tensor | undefined
): Direction => {
  const { after, estimated } = renewing(state.variance[level.name] as Tables)
  const all = (tables: Record<string, Tree.Tree>, of: string, said: Named): Named => {
    const term = termOf(of)
    return term === undefined
      ? said
      : Object.fromEntries(Object.entries(said).map(([name, now]) => [name, estimated(tables, name, now, term)]))
  }
  const found = take(state, {
    own: (said) => all(after.own, level.name, said),
    crossed: (lower, said) => all(after.crossed[lower]!, lower, said),
    image: (lower, said) => all(after.slopes, lower, { [lower]: said })[lower]!
  })
  return estimatedAs(found, found.gradient, slopesOf(found), level, levels, state, after)
}

/** The last estimate, corrected by what the same batches say has changed since, and weighed against what they say now. */
const corrected = (
  level: Definition,
  now: Direction,
  last: Last,
  then: Direction,
  clock: tf.Scalar
): readonly [gradient: Tree.Tree, slopes: Named] => {
  const before = slopesOf(then)
  const weight =
    level.variance?._tag === "Storm"
      ? (tf.where(tf.equal(clock, 0), 0, tf.sub(1, level.variance.rate.at(clock))) as tf.Scalar)
      : 1
  const estimate = (present: Tree.Tree, kept: Tree.Tree, past: Tree.Tree) =>
    Vector.addScaled(present, weight, Vector.subtract(kept, past))
  const slopes = Object.entries(slopesOf(now)).map(([lower, slope]) => [
    lower,
    estimate(slope, last.slopes[lower]!, before[lower]!)
  ])
  return [estimate(now.gradient, last.direction, then.gradient), Object.fromEntries(slopes)]
}

const fromLast = (
  level: Definition,
  levels: ReadonlyMap<string, Definition>,
  take: Take,
  state: State,
  anew: boolean
): Direction => {
  const last = state.variance[level.name] as Last
  const found = take(state, {})
  const handed = Object.fromEntries(
    Object.entries(found.apart ?? {}).flatMap(([lower, each]) =>
      each.handed === undefined ? [] : [[lower, each.handed] as const]
    )
  )
  const then = () => take({ ...state, vars: { ...state.vars, ...last.vars } }, { handed: last.handed })
  const [gradient, slopes] = anew
    ? [found.gradient, slopesOf(found)]
    : corrected(level, found, last, then(), state.clock[level.name]!)
  const memory = {
    direction: gradient,
    slopes: { ...last.slopes, ...slopes },
    vars: Object.fromEntries(Object.keys(last.vars).map((name) => [name, state.vars[name]!])),
    handed: { ...last.handed, ...handed }
  }
  return estimatedAs(found, gradient, slopes, level, levels, state, memory)
}

/** The estimate of a level's direction, where `take` takes the direction of some batches at a state. */
export const direction = (
  level: Definition,
  levels: ReadonlyMap<string, Definition>,
  take: Take,
  state: State,
  batchOf: (level: string) => Objective.UpdateBatch,
  moment: Moment
): Direction =>
  level.variance!._tag === "Saga"
    ? fromTables(level, levels, take, state, (of) => Objective.microBatches(batchOf(of)).at(-1)![Dataset.term])
    : fromLast(level, levels, take, state, moment.whole?.due.includes(level.name) === true)
