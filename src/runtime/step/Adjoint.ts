import * as tf from "@tensorflow/tfjs-core"
import * as Result from "effect/Result"
import type { Hypergradient, Preconditioner, Rows, Solver } from "../../dsl/Hypergradient.ts"
import type { Definition } from "../../dsl/Level.ts"
import * as Trees from "../../dsl/values/Tree.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Elimination from "../../tensor/Elimination.ts"
import * as Gradient from "../../tensor/Gradient.ts"
import * as Vector from "../../tensor/Vector.ts"
import { counts } from "../plan/Rows.ts"
import * as Curvature from "./Curvature.ts"
import * as Objective from "./Evaluation.ts"
import type { Past, Vars } from "./State.ts"
import { rememberedReads } from "./State.ts"
import * as Stationary from "./Stationary.ts"

/** What curvature products of a level see of a batch. */
export const seenOf = ({ data }: Definition, rows: Rows | undefined, batch: Objective.Batch): Objective.Batch => {
  if (rows === undefined) return batch
  const left = Result.getOrThrow(counts(data.fields, rows))
  return Object.fromEntries(
    Object.entries(batch).map(([field, leaf]) => {
      const count = left[field]
      return [field, count === undefined || count === leaf.shape[0] ? leaf : tf.slice(leaf, [0], [count])]
    })
  )
}

/** What a solve leaves behind: cotangents of what the level reads, its solver's state, its residual if asked for. */
export interface Handed {
  readonly cotangents: Vars
  /** What the level's loss was computed from, of the variables that cotangents are handed to. */
  readonly touched: ReadonlyArray<string>
  readonly state: Tree
  readonly residual: tf.Scalar | undefined
  /** The least `⟨p, H p⟩ / ⟨p, p⟩` that the solve met, along its solution among others, if asked for. */
  readonly curvature?: tf.Scalar | undefined
  /** How sound the solve was, where its solver says it: not positive means what the solver's `unsound` does. */
  readonly soundness: tf.Scalar | undefined
  /** Where parts are looked at: the right-hand side; of a solver that keeps a solution what it handed on, and H times that where it has not moved it. */
  readonly apart?: { readonly right: Tree; readonly handed?: Tree; readonly image?: Tree | undefined }
}

/** A solve whose parts are looked at one by one, as estimates of less variance are made of them. */
export interface Apart {
  /** The solution that was handed on before, in place of a solve: of solvers that keep one. */
  readonly handed?: Tree
}

/** A level's reduced gradient: with the levels eliminated whose responses it contains. */
export interface Reduced {
  /** Its value, at the present value of the level's variable. */
  readonly gradient: (x: Tree) => Tree
  /** Its derivative along a direction of the level's variable, by these variables. */
  readonly along: (direction: Tree, by: ReadonlyArray<string>) => Vars
}

/**
 * Cotangents through a solution defined by `∇ₓL(x, y) = 0` (implicit function theorem; the paper's appendix A):
 * with `H u = v`, what flows to `y` is `−∂ᵧ⟨∇ₓL, u⟩`. Where the optimizer's update stands still elsewhere, it is that
 * point's system which is solved, on one batch: of micro-batches the last. `last` is the level's last update, for solvers that use it.
 * Where the level's own gradient contains responses, ∇L is the reduced gradient, and `reduced` has its derivatives. Of several batches,
 * ∇L is the mean.
 */
export const implicit = (
  level: Definition,
  { curvature, product, rows, solver }: Extract<Hypergradient, { readonly _tag: "Implicit" }>,
  vars: Vars,
  whole: ReadonlyArray<Objective.Batch>,
  into: ReadonlyArray<string>,
  v: Tree,
  state: Tree,
  last: Past | undefined,
  measure: boolean,
  reduced?: Reduced,
  apart?: Apart
): Handed => {
  const own = level.own.name
  const batches = whole.map((batch) => seenOf(level, rows, batch))
  const gradientOf = (wrt: ReadonlyArray<string>) => (x: Tree) =>
    Objective.accumulated(level, { ...vars, [own]: x }, batches, wrt).gradient
  const maps = curvature === undefined ? [] : batches.map((batch) => Curvature.map(curvature, level, vars, batch))
  const bent =
    curvature === undefined
      ? undefined
      : (x: Tree) =>
          Vector.scale(
            1 / maps.length,
            maps.map((map) => map(x)).reduce((sum, each) => Vector.add(sum, each))
          )
  const system =
    reduced === undefined
      ? Stationary.system(level.optimizer, product, vars[own]!, bent ?? ((x) => gradientOf([own])(x)[own]!))
      : Stationary.system(level.optimizer, product, vars[own]!, reduced.gradient, (w) => reduced.along(w, [own])[own]!)
  const right = system.restrict(v)
  const precondition = last === undefined ? unstated(solver) : preconditioner(level, last)
  const kept = apart === undefined ? undefined : solver.kept
  const [u, next, soundness, least] =
    kept !== undefined && apart?.handed !== undefined
      ? [apart.handed, state, undefined, undefined]
      : kept?.move !== undefined
        ? [kept.solution(state, right), state, undefined, undefined]
        : solver.update(system.operator, right, state, precondition)
  const image = kept?.move === undefined ? undefined : (kept.image?.(system.operator, u) ?? system.operator(u))
  const beside = apart === undefined ? {} : { apart: { right, ...(kept === undefined ? {} : { handed: u, image }) } }
  const measurement = measure ? measured(system.operator(u), u, right, least) : { residual: undefined }
  if (reduced !== undefined) {
    const handed = reduced.along(system.embed(system.direction(u)), into)
    return { cotangents: Vector.scale(-1, handed), touched: into, state: next, ...measurement, soundness, ...beside }
  }
  let touched: ReadonlyArray<string> = []
  const mixedOf = (x: Tree) => {
    const found = Objective.accumulated(level, { ...vars, [own]: system.at(x) }, batches, into)
    touched = found.touched
    return found.gradient
  }
  const mixed = product.derivative(mixedOf, system.x, system.direction(u))
  return {
    cotangents: Vector.scale(-1, mixed),
    touched,
    state: next,
    ...measurement,
    soundness,
    ...beside
  }
}

