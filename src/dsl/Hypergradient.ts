import type * as tf from "@tensorflow/tfjs-core"
import { fraction, positive, whole } from "./errors/Numbers.ts"
import type { Tree } from "./values/Tree.ts"

/** Evaluations a solve costs: curvature products, plus more for each element of the variable (dense solves). */
export interface SolverCost {
  readonly products: number
  readonly productsPerElement: number
}

/**
 * `v ↦ −(∂x'/∂g)ᵀ v` for a level's last update `x' = update(g, state, x)`: the derivative of its optimizer by the gradient,
 * with the sign of a descent. Gradient descent of rate η gives ηv; Adam gives v by about η(1 − β₁)/√second moment.
 */
export type Preconditioner = <T extends Tree>(v: T) => T

/**
 * Solves `H u = v` given only `u ↦ H u`: an init/update pair like an optimizer.
 *
 * A warm solver keeps its `u` in its state, which lives in the run's state and is checkpointed with it.
 */
export interface Solver {
  /** Printed in plans and part of a program's fingerprint, e.g. `cg(10)`. */
  readonly name: string
  readonly cost: SolverCost
  /** Whether it uses the preconditioner: the run then keeps the last update of the level. */
  readonly preconditioned: boolean
  /** Whether what it keeps in its state changes its solutions: such a solve is made once an update, and not differentiated. */
  readonly keeps?: boolean
  readonly init: (like: Tree) => Tree
  readonly update: <T extends Tree>(
    product: (u: T) => T,
    v: T,
    state: Tree,
    precondition: Preconditioner
  ) => readonly [u: T, state: Tree, soundness?: tf.Scalar | undefined, curvature?: tf.Scalar]
  /**
   * What a `soundness` that is not positive means, and its remedy. A step cannot branch on values, so a solver says how sound
   * its solve was. A run ends with this sentence where `strict` says that there is then no solution at all; else it says it
   * where its numbers end, being no longer finite.
   *
   * `curvature` is the least `⟨p, H p⟩ / ⟨p, p⟩` along the directions of a solve: diagnostic ticks report it.
   */
  readonly unsound?: string
  readonly strict?: boolean
  /** Of a solver that keeps a solution from tick to tick: what variance reduction needs to know of it. */
  readonly kept?: Kept
}

/** A solution that is kept from tick to tick. */
export interface Kept {
  /** The solution in a state. */
  readonly solution: <T extends Tree>(state: Tree, like: T) => T
  /** What is solved to be `v`, at u: `product(u)` where absent, or a damped one. */
  readonly image?: <T extends Tree>(product: (u: T) => T, u: T) => T
  /**
   * The state after one step along a slope `H u − v` at the solution, which is handed on as it was before, and how sound that is: then
   * the slope may be estimated from several batches. Absent where a tick makes several steps, or hands on what they leave.
   */
  readonly move?: (slope: Tree, v: Tree, state: Tree) => readonly [state: Tree, soundness: tf.Scalar]
}

/** The derivative of a gradient map along a direction: `H u`, and `∂ₓ⟨∇L, u⟩` for what else the level reads. */
export interface Product {
  /** Printed in plans and part of a program's fingerprint, e.g. `finiteDifference(0.01)`. */
  readonly name: string
  /** Evaluations of the gradient that one product costs. */
  readonly evaluations: number
  /**
   * Evaluations of the gradient at `x` itself, where there are any. A compiled engine makes them once for all products of a
   * solve, and not at all where the level's own update made them; an eager one for each product.
   */
  readonly atPoint?: number
  readonly derivative: <X extends Tree, G extends Tree>(gradient: (x: X) => G, x: X, direction: X) => G
}

/** The part of a batch that curvature products see: its first ⌈fraction · rows⌉ rows, the same in every product. */
export interface Rows {
  /** Above 0, and at most 1. */
  readonly fraction: number
  /** The fields that have a row for each example, other fields staying whole; all fields with an axis where absent. */
  readonly fields?: ReadonlyArray<string>
}

