/** How often a run is looked at, so that looking costs little beside running. */
import type { Plan } from "./Plan.ts"

/** The greatest common divisor of whole numbers. */
export const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b))

/** Ticks after which the levels' turns repeat. */
export const cycle = (plan: Plan): number =>
  plan.levels.reduce((sofar, { period }) => (sofar * period) / common(sofar, period), 1)

/** The part of a run's gradient evaluations that diagnostics may add. */
const share = 0.02
/** Evaluations of the product by which a solve is held against its equation. */
const product = 2

/**
 * Ticks between those that diagnostics look at: a multiple of the cycle, so that every level has its turn in them, and so many that
 * computing them once more, with a product for each solve, adds at most two in a hundred gradient evaluations. A function of the
 * plan alone, so that a run which is resumed or made longer is looked at where it would have been.
 */
export const every = (plan: Plan): number => {
  const turns = plan.cost.reduce((sum, { evaluations }) => sum + evaluations, 0)
  const perTick = plan.cost.reduce((sum, cost) => sum + cost.perTick, 0)
  const solves = plan.sweeps.reduce((sum, { hops }) => sum + hops.length, 0)
  const whole = cycle(plan)
  return whole * Math.ceil((turns + product * solves) / (share * perTick * whole))
}
