/** Derivatives along a direction, which a backend must know how to take: TensorFlow.js only differentiates backwards. */
import * as tf from "@tensorflow/tfjs-core"
import type { Tree } from "../dsl/values/Tree.ts"
import { pullback, valueAndGradient } from "./Gradient.ts"
import * as Vector from "./Vector.ts"

/** `d/dt f(x + t · direction)` at t = 0, in the structure of what `f` returns; zeros where `f` does not depend on `x`. */
export type Directional = <X extends Tree, Y extends Tree>(f: (x: X) => Y, x: X, direction: X) => Y

/** A backend that differentiates forwards what runs on it, gradients included. */
export interface Forward {
  readonly directional: Directional
}

/**
 * The derivative of a tree-valued function along a direction, exact to rounding; `f` may itself take gradients.
 *
 * Throws where the current backend cannot do it: of those here, only the one that records steps for the compiled engine can.
 * Differentiating a gradient backwards once more is no substitute, see `Gradient.valueAndGradient`.
 */
export const directional: Directional = (f, x, direction) => {
  const backend = tf.backend() as Partial<Forward>
  if (backend.directional === undefined) {
    throw new Error(
      `exact products need the compiled engine, and this is the eager backend '${tf.getBackend()}': ` +
        "run with engine compiled, or take Product.finiteDifference"
    )
  }
  return backend.directional(f, x, direction)
}

/**
 * {@link directional} of a function without gradients inside, on every backend: where it does not differentiate forwards,
 * `⟨v, J d⟩`, which is linear in v, is differentiated by v.
 */
export const pushforward: Directional = (f, x, direction) => {
  if ((tf.backend() as Partial<Forward>).directional !== undefined) return directional(f, x, direction)
  const v = Vector.zeros(f(x))
  return valueAndGradient((at: typeof v) => [Vector.dot(pullback(f, x, at), direction), {}] as const, v).gradient
}