/** What the estimators that take products may be told of them. */
export interface Products {
  readonly product: Product
  /**
   * The rows on which the level's gradient is differentiated; all of them where absent. A loss that is a mean over rows keeps
   * its size, and what a product costs shrinks with the fraction. What is lost is what other rows would have said.
   */
  readonly rows?: Rows
}

/**
 * Where a level is differentiated: at its present value, or where its last update was made from, everything it reads
 * included. The two lie one update apart; at the second, a level's own update made the evaluations at the point already.
 */
export type Point = "present" | "update"

/** Along which directions of the upper variable there are branches, and what is compared. */
export interface Sampling {
  /**
   * Each element of it where absent, and at most 64. Else so many drawn at random, normal and anew for each look-back, with their opposites
   * where `antithetic`: then the variable may have any number of elements. Or fixed ones, a list of numbers each, leaf after leaf.
   */
  readonly directions?:
    | { readonly draws: number; readonly antithetic?: boolean; readonly seed?: number }
    | ReadonlyArray<ReadonlyArray<number>>
  /** The reader's loss where absent; or the level's variable, whose change is then multiplied by what the reader's gradient says of it. */
  readonly difference?: "loss" | "response"
}

/**
 * How many branches there are; absent where as many as the upper variable has elements.
 *
 * @internal
 */
export const branchesOf = ({ directions }: Sampling): number | undefined =>
  directions === undefined
    ? undefined
    : "draws" in directions
      ? directions.draws * (directions.antithetic === true ? 2 : 1)
      : directions.length

/**
 * What stands for the Hessian in a solve, positive semidefinite whatever the model is. Both are about what an objective marks by
 * `Objective.outputs`; of what it makes beside, such as a penalty, the Hessian stays.
 * - `"gaussNewton"`, of outputs z of a model: `Jᵀ (∂²loss/∂z²) J` with `J = ∂z/∂x`: the Hessian where the model is linear, and the Fisher
 *   information where the loss is a negative log likelihood of its own family, as softmax and cross-entropy are.
 * - `"empiricalFisher"`, of the losses of n rows: `Jᵀ J / n`, the mean of their gradients' outer products.
 */
export type Curvature = "gaussNewton" | "empiricalFisher"

/** How the response of a level's solution is differentiated: a solver and a product are independent choices. */
export type Hypergradient =
  | ({
      readonly _tag: "Implicit"
      readonly solver: Solver
      readonly at?: Point
      readonly curvature?: Curvature
    } & Products)
  | ({ readonly _tag: "Unrolled"; readonly steps: number } & Products)
  | ({ readonly _tag: "Forward"; readonly updates: number; readonly curvature: boolean } & Products)
  | ({ readonly _tag: "Branches"; readonly updates: number; readonly radius: number } & Sampling)
  | { readonly _tag: "Detached" }

const checked = <O extends Products>(of: string, options: O): O => {
  if (options.rows !== undefined) fraction(`${of}: rows.fraction`, options.rows.fraction)
  return options
}

/**
 * Implicit function theorem at the current iterate: solve `H u = v`, hand on `−∂ₓ⟨∇L, u⟩`. With `curvature` H is another than the Hessian
 * (see {@link Curvature}); what is handed on is the exact one.
 * Throws a `RangeError` unless the fraction of `rows` is above 0 and at most 1.
 *
 * ```ts
 * const darts = Hypergradient.implicit({ solver: Solver.identity, product: Product.finiteDifference({ radius: 0.01 }) })
 * Hypergradient.describe(darts) // => "identity × finiteDifference(0.01)"
 * const quarter = Hypergradient.implicit({ solver: Solver.identity, product: Product.exact, rows: { fraction: 0.25 } })
 * Hypergradient.describe(quarter) // => "identity × exact on 0.25 of the rows"
 * ```
 */
export const implicit = (
  options: { readonly solver: Solver; readonly at?: Point; readonly curvature?: Curvature } & Products
): Hypergradient => ({
  _tag: "Implicit",
  ...checked("implicit", options)
})

