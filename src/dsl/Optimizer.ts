import type * as tf from "@tensorflow/tfjs-core"
import { type Pipeable, Prototype } from "effect/Pipeable"
import type { Tree } from "./Tree.ts"

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
}

/** An optimizer from its two functions. */
export const make = (spec: Pick<Optimizer, "name" | "init" | "update">): Optimizer =>
  Object.assign(Object.create(Prototype), spec)
