/** Published methods that reduce the variance of batches: compositions of a method without and `Variance`. */
import * as Level from "../../dsl/Level.ts"
import * as Problem from "../../dsl/Problem.ts"
import * as Optimizer from "../Optimizer.ts"
import * as Rate from "../Rate.ts"
import * as Solvers from "../Solver.ts"
import * as Variance from "../Variance.ts"
import { type Common, type Method, type Single, solving, top } from "./Composition.ts"
import { soba } from "./Implicit.ts"

const everywhere = (variance: Variance.Variance): Method => Problem.mapLevels(Level.variance(variance))

const then =
  (...methods: ReadonlyArray<Method>): Method =>
  (problem) =>
    methods.reduce((sofar, method) => method(sofar), problem)

type Looped = Single & { readonly rate: number | Rate.Rate }

/**
 * SABA (Dagréou et al., NeurIPS 2022): {@link soba} with `Variance.saga` at every level. Its data are `Dataset.finite`. On finite sums it
 * converges at constant rates, where SOBA keeps a floor of noise.
 *
 * ```ts
 * const rows = (name: string) => Dataset.finite(Dataset.fromRows(name, { a: NdArray.float32([4], [1, 2, 3, 6]) }, { batch: 1 }))
 * const [x, z] = [Var.make("x", Init.zeros([])), Var.make("z", Init.zeros([]))]
 * const lower = Level.minimize(z, {
 *   given: [x],
 *   data: rows("below"),
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ x, z }, { a }) => tf.mean(tf.square(tf.sub(z, tf.mul(x, a))))
 * })
 * const upper = Level.minimize(x, {
 *   upstream: [lower],
 *   data: rows("above"),
 *   optimizer: Optimizer.sgd(0.05),
 *   objective: ({ z }, { a }) => tf.mean(tf.square(tf.sub(z, a)))
 * })
 * const problem = Problem.close(upper).pipe(Method.saba({ rate: 0.1 }))
 * problem.top.variance?._tag // => "Saga"
 * ```
 */
export const saba = (options: Looped): Method => then(soba(options), everywhere(Variance.saga))

/** Half the batches of all levels together: the updates between two directions of all batches, where nothing is said. */
const halfAnEpoch = (problem: Problem.Problem.Any): number => {
  let terms = 0
  Problem.mapLevels((level) => {
    terms += level.data.terms ?? 1
    return level
  })(problem)
  return Math.max(1, Math.ceil(terms / 2))
}

/**
 * SRBA (Dagréou et al., "A lower bound and a near-optimal algorithm for bilevel empirical risk minimization", AISTATS 2024): {@link soba} with
 * `Variance.sarah` at every level. Its data are `Dataset.finite`. `period` is half the batches of all levels together where absent.
 */
export const srba =
  (options: Looped & { readonly period?: number }): Method =>
  (problem) =>
    problem.pipe(soba(options), everywhere(Variance.sarah({ period: options.period ?? halfAnEpoch(problem) })))

/**
 * FSLA (Li, Gu and Huang, "A fully single loop algorithm for bilevel optimization without Hessian inverse", AAAI 2022): one update of each
 * lower level, one step of its adjoint, then the upper level by `Variance.storm` of rate `momentum`, 0.5/√(t + 1) where absent. In the paper
 * the three have batches of their own; here those of a lower level are one a tick.
 */
export const fsla = (options: Looped & { readonly momentum?: number | Rate.Rate }): Method => {
  const { momentum = Rate.power({ rate: 0.5, exponent: 0.5 }), rate, ...common } = options
  return then(solving(Solvers.descent(Optimizer.sgd(rate)), common), top(Level.variance(Variance.storm(momentum))))
}

/** What of η the papers of MRBO and SUSTAIN say: of order t^(−2/3). */
const twoThirds = Rate.power({ rate: 0.5, exponent: 2 / 3 })

/**
 * MRBO (Yang, Ji and Liang, "Provably faster algorithms for bilevel optimization", NeurIPS 2021): one snapshot, a Neumann series of `terms` (10)
 * from zero, and `Variance.storm` at every level, of rate `momentum`, 0.5 (t + 1)^(−2/3) where absent. In the paper the levels' own rates are
 * of order t^(−1/3).
 */
export const mrbo = (
  options: {
    readonly rate: number
    readonly terms?: number
    readonly momentum?: number | Rate.Rate
  } & Single
): Method => {
  const { momentum = twoThirds, rate, terms = 10, ...single } = options
  return then(
    solving(Solvers.neumann({ rate, terms }), single),
    Problem.simultaneous,
    everywhere(Variance.storm(momentum))
  )
}

/**
 * SUSTAIN (Khanduri et al., "A near-optimal algorithm for stochastic bilevel optimization via double-momentum", NeurIPS 2021): {@link mrbo}
 * with one random term of the Neumann series in place of their sum, the same one now and before.
 */
export const sustain = (
  options: {
    readonly rate: number
    readonly terms?: number
    readonly momentum?: number | Rate.Rate
    readonly seed?: number
  } & Single
): Method => {
  const { momentum = twoThirds, rate, seed, terms = 10, ...single } = options
  return then(
    solving(Solvers.randomNeumann({ rate, terms, ...(seed === undefined ? {} : { seed }) }), single),
    Problem.simultaneous,
    everywhere(Variance.storm(momentum))
  )
}

/**
 * VRBO (Yang, Ji and Liang, NeurIPS 2021): `Variance.sarah` of all levels at every tick, with a Neumann series of `terms` (10) from zero, while
 * the upper level moves every `lowerSteps` (10) ticks. Its data are `Dataset.finite`. `period` is in ticks, half the batches of all levels
 * together where absent. In the paper the lower level stands still while the upper moves; here both move from one snapshot.
 */
export const vrbo =
  (options: { readonly rate: number; readonly terms?: number; readonly period?: number } & Common): Method =>
  (problem) => {
    const { lowerSteps = 10, period = halfAnEpoch(problem), rate, terms = 10, ...single } = options
    const moving = top((level) => ({ ...level, optimizer: Optimizer.every(lowerSteps)(level.optimizer) }))
    return problem.pipe(
      solving(Solvers.neumann({ rate, terms }), single),
      Problem.simultaneous,
      moving,
      everywhere(Variance.sarah({ period }))
    )
  }
