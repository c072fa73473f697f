/** Levels whose derivative is carried forward: where that can be done, for which level above, and what it costs. */
import { mostCarried } from "../../dsl/Hypergradient.ts"
import type { Definition } from "../../dsl/Level.ts"
import * as NdArray from "../../dsl/values/NdArray.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import { defect } from "./Defects.ts"
import type { Sweep } from "./Sweep.ts"
import type { LevelWiring, WiringError } from "./Wiring.ts"

/** A level with its period. */
type Timed = LevelWiring & { readonly period: number }

/** The sweep that differentiates a level's solution. */
export const sweepThrough = (sweeps: Iterable<Sweep>, level: string): Sweep | undefined =>
  [...sweeps].find(({ hops }) => hops.some((hop) => hop.level === level))

/** Updates that a level makes between two turns of its reader. */
const between = (level: Timed, reader: Timed): number => (reader.period / level.period) * level.repeat

const fault = (
  level: Timed,
  sweeps: ReadonlyArray<Sweep>,
  levels: ReadonlyMap<string, Timed>
): WiringError | undefined => {
  const { name, steps } = level.estimator!
  const refuse = (found: string, remedy: string) => defect("Estimator", level.name, found, remedy)
  const through = sweeps.filter(({ hops }) => hops.some((hop) => hop.level === level.name))
  if (through.length > 1) {
    const readers = through.map((sweep) => `'${sweep.level}'`).join(" and ")
    const found = `${readers} differentiate its solution, but '${name}' carries the derivative by one variable`
    return refuse(found, "use Hypergradient.unrolled or implicit, or have one level minimize both variables")
  }
  const [sweep] = through
  if (sweep === undefined) return undefined
  const reader = levels.get(sweep.level)!
  const { into } = sweep.hops.find((hop) => hop.level === level.name)!
  const beside = level.estimator!.branched
    ? sweep.hops.find((hop) => hop.level !== level.name && hop.into.includes(level.variable))
    : undefined
  if (beside !== undefined) {
    const found = `'${reader.name}' reads '${level.variable}' through the response of '${beside.level}', which branches do not make`
    return refuse(found, "solve what is between in the reader's own objective (Solved), or use Hypergradient.forward")
  }
  if (level.estimator!.branched && level.buffers !== undefined) {
    return refuse(
      `'${name}' carries buffers '${level.buffers}', and branches have none of their own`,
      "use Hypergradient.forward"
    )
  }
  if (level.estimator!.branched && level.precision !== undefined) {
    return refuse(
      `'${name}' computes in ${level.precision} and its branches in float32, so that differences would be of rounding`,
      "let it compute in float32"
    )
  }
  const other = into.find((variable) => variable !== reader.variable)
  if (other !== undefined) {
    const found =
      `'${name}' carries the derivative by '${reader.variable}', which also arrives through '${other}', ` +
      "whose own response it does not carry"
    return refuse(found, "use Hypergradient.unrolled or implicit here, or Hypergradient.detached on the level below")
  }
  if (reader.period % level.period !== 0) {
    const found =
      `'${name}' looks back from the turns of '${reader.name}', every ${reader.period} ticks, in which it does not ` +
      `always update, every ${level.period}`
    return refuse(found, "give the levels below periods that divide")
  }
  const most = Math.min(between(level, reader), level.restart ? level.unroll * level.repeat : Infinity)
  if (steps > most) {
    const what = level.estimator!.branched ? "has branches of" : "carries a derivative through"
    const found = `'${name}' ${what} ${steps} updates, but '${reader.variable}' is held for ${most}`
    return refuse(
      level.restart ? `${found}, and no longer after a restart` : found,
      `look back at most ${most}, or give it Level.unroll(${Math.ceil(steps / level.repeat)}) or more`
    )
  }
  return undefined
}

/** The first level whose derivative cannot be carried. */
export const uncarried = (
  sweeps: ReadonlyArray<Sweep>,
  levels: ReadonlyMap<string, Timed>
): WiringError | undefined => {
  for (const level of levels.values()) {
    const found = level.estimator?.kind === "forward" ? fault(level, sweeps, levels) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

/** The first level whose derivative would be carried for more elements than that is for. */
export const crowded = (levels: ReadonlyArray<Definition>, sweeps: ReadonlyArray<Sweep>): WiringError | undefined => {
  const byName = new Map(levels.map((level) => [level.name, level]))
  for (const { hypergradient, name } of levels) {
    if (hypergradient?._tag !== "Forward" && hypergradient?._tag !== "Branches") continue
    if (hypergradient._tag === "Branches" && hypergradient.directions !== undefined) continue
    const sweep = sweepThrough(sweeps, name)
    if (sweep === undefined) continue
    const { own } = byName.get(sweep.level)!
    const sizes = Tree.hostEntries(own.init(Seed.make(0))).map(([, leaf]) => NdArray.size(leaf.shape))
    const elements = sizes.reduce((sum, size) => sum + size, 0)
    if (elements <= mostCarried) continue
    const found =
      `it would carry ${hypergradient._tag === "Branches" ? "a branch" : "a derivative"} of '${byName.get(name)!.own.name}' for each of the ${elements} elements of ` +
      `'${own.name}', and is for at most ${mostCarried}`
    return defect(
      "Estimator",
      name,
      found,
      "use Hypergradient.unrolled or implicit, whose cost does not grow with them"
    )
  }
  return undefined
}

/** Evaluations that an update takes to carry derivatives on, as a mean over the updates between turns of the reader. */
export const costOf = (
  level: Timed,
  reader: Timed | undefined
): { readonly once: number; readonly perElement: number } | undefined => {
  const { carried, shareable = 0, steps } = level.estimator ?? {}
  if (reader === undefined || carried === undefined) return undefined
  const share = steps! / between(level, reader)
  const reading = (carried.reading ?? 0) / between(level, reader)
  const once = (carried.once - shareable) * share
  return carried.perElement === 0
    ? { once: once + reading, perElement: 0 }
    : { once, perElement: carried.perElement * share + reading }
}
