import * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../../dsl/Hypergradient.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import * as Noise from "../../tensor/Noise.ts"
import * as Vector from "../../tensor/Vector.ts"
import { eliminate, flatten, unflatten } from "./Dense.ts"
import { count, positive, stateless } from "./Stateless.ts"

// Below this share of a direction's curvature what earlier directions leave of it is rounding, not curvature.
const negligible = 1e-4

/** B with `B Bᵀ = Y (ΩᵀY)⁺ Yᵀ` for Y = HΩ, a column a direction: the Cholesky factor of H as far as Ω sees it. */
const factorOf = (
  image: (direction: tf.Tensor1D) => tf.Tensor1D,
  directions: ReadonlyArray<tf.Tensor2D>
): tf.Tensor2D => {
  let factor: tf.Tensor2D | undefined
  for (const direction of directions) {
    const y = tf.reshape(image(tf.reshape(direction, [-1]) as tf.Tensor1D), [-1, 1]) as tf.Tensor2D
    const curvature = tf.sum(tf.mul(direction, y))
    const rest: tf.Tensor2D =
      factor === undefined ? y : tf.sub(y, tf.matMul(factor, tf.matMul(factor, direction, true, false)))
    const left = tf.sum(tf.mul(direction, rest))
    const kept = tf.logicalAnd(tf.greater(left, tf.mul(negligible, curvature)), tf.greater(left, 0))
    const column = tf.mul(rest, tf.where(kept, tf.rsqrt(tf.where(kept, left, 1)), 0)) as tf.Tensor2D
    factor = factor === undefined ? column : (tf.concat([factor, column], 1) as tf.Tensor2D)
  }
  return factor!
}

/**
 * `u = (ρI + H_K)⁻¹ v` with ρ = `damping` and H_K the Nyström approximation of H from `rank` products, inverted by
 * Woodbury's identity (Hataya and Yamada, "Nyström method for accurate and scalable implicit differentiation", AISTATS 2023).
 * No iteration can diverge: H_K is positive semidefinite whatever the products are, and u = v/ρ where it sees nothing.
 *
 * The paper takes random columns of H. Here the products are along random dense directions, entries uniform in [−1, 1):
 * each mixes every column, so none is spent on an element whose curvature is zero, as most of an embedding's are in any
 * batch. They are a function of `seed`, 0 where absent, and the same at every tick, so a step draws nothing and a warm
 * solver meets one and the same inverse. Directions of negative curvature, or of none beyond rounding, are left out.
 * Keeps `rank` vectors of the variable's size while it solves. The damping should exceed the products' rounding.
 *
 * Throws a `RangeError` unless `rank` is a positive whole number and `damping` is positive, and inside a step where the
 * variable has fewer elements than `rank`.
 */
export const nystrom = (options: {
  readonly rank: number
  readonly damping: number
  readonly seed?: number
}): Solver => {
  const { damping, rank, seed } = options
  count("nystrom", "rank", rank, 1)
  positive("nystrom", "damping", damping)
  const name = `nystrom(${rank}, ${damping}${seed === undefined ? "" : `, seed=${seed}`})`
  const { key } = Seed.fold(Seed.make(seed ?? 0), "nystrom")
  return stateless(name, { products: rank, productsPerElement: 0 }, (product, v) => {
    const n = Vector.size(v)
    if (rank > n) {
      throw new RangeError(`Solver.nystrom: rank is ${rank}, but the variable has ${n} elements: give at most as many`)
    }
    const drawn = tf.tensor1d([...key], "int32")
    const scale = Math.sqrt(3 / n)
    const directions = Array.from(
      { length: rank },
      (_, j) => tf.mul(scale, tf.sub(tf.mul(2, Noise.uniform(drawn, [n, 1], j)), 1)) as tf.Tensor2D
    )
    const factor = factorOf((direction) => flatten(product(unflatten(v, direction))), directions)
    const right = flatten(v)
    const gram = tf.add(tf.matMul(factor, factor, true, false), tf.mul(damping, tf.eye(rank))) as tf.Tensor2D
    const seen = (x: tf.Tensor1D) => tf.reshape(tf.matMul(factor, tf.reshape(x, [n, 1]), true, false), [rank])
    const back = (x: tf.Tensor) => tf.reshape(tf.matMul(factor, tf.reshape(x, [rank, 1])), [n])
    const inverse = (x: tf.Tensor1D) =>
      tf.div(tf.sub(x, back(eliminate(gram, seen(x) as tf.Tensor1D))), damping) as tf.Tensor1D
    return unflatten(v, inverse(right))
  })
}
