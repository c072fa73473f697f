/** What the estimators below a level claim to differentiate: the loop whose differences a hypergradient is held against. */
import type { Definition } from "../../dsl/Level.ts"
import type { Plan } from "../plan/Plan.ts"
import type { Sweep } from "../plan/Sweep.ts"

/** A part of that loop. Levels that no part names are constants to the estimators. */
export interface Phase {
  readonly levels: ReadonlyArray<string>
  /** Updates of the one level that is differentiated through them; absent where the levels are solved. */
  readonly updates?: number
  /** Updates between a restart and those, made before the upper variable moves; absent without a restart. */
  readonly lead?: number
}

/**
 * Phases in the order of the plan: implicit levels claim the derivative of the solved problem, one after another or
 * together; unrolled and forward ones that of their last updates, from a start that stays where it is.
 */
export const phases = (plan: Plan, sweep: Sweep): ReadonlyArray<Phase> => {
  const hops = new Set(sweep.hops.map((hop) => hop.level))
  const sofar: Array<Phase> = []
  for (const level of plan.levels) {
    if (!hops.has(level.name)) continue
    if (level.estimator?.kind === "unrolled" || level.estimator?.kind === "forward") {
      const { steps } = level.estimator
      const lead = level.restart ? { lead: level.unroll * level.repeat - steps } : {}
      sofar.push({ levels: [level.name], updates: steps, ...lead })
      continue
    }
    const last = sofar.at(-1)
    if (last !== undefined && last.updates === undefined) {
      sofar[sofar.length - 1] = { levels: [...last.levels, level.name] }
    } else sofar.push({ levels: [level.name] })
  }
  return sofar
}

/** The levels of a sweep whose estimators answer in a size of their own: they take no product of the curvature. */
export const unsized = (levels: ReadonlyMap<string, Definition>, sweep: Sweep): ReadonlyArray<string> =>
  sweep.hops.flatMap(({ level }) => {
    const estimator = levels.get(level)!.hypergradient
    if (estimator?._tag === "Forward") return estimator.curvature ? [] : [level]
    if (estimator?._tag !== "Implicit") return []
    const { products, productsPerElement } = estimator.solver.cost
    return products === 0 && productsPerElement === 0 ? [level] : []
  })
