/** Published methods that differentiate lower solutions implicitly, or through updates: each a composition of parts of this library. */
import { flow } from "effect/Function"
import * as Hypergradient from "../../dsl/Hypergradient.ts"
import type { Product } from "../../dsl/Hypergradient.ts"
import * as Level from "../../dsl/Level.ts"
import * as Problem from "../../dsl/Problem.ts"
import * as Optimizer from "../Optimizer.ts"
import { exact, finiteDifference } from "../Product.ts"
import type * as Rate from "../Rate.ts"
import * as Solvers from "../Solver.ts"
import { below, type Common, type Method, type Single, solving } from "./Composition.ts"

/**
 * SOBA (Dagréou et al., NeurIPS 2022): every variable, and the adjoint of every lower level, takes one step a tick, all from one snapshot.
 * `rate` is the adjoint's, in the paper that of the lower level. On any DAG: a level has one adjoint for each level that differentiates it.
 *
 * ```ts
 * const [x, z] = [Var.make("x", Init.zeros([])), Var.make("z", Init.zeros([]))]
 * const lower = Level.minimize(z, {
 *   given: [x],
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ x, z }) => tf.square(tf.sub(z, x))
 * })
 * const upper = Level.minimize(x, {
 *   upstream: [lower],
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.05),
 *   objective: ({ z }) => tf.square(tf.sub(z, 3))
 * })
 * const problem = Problem.close(upper).pipe(Method.soba({ rate: 0.1 }))
 * const plan = await Effect.runPromise(Effect.fromResult(Plan.make(problem)))
 * plan.levels[0]?.estimator?.name // => "descent(sgd(0.1), hands=before) × exact"
 * ```
 */
export const soba =
  (options: { readonly rate: number | Rate.Rate } & Single): Method =>
  (problem) => {
    const { rate, ...single } = options
    const solver = Solvers.descent(Optimizer.sgd(rate), { hands: "before" })
    return problem.pipe(solving(solver, single), Problem.simultaneous) as typeof problem
  }

/**
 * AmIGO (Arbel and Mairal, ICLR 2022): lower levels first, `lowerSteps` updates each (10 where absent), then `adjointSteps` steps of
 * the adjoint (10) from where it stopped, then the upper level.
 */
export const amigo = (
  options: { readonly rate: number | Rate.Rate; readonly adjointSteps?: number } & Common
): Method => {
  const { adjointSteps: steps = 10, rate } = options
  return solving(Solvers.descent(Optimizer.sgd(rate), { steps }), { lowerSteps: 10, ...options })
}

/**
 * StocBiO (Ji, Yang and Liang, "Bilevel optimization: convergence analysis and enhanced design", ICML 2021): lower levels first,
 * `lowerSteps` updates each (10), then a Neumann series of `terms` products (10) from zero.
 */
export const stocbio = (options: { readonly rate: number; readonly terms?: number } & Common): Method => {
  const { rate, terms = 10 } = options
  return solving(Solvers.neumann({ rate, terms }), { lowerSteps: 10, ...options })
}

/**
 * BSA (Ghadimi and Wang, "Approximation methods for bilevel programming", 2018): the upper level first, by one random term of a Neumann
 * series of `terms` (10), then `lowerSteps` updates of each lower level (10).
 */
export const bsa =
  (options: { readonly rate: number; readonly terms?: number; readonly seed?: number } & Common): Method =>
  (problem) => {
    const { rate, seed, terms = 10 } = options
    const solver = Solvers.randomNeumann({ rate, terms, ...(seed === undefined ? {} : { seed }) })
    return problem.pipe(solving(solver, { lowerSteps: 10, ...options }), Problem.upperFirst) as typeof problem
  }

/**
 * TTSA (Hong, Wai, Wang and Yang, "A two-timescale stochastic algorithm framework for bilevel optimization", SIAM J. Optim. 2023): one
 * update of each lower level a tick, then the upper level by one random term of a Neumann series of `terms` (10). The paper's two time
 * scales are the levels' own rates, of order t^(−2/5) and t^(−3/5).
 */
export const ttsa = (
  options: { readonly rate: number; readonly terms?: number; readonly seed?: number } & Common
): Method => {
  const { rate, seed, terms = 10 } = options
  return solving(Solvers.randomNeumann({ rate, terms, ...(seed === undefined ? {} : { seed }) }), options)
}

/**
 * Implicit MAML (Rajeswaran et al., NeurIPS 2019): conjugate gradient for `iterations` (5), after `lowerSteps` updates (16). The lower
 * objective holds the proximal term that ties it to what is above.
 */
export const imaml = (options: { readonly iterations?: number } & Common = {}): Method => {
  const { iterations = 5 } = options
  return solving(Solvers.conjugateGradient({ iterations }), { lowerSteps: 16, ...options })
}

/**
 * T1−T2 (Luketina et al., "Scalable gradient-based tuning of continuous regularization hyperparameters", ICML 2016): one lower
 * update a tick, the inverse Hessian replaced by the identity.
 */
export const t1t2 = (options: Pick<Common, "product"> = {}): Method => solving(Solvers.identity, options)

/** First-order DARTS as Betty has it (`darts`): {@link t1t2} with finite differences of radius 0.01. */
export const darts: Method = t1t2({ product: finiteDifference({ radius: 0.01 }) })

/** SAMA (Choe et al., NeurIPS 2023): the inverse Hessian replaced by the derivative of the lower level's optimizer. */
export const sama = (options: Common = {}): Method => solving(Solvers.sama, options)

/** Reverse differentiation through the last `steps` updates of each lower level (ITD), as many being made a tick. */
export const unrolled = (options: { readonly steps: number; readonly product?: Product }): Method => {
  const { product = exact, steps } = options
  return below(flow(Level.repeat(steps), Level.hypergradient(Hypergradient.unrolled({ steps, product }))))
}
