import { type Pipeable, Prototype } from "effect/Pipeable"
import type { Precision } from "./Precision.ts"
import type { Definition, Level, Unless } from "./Level.ts"
import type { Var } from "./Var.ts"

/** A closed problem: every variable is minimized or held constant. It can be planned and run. */
export interface Problem<out Vars extends Var.Any, out E = never, out R = never> extends Pipeable {
  readonly top: Definition
  readonly simultaneous: boolean
  /** Whether levels update upper first within a tick; absent where lower first. */
  readonly upperFirst?: true
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
export const simultaneous = <P extends Problem.Any>(self: P): P => {
  const { upperFirst: _, ...rest } = self as Problem.Any
  return Object.assign(Object.create(Prototype), rest, { simultaneous: true })
}

/**
 * Levels update in sequence within a tick, the top level first: its hypergradient is taken before the levels below move (BSA, Ghadimi
 * and Wang 2018). By default those below come first.
 */
export const upperFirst = <P extends Problem.Any>(self: P): P =>
  Object.assign(Object.create(Prototype), self, { simultaneous: false, upperFirst: true })

/**
 * Every level of a problem changed, each once, lower levels first: `change` is given a level that reads the changed ones.
 *
 * ```ts
 * const fit = Level.minimize(Var.make("w", Init.zeros([])), {
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ w }) => tf.square(w)
 * })
 * Problem.close(fit).pipe(Problem.mapLevels(Level.repeat(3))).top.schedule.repeat // => 3
 * ```
 */
export const mapLevels =
  (change: (level: Definition) => Definition) =>
  <P extends Problem.Any>(self: P): P => {
    const known = new Map<Definition, Definition>()
    const changed = (level: Definition): Definition => {
      const before = known.get(level)
      if (before !== undefined) return before
      const upstream = level.upstream.map(changed)
      const after = change(Object.assign(Object.create(Prototype), level, { upstream }))
      known.set(level, after)
      return after
    }
    return Object.assign(Object.create(Prototype), self, { top: changed(self.top) })
  }

/**
 * What levels compute their losses and gradients in, but for those that say it themselves (`Level.precision`): what
 * `--precision` sets.
 */
export const precision =
  (precision: Precision) =>
  <P extends Problem.Any>(self: P): P =>
    Object.assign(Object.create(Prototype), self, { precision })
