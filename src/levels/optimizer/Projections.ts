import * as tf from "@tensorflow/tfjs-core"
import { make, type Optimizer } from "../../dsl/Optimizer.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import { named, positive } from "./Named.ts"

// Keeps the share of a zero vector finite, which is then projected to itself.
const tiny = 1e-30

/** An optimizer whose parameters are projected onto a set after each update. */
const projecting =
  (what: string, options: Parameters<typeof named>[1], project: <T extends Tree.Tree>(params: T) => T) =>
  (self: Optimizer): Optimizer =>
    make({
      ...self,
      name: named(what, options, self.name),
      stationarity: {
        ...self.stationarity,
        unsolvable:
          self.stationarity?.unsolvable ??
          `${what} holds it to a curved or shared constraint, which is no equation in the gradient alone: state the level in free ` +
            "parameters (softmax, or a penalty)"
      },
      update: (gradients, state, params, clock) => {
        const [next, nextState] = self.update(gradients, state, params, clock)
        return [project(next), nextState]
      }
    })

/**
 * Projects parameters onto the ball of this radius about 0 after each update, `x · min(1, radius / ‖x‖)`, the norm being that of all leaves
 * together, or of `each` leaf alone. A level that is held so cannot be solved implicitly, save by solvers without products: the plan says so.
 * Throws a `RangeError` unless the radius is finite and positive.
 *
 * ```ts
 * const optimizer = Optimizer.sgd(1).pipe(Optimizer.ball({ radius: 1 }))
 * const [next] = optimizer.update({ w: tf.tensor([-3, -4]) }, {}, { w: tf.tensor([0, 0]) }, tf.scalar(0, "int32"))
 * next // => { w: [0.6, 0.8] }
 * ```
 */
export const ball = (options: {
  readonly radius: number
  readonly each?: "leaf"
}): ((self: Optimizer) => Optimizer) => {
  const { each, radius } = options
  positive("ball: radius", radius)
  const share = (tree: Tree.Tree): tf.Scalar =>
    tf.minimum(tf.div(radius, tf.maximum(Vector.norm(tree), tiny)), 1) as tf.Scalar
  return projecting(each === undefined ? "ball" : "ball of each leaf", { radius }, (params) => {
    if (each === "leaf") return Tree.map(params, (leaf) => tf.mul(leaf, share({ leaf })))
    return Vector.scale(share(params), params)
  })
}

const largest = 1024

/**
 * The point of the simplex of numbers that are at least 0 and sum to `total` which is nearest, along the last axis:
 * `max(x − θ, 0)` with θ the largest of (sum of the numbers that are at least xᵢ, less `total`) / (how many these are).
 */
const nearest = (x: tf.Tensor, total: number): tf.Tensor => {
  const n = x.shape.at(-1) ?? 1
  if (n > largest) {
    throw new RangeError(`Optimizer.simplex: ${n} numbers; it is for at most ${largest}: take the softmax of logits`)
  }
  const [others, own] = [tf.expandDims(x, -2), tf.expandDims(x, -1)]
  const above = tf.cast(tf.greaterEqual(others, own), "float32")
  const levels = tf.div(tf.sub(tf.sum(tf.mul(above, others), -1), total), tf.sum(above, -1))
  return tf.maximum(tf.sub(x, tf.max(levels, -1, true)), 0)
}

/**
 * Projects every vector along the last axis of every leaf onto the simplex after each update: numbers of at least 0 that sum to `total`, 1 where
 * absent (Held, Wolfe and Crowder 1974). For weights that may be exactly 0, where a softmax only comes near. Compares all pairs, and is for
 * vectors of at most 1024 numbers: throws a `RangeError` in a step beyond, and unless the total is finite and positive. As for {@link ball}, a
 * level that is held so cannot be solved implicitly.
 *
 * ```ts
 * const optimizer = Optimizer.sgd(1).pipe(Optimizer.simplex())
 * const [next] = optimizer.update({ w: tf.tensor([-1, 0, 1]) }, {}, { w: tf.tensor([0, 0.5, 0]) }, tf.scalar(0, "int32"))
 * next // => { w: [0.75, 0.25, 0] }
 * ```
 */
export const simplex = (options: { readonly total?: number } = {}): ((self: Optimizer) => Optimizer) => {
  const { total = 1 } = options
  positive("simplex: total", total)
  return projecting("simplex", total === 1 ? {} : { total }, (params) =>
    Tree.map(params, (leaf) => nearest(leaf, total))
  )
}
