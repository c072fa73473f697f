import { type Pipeable, Prototype } from "effect/Pipeable"
import type { Dataset } from "./Dataset.ts"
import type { BufferedLoss, Hypergradient, Loss } from "./Hypergradient.ts"
import type { Precision } from "./Precision.ts"
import type { Variance } from "./Variance.ts"
import type { Optimizer } from "./Optimizer.ts"
import type { Host, HostTree, Tree } from "./values/Tree.ts"
import type { Var } from "./Var.ts"

/** When a level updates, relative to the levels around it. */
export interface Schedule {
  /** Own turns per turn of the levels that read this one. */
  readonly unroll: number
  /** Updates made on each own turn. */
  readonly repeat: number
  /** Ticks to sit out before the first turn. */
  readonly warmup: number
  /** Tick after which the variable is held constant. */
  readonly freeze: number | undefined
  /** Whether the variable starts again from its initial value after each turn of the levels that read it. */
  readonly restart: boolean
  /** Micro-batches whose mean gradient an update takes; absent where an update takes one batch. */
  readonly accumulate?: number
}

/** What the interpreter reads of a level; the type parameters of {@link Level} are for the author. */
export interface Definition {
  readonly name: string
  readonly own: Var.Any
  /** What the level carries beside its variable and does not minimize; `undefined` for most levels. */
  readonly buffers: Var.Any | undefined
  readonly given: ReadonlyArray<Var.Any>
  readonly upstream: ReadonlyArray<Definition>
  readonly fixed: ReadonlyArray<{ readonly variable: Var.Any; readonly value: HostTree | undefined }>
  readonly data: Dataset<Tree, unknown, unknown>
  readonly optimizer: Optimizer
  readonly objective: (vars: never, batch: never) => Loss | BufferedLoss<Tree>
  readonly schedule: Schedule
  readonly hypergradient: Hypergradient | undefined
  /** What its loss and gradient are computed in; the problem's, or float32, where absent. */
  readonly precision?: Precision
  /** How its direction is estimated from batches; what one batch says where absent. */
  readonly variance?: Variance
}

/**
 * A level minimizes one variable. Its type tells, in order: what it owns, which variables it still needs from above
 * (`Open`), which are solved or carried at or below it (`Bound`), how its data fails, what its data needs, and which
 * buffers it carries (`Buffers`; `never` where it has none).
 */
export interface Level<
  out Own extends Var.Any,
  out Open extends Var.Any,
  out Bound extends Var.Any,
  out E = never,
  out R = never,
  out Buffers extends Var.Any = never
>
  extends Definition, Pipeable {
  readonly own: Own
  readonly "~open": () => Open
  readonly "~bound": () => Bound
  readonly "~E": () => E
  readonly "~R": () => R
  readonly "~buffers": () => Buffers
}

export declare namespace Level {
  /** Any level. */
  export type Any = Level<Var.Any, Var.Any, Var.Any, unknown, unknown, Var.Any>
  export type Own<L> = L extends Level<infer O, any, any, any, any, any> ? O : never
  export type Open<L> = L extends Level<any, infer O, any, any, any, any> ? O : never
  export type Bound<L> = L extends Level<any, any, infer B, any, any, any> ? B : never
  export type E<L> = L extends Level<any, any, any, infer X, any, any> ? X : never
  export type R<L> = L extends Level<any, any, any, any, infer X, any> ? X : never
  export type Buffers<L> = L extends Level<any, any, any, any, any, infer B> ? B : never
}

/** A type, or in its place the sentences that say what is wrong: the compiler shows a type that nothing fits first of all. */
export type Unless<Mistakes extends string, T> = [Mistakes] extends [never] ? T : Mistakes

type Without<V extends Var.Any, N> = V extends { readonly name: N } ? never : V
// A name computed at run time matches every name: what it hits is left to the plan.
type Hit<Name extends string, Among> = Name extends Among ? Extract<Name, Var.Known<Among>> : never
type Duplicate<Name extends string> = `'${Name}' is already minimized upstream`
type Below<Name extends string> = `'${Name}' is solved upstream: read it as a response, not as given`
type Self<Name extends string> = `'${Name}' is this level's own variable: it need not be given`
type Moved<Name extends string> =
  `'${Name}' is a level's buffers: only that level moves it, and the levels above read it through upstream`
type Minimized<Name extends string> = `'${Name}' is minimized: a level's buffers are a variable of their own`
type Shared<Name extends string> = `'${Name}' is a level's buffers already: give each level its own`
/** Variables read below whose owner, or the constant put in its place, cannot be read as what they were given as. */
type Mismatch<Given, Owner> =
  Given extends Var<infer Name, Tree>
    ? Extract<Owner, { readonly name: Name }> extends Given
      ? never
      : `'${Name}' has another shape where it is given below`
    : never