/**
 * Reverse differentiation through the level's last `steps` updates, its optimizer included.
 * The run keeps that many past iterates and gradients. Throws a `RangeError` unless `steps` is a positive integer, or as
 * {@link implicit} does.
 *
 * ```ts
 * Hypergradient.describe(Hypergradient.unrolled({ steps: 3, product: Product.exact })) // => "unrolled(3) × exact"
 * Hypergradient.unrolled({ steps: 0, product: Product.exact }) // => throws "steps is 0"
 * ```
 */
export const unrolled = (options: { readonly steps: number } & Products): Hypergradient => {
  whole("unrolled: steps", options.steps, 1)
  return { _tag: "Unrolled", ...checked("unrolled", options) }
}

/**
 * The most elements of an upper variable that {@link forward} carries a derivative for, and that {@link branches} has branches for.
 *
 * @internal
 */
export const mostCarried = 64

/**
 * Forward differentiation through the level's last `updates` updates before a turn of the level that reads it, its optimizer
 * included: beside the variable θ the run carries ∂θ/∂x and the same of the optimizer's state for each element of the upper
 * variable x, which may have at most 64. It keeps no past updates, so that a long look-back takes the memory of a short one. x is
 * held constant over a window, which is therefore at most the updates between two turns of its level.
 *
 * With `curvature` (the default) this is the derivative of these updates, what `unrolled` computes backwards. Without it what
 * the level's gradient owes to θ having moved is left out: each element's own displacement through the optimizer, summed over
 * the window. The two are equal where the loss is linear in θ; else the shorter the window and the smaller the rate the closer.
 *
 * A derivative by a weight λᵢ itself, of which little is left, can be large, as Adam divides by moments that it had no part
 * in; by logits β with λ = softmax(β) it is times λᵢ. `Optimizer.clipByValue` on the level of x caps it.
 *
 * Throws a `RangeError` unless `updates` is a positive integer, or as {@link implicit} does.
 *
 * ```ts
 * Hypergradient.describe(Hypergradient.forward({ updates: 15, product: Product.exact })) // => "forward(15) × exact"
 * const window = Hypergradient.forward({ updates: 15, product: Product.exact, curvature: false })
 * Hypergradient.describe(window) // => "forward(15, without curvature) × exact"
 * Hypergradient.forward({ updates: 0, product: Product.exact }) // => throws "updates is 0"
 * ```
 */
export const forward = (
  options: { readonly updates: number; readonly curvature?: boolean } & Products
): Hypergradient => {
  whole("forward: updates", options.updates, 1)
  return { _tag: "Forward", curvature: true, ...checked("forward", options) }
}

/**
 * Differences of whole runs: beside the level's variable θ the run carries a branch of it for each element of the upper variable x, which
 * may have at most 64. A branch leaves θ, its optimizer's state included, `updates` updates before a turn of the level that reads it, and
 * makes the same updates on the same batches (noise keys in them included) with that element of x moved by `radius`. What the level that reads
 * it then hands to x is (loss at the branch − loss at θ) / radius, a head that its objective solves being solved again at each branch.
 *
 * It takes no derivative through the level, so that it is right where one step, or a displacement to first order, points elsewhere; it is
 * the gradient of no loss, since the radius may be large. By logits β of weights λ = softmax(β) it tends, as the radius grows, to branches
 * each on one objective alone. A window lies between two turns of the level of x, as of {@link forward}. An update costs as many gradients more
 * as x has elements, and the run carries as many copies of θ and of its optimizer's state.
 *
 * With `directions` there is a branch for each of these in place of each element, and what is handed on is the mean over them of direction times
 * difference: an unbiased estimate, at a small radius, of what all elements would say, whose variance falls with their number. With
 * `difference: "response"` what is compared is θ itself, its change times the reader's gradient (PZOBO, see `Method.pzobo`).
 *
 * The reader's own objective must read θ and no other level's response to it may stand between. Throws a `RangeError` unless `updates` is a
 * positive integer and `radius` positive, and where directions are none or more than 64.
 *
 * ```ts
 * Hypergradient.describe(Hypergradient.branches({ updates: 50, radius: 6 })) // => "branches(50, radius 6)"
 * const drawn = Hypergradient.branches({ updates: 5, radius: 0.1, directions: { draws: 4, antithetic: true } })
 * Hypergradient.describe(drawn) // => "branches(5, radius 0.1, 4 antithetic draws)"
 * Hypergradient.branches({ updates: 50, radius: 0 }) // => throws "radius is 0"
 * ```
 */
