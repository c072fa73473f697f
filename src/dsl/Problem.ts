import { type Pipeable, Prototype } from "effect/Pipeable"
import type { Precision } from "./Precision.ts"
import type { Definition, Level, Unless } from "./Level.ts"
import type { Var } from "./Var.ts"

/** A closed problem: every variable is minimized or held constant. It can be planned and run. */
export interface Problem<out Vars extends Var.Any, out E = never, out R = never> extends Pipeable {
  readonly top: Definition
  readonly simultaneous: boolean
  /** What levels compute in that do not say so themselves; float32 where absent. */
  readonly precision?: Precision
  readonly "~vars": () => Vars
  readonly "~E": () => E
  readonly "~R": () => R
}

export declare namespace Problem {
  /** Any problem. */
  export type Any = Problem<Var.Any, unknown, unknown>
}

type Unowned<Name extends string> = `no level minimizes '${Name}'`

/**
 * Closes a problem at its top level. A variable that no level minimizes is a compile error that names it.
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
 * const problem = Problem.close(tune)
 * problem.top.name // => "lambda"
 * // Problem.close(fit) does not compile: no level minimizes 'lambda'.
 * ```
 */
export const close = <L extends Level.Any>(
  top: Unless<Unowned<Var.Known<Var.Name<Level.Open<L>>>>, L>
): Problem<Level.Bound<L>, Level.E<L>, Level.R<L>> =>
  Object.assign(Object.create(Prototype), { top, simultaneous: false })

/**
 * Levels update together: each tick takes one snapshot, computes every direction from it, then applies them, as
 * single-loop bilevel methods assume. By default levels update in sequence, each reading the ones just updated.
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
 * Problem.simultaneous(Problem.close(tune)).simultaneous // => true
 * ```
 */
export const simultaneous = <P extends Problem.Any>(self: P): P =>
  Object.assign(Object.create(Prototype), self, { simultaneous: true })

/**
 * What levels compute their losses and gradients in, but for those that say it themselves (`Level.precision`): what
 * `--precision` sets.
 */
export const precision =
  (precision: Precision) =>
  <P extends Problem.Any>(self: P): P =>
    Object.assign(Object.create(Prototype), self, { precision })