/** Marks buffers among the variables that are bound at or below a level. */
export type Carried<V> = V & { readonly "~carried": true }
type CarriedName<Bound> = Bound extends Carried<{ readonly name: infer N extends string }> ? N : never
type SolvedName<Bound> = Bound extends Carried<unknown> ? never : Var.Name<Bound>

type Mistakes<Own extends Var.Any, Given, Buffers, Open, Bound> =
  | Duplicate<Hit<Own["name"], SolvedName<Bound>>>
  | Below<Hit<Var.Name<Given>, SolvedName<Bound>>>
  | Self<Hit<Var.Name<Given>, Own["name"]>>
  | Mismatch<Extract<Open, { readonly name: Own["name"] | Var.Name<Bound> }>, Own | Bound>
  | Moved<Hit<Own["name"] | Var.Name<Given | Open>, CarriedName<Bound>>>
  | ([Buffers] extends [never]
      ? never
      :
          | Minimized<Hit<Var.Name<Buffers>, Own["name"] | SolvedName<Bound>>>
          | Shared<Hit<Var.Name<Buffers>, CarriedName<Bound>>>
          | Moved<Hit<Var.Name<Buffers>, Var.Name<Given | Open>>>)

type Returned<Buffers> = [Buffers] extends [never]
  ? Loss
  : Buffers extends Var<string, infer T>
    ? BufferedLoss<T>
    : never

/** What {@link minimize} takes beside the variable. */
export interface Spec<
  Own extends Var.Any,
  Given extends Var.Any,
  Up extends Level.Any,
  B extends Tree,
  E,
  R,
  Buffers extends Var.Any = never
> {
  /** Shown in plans, metrics and errors; the variable's name where absent. */
  readonly name?: string
  /** Variables owned by levels above, held fixed here. */
  readonly given?: ReadonlyArray<Given>
  /** Levels below whose solutions the objective reads. */
  readonly upstream?: ReadonlyArray<Up>
  readonly data: Dataset<B, E, R>
  readonly optimizer: Optimizer
  /**
   * What the level carries from update to update without minimizing it: running statistics, moving averages. The
   * objective reads it under its name and returns its next value as `buffers`. Only the level's own updates move it; no
   * gradient passes through it, and the levels that read this one upstream read it too.
   */
  readonly buffers?: Buffers
  /** Loss of one batch: pure tensor code without host reads, randomness or branches on values. */
  readonly objective: (
    vars: Var.Named<Own | Given | Buffers | Level.Own<Up> | Level.Buffers<Up>>,
    batch: B
  ) => Returned<Buffers>
}

/**
 * A level that minimizes `own`. Wiring mistakes that types can see are compile errors carrying a sentence.
 *
 * ```ts
 * const lambda = Var.make("lambda", Init.zeros([]))
 * const w = Var.make("w", Init.zeros([]))
 * const fit = Level.minimize(w, {
 *   given: [lambda],
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ lambda, w }) => tf.square(tf.sub(w, lambda))
 * })
 * fit.name // => "w"
 * ```
 */
export const minimize = <
  Own extends Var.Any,
  B extends Tree,
  Given extends Var.Any = never,
  Up extends Level.Any = never,
  E = never,
  R = never,
  Buffers extends Var.Any = never
>(
  own: Unless<Mistakes<Own, Given, Buffers, Level.Open<Up>, Level.Bound<Up>>, Own>,
  spec: Spec<Own, Given, Up, B, E, R, Buffers>
): Level<
  Own,
  Without<Given | Without<Level.Open<Up>, Var.Name<Level.Bound<Up>>>, Own["name"]>,
  Own | Carried<Buffers> | Level.Bound<Up>,
  E | Level.E<Up>,
  R | Level.R<Up>,
  Buffers
> =>
  Object.assign(Object.create(Prototype), {
    name: spec.name ?? (own as Own).name,
    own,
    buffers: spec.buffers,
    given: spec.given ?? [],
    upstream: spec.upstream ?? [],
    fixed: [],
    data: spec.data,
    optimizer: spec.optimizer,
    objective: spec.objective,
    schedule: { unroll: 1, repeat: 1, warmup: 0, freeze: undefined, restart: false },
    hypergradient: undefined
  })

const modified = <L extends Definition>(self: L, change: Partial<Definition>): L =>
  Object.assign(Object.create(Prototype), self, change)

const scheduled =
  (change: Partial<Schedule>) =>
  <L extends Definition>(self: L): L =>
    modified(self, { schedule: { ...self.schedule, ...change } })

const whole = (what: string, value: number, least: number): void => {
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(`Level.${what}: ${value} is not a whole number of at least ${least}`)
  }
}