export const branches = (options: { readonly updates: number; readonly radius: number } & Sampling): Hypergradient => {
  whole("branches: updates", options.updates, 1)
  positive("branches: radius", options.radius)
  const { directions } = options
  if (directions !== undefined && "draws" in directions) whole("branches: draws", directions.draws, 1)
  const count = branchesOf(options) ?? 1
  if (count < 1 || count > mostCarried) {
    throw new RangeError(`branches: there are ${count} directions; give at least 1 and at most ${mostCarried}`)
  }
  return { _tag: "Branches", ...options }
}

const sampled = ({ difference, directions }: Sampling): string => {
  const kept = difference === "response" ? ", of the response" : ""
  if (directions === undefined) return kept
  if (!("draws" in directions)) return `, along ${directions.map((each) => `(${each.join(" ")})`).join(" ")}${kept}`
  const { antithetic, draws, seed } = directions
  const what = `${antithetic === true ? "antithetic " : ""}${draws === 1 ? "draw" : "draws"}`
  return `, ${draws} ${what}${seed === undefined ? "" : ` of seed ${seed}`}${kept}`
}

/** The solution is read as a constant: no gradient passes through this level. */
export const detached: Hypergradient = { _tag: "Detached" }

/**
 * How many of the level's last updates a run keeps for the estimator.
 *
 * @internal
 */
export const remembers = (estimator: Hypergradient | undefined): number => {
  if (estimator?._tag === "Unrolled") return estimator.steps
  return estimator?._tag === "Implicit" && estimator.solver.preconditioned ? 1 : 0
}

const onRows = (rows: Rows | undefined): string =>
  rows === undefined
    ? ""
    : ` on ${rows.fraction} of the rows${rows.fields === undefined ? "" : ` of ${rows.fields.join(", ")}`}`

/** One line that names the estimator, as plans print it. */
export const describe = (estimator: Hypergradient): string => {
  if (estimator._tag === "Detached") return "detached"
  if (estimator._tag === "Branches")
    return `branches(${estimator.updates}, radius ${estimator.radius}${sampled(estimator)})`
  const products = `${estimator.product.name}${onRows(estimator.rows)}`
  switch (estimator._tag) {
    case "Implicit":
      return `${estimator.solver.name} × ${products}${estimator.curvature === undefined ? "" : ` of ${estimator.curvature}`}${estimator.at === "update" ? " at its update" : ""}`
    case "Unrolled":
      return `unrolled(${estimator.steps}) × ${products}`
    case "Forward":
      return `forward(${estimator.updates}${estimator.curvature ? "" : ", without curvature"}) × ${products}`
  }
}

/** Named tensors to report beside a loss. */
export type Metrics = { readonly [name: string]: tf.Tensor }

/** A loss, alone or with named metrics to report beside it. It must be a float32 scalar, which is checked when it is met. */
export type Loss = tf.Tensor | { readonly loss: tf.Tensor; readonly metrics?: Metrics; readonly buffers?: Undeclared }

/** What the compiler shows where an objective returns buffers of a level that has none. */
export type Undeclared = "this level has no buffers: declare them beside the objective"

/** A tree of this structure; ranks are held against the present value when the objective is met. */
export type Structure<T> = Tree extends T
  ? Tree
  : T extends tf.Tensor
    ? tf.Tensor
    : { readonly [K in keyof T]: Structure<T[K]> }

/** The loss of a level with buffers: their next value stands beside it. */
export interface BufferedLoss<T extends Tree> {
  readonly loss: tf.Tensor
  readonly metrics?: Metrics
  /** What the level's buffers are after this update. */
  readonly buffers: Structure<T>
}