const unstated =
  ({ name }: Solver): Preconditioner =>
  () => {
    throw new Error(`solver '${name}' uses the preconditioner and does not say so: give it preconditioned: true`)
  }

/** How well a solve went: its relative residual, and the least curvature that it met; where there was nothing to solve, none. */
const measured = (image: Tree, u: Tree, v: Tree, least: tf.Scalar | undefined) => {
  const squared = Vector.dot(u, u)
  const along = tf.where(
    tf.greater(squared, 0),
    tf.divNoNan(Vector.dot(u, image), squared),
    Elimination.unmet
  ) as tf.Scalar
  return {
    residual: tf.divNoNan(Vector.norm(Vector.subtract(image, v)), Vector.norm(v)) as tf.Scalar,
    curvature: least === undefined ? along : Elimination.least(least, along)
  }
}

/** The preconditioner at one update: `−(∂x'/∂g)ᵀ v`, over what the optimizer moves. */
export const preconditioner =
  ({ optimizer }: Pick<Definition, "optimizer">, then: Omit<Past, "reads">): Preconditioner =>
  (v) => {
    const update = (g: Tree) => optimizer.update(g, then.optimizer, then.own, then.clock)[0]
    const whole = optimizer.stationarity?.moves === undefined ? v : Trees.replace(Vector.zeros(then.own), v)
    return Stationary.moving(optimizer, Vector.scale(-1, Gradient.pullback(update, then.gradient, whole))) as typeof v
  }

/**
 * Cotangents through the last updates of a level, newest first: each update is `x' = update(g(x, y), state, x)`, so its
 * pullback is the optimizer's (first order, by differentiation) and the gradient map's (a curvature product).
 */
export const unrolled = (
  level: Definition,
  { product, rows }: Extract<Hypergradient, { readonly _tag: "Unrolled" }>,
  vars: Vars,
  past: ReadonlyArray<Past>,
  batches: ReadonlyArray<Objective.UpdateBatch>,
  into: ReadonlyArray<string>,
  v: Tree
): Handed => {
  const own = level.own.name
  let flowing: { readonly params: Tree; readonly state: Tree } = { params: v, state: Vector.zeros(past[0]!.optimizer) }
  let cotangents: Vars = Vector.zeros(Object.fromEntries(into.map((name) => [name, vars[name]!])))
  let touched: ReadonlyArray<string> = []
  for (let i = past.length - 1; i >= 0; i--) {
    const then = past[i]!
    const seen = { ...vars, ...then.reads, [own]: then.own }
    const seenBatches = Objective.microBatches(batches[i]!).map((batch) => seenOf(level, rows, batch))
    const gradientOf = (wrt: ReadonlyArray<string>) => (x: Tree) => {
      const found = Objective.accumulated(level, { ...seen, [own]: x }, seenBatches, wrt)
      touched = found.touched
      return found.gradient
    }
    const update = (at: { readonly g: Tree; readonly state: Tree; readonly params: Tree }) => {
      const [params, state] = level.optimizer.update(at.g, at.state, at.params, then.clock)
      return { params, state }
    }
    const back = Gradient.pullback(update, { g: then.gradient, state: then.optimizer, params: then.own }, flowing)
    const through = product.derivative(gradientOf([own, ...into]), then.own, back.g)
    flowing = { params: Vector.add(back.params, through[own]!), state: back.state }
    cotangents = Vector.add(cotangents, Object.fromEntries(into.map((name) => [name, through[name]!])))
  }
  return { cotangents, touched, state: {}, residual: undefined, soundness: undefined }
}

/** What is remembered of an update about to be made. */
export const remember = (level: Definition, vars: Vars, optimizer: Tree, clock: tf.Scalar, gradient: Tree): Past => ({
  own: vars[level.own.name]!,
  gradient,
  optimizer,
  clock,
  reads: rememberedReads(level, vars)
})