/**
 * Holds a given variable constant, at its initial value or at `value`, so that no level above need minimize it.
 *
 * ```ts
 * const lambda = Var.make("lambda", Init.zeros([]))
 * const fit = Level.minimize(Var.make("w", Init.zeros([])), {
 *   given: [lambda],
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ lambda, w }) => tf.square(tf.sub(w, lambda))
 * })
 * const problem = Problem.close(fit.pipe(Level.fix(lambda, NdArray.scalar(2))))
 * problem.top.fixed.length // => 1
 * ```
 */
export const fix =
  <V extends Var.Any>(variable: V, value?: V extends Var<string, infer T> ? Host<T> : never) =>
  <Own extends Var.Any, Open extends Var.Any, Bound extends Var.Any, E, R, Buffers extends Var.Any>(
    self: Unless<
      | (V["name"] extends Var.Name<Open> ? never : `'${V["name"]}' is not given here, so there is nothing to fix`)
      | Mismatch<Extract<Open, { readonly name: V["name"] }>, V>,
      Level<Own, Open, Bound, E, R, Buffers>
    >
  ): Level<Own, Without<Open, V["name"]>, Bound, E, R, Buffers> =>
    modified(self as Definition, {
      fixed: [...(self as Definition).fixed, { variable, value: value as never }]
    }) as never

/**
 * `steps` turns of this level for each turn of the levels that read it.
 *
 * ```ts
 * const level = Level.minimize(Var.make("w", Init.zeros([])), {
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ w }) => tf.square(w)
 * }).pipe(Level.unroll(10), Level.warmup(100))
 * level.schedule.unroll // => 10
 * Level.unroll(0) // => throws "0 is not a whole number of at least 1"
 * ```
 */
export const unroll = (steps: number) => {
  whole("unroll", steps, 1)
  return scheduled({ unroll: steps })
}

/** `updates` updates on each turn of this level: several upper steps per lower step. */
export const repeat = (updates: number) => {
  whole("repeat", updates, 1)
  return scheduled({ repeat: updates })
}

/** Sits out the first `ticks` ticks; levels that read this one wait for it. */
export const warmup = (ticks: number) => {
  whole("warmup", ticks, 0)
  return scheduled({ warmup: ticks })
}

/**
 * Each update takes the mean of the gradients of `microBatches` batches of the level's data, one after another, so that memory is
 * that of one: batches of `n · b` rows where `b` fit. Equal to one such batch for losses that are means over rows.
 *
 * Turns, clocks, rates and unrolled updates count updates, as without it; the indices of the dataset count micro-batches. Noise in
 * batches differs from one to the next, and buffers pass through them in order. A linear solve at this level is made on the
 * last micro-batch of its last update; an unrolled estimator differentiates the mean.
 *
 * ```ts
 * const level = Level.minimize(Var.make("w", Init.zeros([])), {
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ w }) => tf.square(w)
 * }).pipe(Level.accumulate(4))
 * level.schedule.accumulate // => 4
 * Level.accumulate(0) // => throws "0 is not a whole number of at least 1"
 * ```
 */
export const accumulate = (microBatches: number) => {
  whole("accumulate", microBatches, 1)
  return scheduled({ accumulate: microBatches })
}

/** Holds the variable constant after tick `tick`: levels above then read it as a constant. */
export const freeze = (tick: number) => {
  whole("freeze", tick, 0)
  return scheduled({ freeze: tick })
}

/** Starts again from the initial value after each turn of the levels that read this one. */
export const restart: <L extends Definition>(self: L) => L = scheduled({ restart: true })

/** How levels above differentiate this level's solution. Without it a level that must respond is refused by the plan. */
export const hypergradient =
  (estimator: Hypergradient) =>
  <L extends Definition>(self: L): L =>
    modified(self, { hypergradient: estimator })

/**
 * How the level's direction, and that of every adjoint it keeps, is estimated from batches: with less noise than one batch has. What the
 * estimate needs is kept in the run's state.
 *
 * ```ts
 * const level = Level.minimize(Var.make("w", Init.zeros([])), {
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ w }) => tf.square(w)
 * }).pipe(Level.variance(Variance.storm(0.1)))
 * level.variance?._tag // => "Storm"
 * ```
 */
export const variance =
  (variance: Variance) =>
  <L extends Definition>(self: L): L =>
    modified(self, { variance })

/**
 * What the level computes its loss and its own gradient in. Its variable, its optimizer's state and all that estimators compute of
 * it (products with its curvature, solves, differences) are in float32 in any case; so is a level that says nothing, unless
 * `Problem.precision` or `--precision` does. The engine `xla` has 16 bits, the others refuse them.
 *
 * ```ts
 * const level = Level.minimize(Var.make("w", Init.zeros([])), {
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ w }) => tf.square(w)
 * }).pipe(Level.precision(Precision.bfloat16))
 * level.precision // => { _tag: "bfloat16" }
 * ```
 */
export const precision =
  (precision: Precision) =>
  <L extends Definition>(self: L): L =>
    modified(self, { precision })
