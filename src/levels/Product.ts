import * as tf from "@tensorflow/tfjs-core"
import type { Product } from "../dsl/Hypergradient.ts"
import type { Tree } from "../dsl/values/Tree.ts"
import { directional } from "../tensor/Directional.ts"
import * as Vector from "../tensor/Vector.ts"

export type { Product }

// Keeps the step finite for a zero direction, whose product is then exactly zero.
const tiny = 1e-30

/**
 * Difference of first-order gradients along the direction, both evaluations on the same batch and noise, with
 * `ε = radius / ‖d‖`: central, `(g(x + εd) − g(x − εd)) / 2ε`, or of one side, `(g(x + εd) − g(x)) / ε`.
 *
 * Of a gradient that is quadratic the central one is exact, and else off by O(ε²); one of one side is off by O(ε). It costs
 * one evaluation beside that at `x`, which is made once for all products of a solve and not at all where the level's own
 * update made it: `Hypergradient.implicit({ at: "update" })`, `unrolled` and `Problem.simultaneous`, on compiled engines.
 *
 * With the identity solver and radius 0.01 this is Betty's `darts`. In float32, rounding costs about 1e-7 / radius of
 * the gradient's size; a larger radius is better until the gradient's own curvature shows.
 * Throws a `RangeError` unless `radius` is positive.
 *
 * ```ts
 * const square = (x: { w: tf.Tensor }) => ({ g: tf.square(x.w) })
 * const along = { w: tf.tensor([1]) }
 * Product.finiteDifference({ radius: 0.01 }).derivative(square, { w: tf.tensor([3]) }, along) // => { g: [6] }
 * Product.finiteDifference({ radius: 0.5, sides: "one" }).derivative(square, { w: tf.tensor([3]) }, along) // => { g: [6.5] }
 * ```
 */
export const finiteDifference = (options: { readonly radius: number; readonly sides?: "one" | "two" }): Product => {
  const { radius, sides = "two" } = options
  if (!(radius > 0 && Number.isFinite(radius))) {
    throw new RangeError(`finiteDifference: radius is ${radius}; give a positive number such as 0.01`)
  }
  const stepAlong = (direction: Tree) => tf.div(radius, tf.add(Vector.norm(direction), tiny)) as tf.Scalar
  if (sides === "one") {
    return {
      name: `finiteDifference(${radius}, one side)`,
      evaluations: 1,
      atPoint: 1,
      derivative: (gradient, x, direction) => {
        const epsilon = stepAlong(direction)
        const ahead = gradient(Vector.addScaled(x, epsilon, direction))
        return Vector.scale(tf.div(1, epsilon) as tf.Scalar, Vector.subtract(ahead, gradient(x)))
      }
    }
  }
  return {
    name: `finiteDifference(${radius})`,
    evaluations: 2,
    derivative: (gradient, x, direction) => {
      const epsilon = stepAlong(direction)
      const ahead = gradient(Vector.addScaled(x, epsilon, direction))
      const behind = gradient(Vector.addScaled(x, tf.neg(epsilon), direction))
      return Vector.scale(tf.div(0.5, epsilon) as tf.Scalar, Vector.subtract(ahead, behind))
    }
  }
}

/**
 * The derivative of the gradient along the direction, exact to rounding: the recorded gradient differentiated forwards
 * (Pearlmutter 1994). There is no radius to choose.
 *
 * Costs what two gradients do; beside that, values at the point itself are computed once for all products of a solve, and not
 * at all where the step has them. Needs the compiled engine: on others, a step that comes to it throws.
 */
export const exact: Product = { name: "exact", evaluations: 2, atPoint: 1, derivative: directional }
