import type * as tf from "@tensorflow/tfjs-core"
import { type Pipeable, Prototype } from "effect/Pipeable"
import type { Tree } from "./values/Tree.ts"

/**
 * Where an optimizer's update stands still, where that is not simply where the gradient is zero. A level's solution is
 * that point, so the linear solve of an implicit hypergradient is made with it: `seen(∇L) + added(x) = 0` over the leaves
 * that `moves` accepts and the elements that are `free`; what does not move responds to nothing.
 *
 * Trees are those of the leaves that move, under the paths they have in the whole variable, a list being a record of its
 * indices where `moves` is given.
 */
export interface Stationarity {
  /** Whether the leaf at this path moves; every leaf does where absent. */
  readonly moves?: (path: string) => boolean
  /** 1 where an element is free to move at these parameters, 0 where a projection holds it. */
  readonly free?: (params: Tree) => Tree
  /** What the update adds to the gradient, such as λθ of a weight decay. */
  readonly added?: (params: Tree) => Tree
  /** The gradient as it is when `added` joins it, such as a clipped one; itself where absent. */
  readonly seen?: (gradient: Tree) => Tree
  /** Whether nothing ever moves, as at a rate of zero. */
  readonly still?: boolean
  /** Why no system of equations in the gradient says where the update stands still. */
  readonly unsolvable?: string
}

/**
 * Two pure functions, as in Optax: state travels beside the optimizer as a tree.
 *
 * `clock` is an int32 scalar: the number of updates made before this one. Rates are functions of it.
 */
export interface Optimizer extends Pipeable {
  /** Printed in plans and part of a program's fingerprint, e.g. `adam(0.001)`. */
  readonly name: string
  readonly init: (params: Tree) => Tree
  /** New parameters and new state from gradients of the parameters' own shapes. */
  readonly update: <T extends Tree>(
    gradients: T,
    state: Tree,
    params: T,
    clock: tf.Scalar
  ) => readonly [params: T, state: Tree]
  /** Where the update stands still; where the gradient is zero if absent. */
  readonly stationarity?: Stationarity
  /** Its learning rates by group, the empty name where there is one for all: what a run notes of them. */
  readonly rates?: (clock: tf.Scalar) => { readonly [group: string]: tf.Scalar }
  /** The gradient as the method takes it, clipped and decayed; the gradient itself where absent. */
  readonly taken?: (gradients: Tree, params: Tree) => Tree
}

/** An optimizer from its two functions, and from where it stands still if that is not where the gradient is zero. */
export const make = (
  spec: Pick<Optimizer, "name" | "init" | "update" | "stationarity" | "rates" | "taken">
): Optimizer => Object.assign(Object.create(Prototype), spec)
