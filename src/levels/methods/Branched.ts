/** Published methods that look at the response by runs beside the lower level's own: first-order, and of any optimizer. */
import { flow } from "effect/Function"
import * as Hypergradient from "../../dsl/Hypergradient.ts"
import * as Level from "../../dsl/Level.ts"
import { below, type Method } from "./Composition.ts"

const branching = (options: Parameters<typeof Hypergradient.branches>[0]): Method =>
  below(flow(Level.repeat(options.updates), Level.hypergradient(Hypergradient.branches(options))))

/** Directions in which the upper variable is moved: so many normal ones anew each tick, or these. */
export type Moves = number | ReadonlyArray<ReadonlyArray<number>>

const drawn = (moves: Moves, seed: number | undefined, antithetic: boolean) =>
  typeof moves !== "number"
    ? moves
    : { draws: moves, ...(antithetic ? { antithetic } : {}), ...(seed === undefined ? {} : { seed }) }

/**
 * PZOBO (Sow, Ji and Liang, "On the convergence theory for Hessian-free bilevel algorithms", NeurIPS 2022): `lowerSteps` updates (10) of each
 * lower level, and as many from the same start with the upper variable moved by `radius` (0.1) along each of `directions` (1, normal); the
 * change of the solution, times what the upper gradient says of it, is the response along that direction.
 */
export const pzobo = (
  options: {
    readonly lowerSteps?: number
    readonly radius?: number
    readonly directions?: Moves
    readonly seed?: number
  } = {}
): Method => {
  const { directions = 1, lowerSteps = 10, radius = 0.1, seed } = options
  return branching({
    updates: lowerSteps,
    radius,
    directions: drawn(directions, seed, false),
    difference: "response"
  })
}

/**
 * Evolution strategies with opposites (Salimans et al. 2017) over the response of the lower levels: `lowerSteps` updates (10) of each, and as
 * many with the upper variable moved by ±`radius` (0.1) along each of `pairs` normal directions (4); what the upper loss makes of their ends is
 * differenced. The gradient of the upper loss by its own variable is exact. For upper variables of few elements, and losses that one
 * gradient says little of.
 */
export const es = (
  options: {
    readonly lowerSteps?: number
    readonly radius?: number
    readonly pairs?: number
    readonly seed?: number
  } = {}
): Method => {
  const { lowerSteps = 10, pairs = 4, radius = 0.1, seed } = options
  return branching({ updates: lowerSteps, radius, directions: drawn(pairs, seed, true) })
}
