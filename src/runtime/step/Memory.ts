/** What estimates of a level's direction keep from update to update. */
import * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../../dsl/Hypergradient.ts"
import type { Definition } from "../../dsl/Level.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import type { Sweep } from "../plan/Sweep.ts"
import { moving } from "./Stationary.ts"

/** Trees by name. */
export type Named = { readonly [name: string]: Tree.Tree }

/** Of SARAH and STORM: the last estimate, and what it was an estimate at. */
export type Last = {
  readonly direction: Tree.Tree
  /** By level below whose adjoint is kept: the estimate of its slope. */
  readonly slopes: Named
  readonly vars: Named
  /** By level below whose adjoint is kept: the solution that was handed on. */
  readonly handed: Named
}

/** Of SAGA: a row for each batch, by whose batch it is; of one batch alone nothing is kept. */
export type Tables = {
  readonly own: Named
  readonly slopes: Named
  readonly crossed: { readonly [lower: string]: Named }
}

/** What a level's estimate keeps. */
export type Memory = Last | Tables

/** The solver of a level, if one is kept at all. */
export const keptOf = ({ hypergradient }: Definition): Solver["kept"] =>
  hypergradient?._tag === "Implicit" ? hypergradient.solver.kept : undefined

/** What an estimate keeps before the first update, where a level's direction is a function of the variables `seen`. */
export const start = (
  level: Definition,
  sweep: Sweep,
  levels: ReadonlyMap<string, Definition>,
  vars: Named,
  seen: ReadonlyArray<string>
): Memory => {
  const part = (name: string): Tree.Tree =>
    Vector.zeros(moving(levels.get(name)!.optimizer, vars[levels.get(name)!.own.name]!))
  const kept = sweep.hops.map((hop) => hop.level).filter((name) => keptOf(levels.get(name)!) !== undefined)
  const moved = kept.filter((name) => keptOf(levels.get(name)!)!.move !== undefined)
  if (level.variance?._tag !== "Saga") {
    const copy = <T extends Tree.Tree>(tree: T): T => Tree.map(tree, (leaf) => leaf.clone())
    return {
      direction: Vector.zeros(vars[level.own.name]!),
      slopes: Object.fromEntries(moved.map((name) => [name, part(name)])),
      vars: Object.fromEntries(seen.map((name) => [name, copy(vars[name]!)])),
      handed: Object.fromEntries(kept.map((name) => [name, part(name)]))
    }
  }
  const rows = (terms: number, tree: Tree.Tree): Tree.Tree => Tree.map(tree, (leaf) => tf.zeros([terms, leaf.size]))
  const tables = (terms: number | undefined, names: ReadonlyArray<string>): Named =>
    terms === 1 ? {} : Object.fromEntries(names.map((name) => [name, rows(terms!, vars[name]!)]))
  const below = sweep.hops.map((hop) => [hop, levels.get(hop.level)!.data.terms] as const)
  return {
    own: tables(level.data.terms, [level.own.name, ...sweep.reads]),
    slopes: Object.fromEntries(
      below.flatMap(([hop, terms]) => (terms === 1 ? [] : [[hop.level, rows(terms!, part(hop.level))]]))
    ),
    crossed: Object.fromEntries(below.map(([hop, terms]) => [hop.level, tables(terms, hop.into)]))
  }
}
