/** What published methods are composed with. */
import { flow } from "effect/Function"
import * as Hypergradient from "../../dsl/Hypergradient.ts"
import type { Curvature, Product, Solver } from "../../dsl/Hypergradient.ts"
import * as Level from "../../dsl/Level.ts"
import * as Problem from "../../dsl/Problem.ts"
import { exact } from "../Product.ts"

/** A problem made another one: its levels keep their objectives and data, and, where nothing else is said, their optimizers. */
export type Method = <P extends Problem.Problem.Any>(problem: P) => P

/** What all of these may be told. */
export interface Common {
  /** How curvature is multiplied by; `Product.exact` where absent, which needs a compiled engine. */
  readonly product?: Product
  /** What stands for the Hessian in solves; nothing where absent. */
  readonly curvature?: Curvature
  /** Updates of each lower level a tick. */
  readonly lowerSteps?: number
}

/**
 * Changes every level below the top that answers to what is above it: what is detached stays so. A method says how many updates a tick
 * has, so that turns of its own, which `Level.unroll` gave a level, are one.
 */
export const below =
  (change: (level: Level.Definition) => Level.Definition): Method =>
  (problem) => {
    const { top } = problem
    return problem.pipe(
      Problem.mapLevels((level) =>
        level.name === top.name || level.hypergradient?._tag === "Detached" ? level : change(Level.unroll(1)(level))
      )
    )
  }

/** Changes the top level. */
export const top =
  (change: (level: Level.Definition) => Level.Definition): Method =>
  (problem) =>
    problem.pipe(Problem.mapLevels((level) => (level.name === problem.top.name ? change(level) : level)))

/** What methods of one lower update a tick may be told. */
export type Single = Omit<Common, "lowerSteps">

/** Every level below the top differentiated implicitly, by this solver. */
export const solving = (solver: Solver, { curvature, lowerSteps = 1, product = exact }: Common): Method => {
  const bent = curvature === undefined ? {} : { curvature }
  return below(
    flow(Level.repeat(lowerSteps), Level.hypergradient(Hypergradient.implicit({ product, solver, ...bent })))
  )
}
