import * as tf from "@tensorflow/tfjs-core"
import * as Tree from "../dsl/values/Tree.ts"

/** `a + b`, leaf by leaf. */
export const add = <T extends Tree.Tree>(a: T, b: T): T => Tree.zipWith(a, b, (x, y) => tf.add(x, y))

/** `a − b`, leaf by leaf. */
export const subtract = <T extends Tree.Tree>(a: T, b: T): T => Tree.zipWith(a, b, (x, y) => tf.sub(x, y))

/** `factor · a` for a scalar. */
export const scale = <T extends Tree.Tree>(factor: tf.Scalar | number, a: T): T => Tree.map(a, (x) => tf.mul(x, factor))

/** `a + factor · b` for a scalar. */
export const addScaled = <T extends Tree.Tree>(a: T, factor: tf.Scalar | number, b: T): T =>
  Tree.zipWith(a, b, (x, y) => tf.add(x, tf.mul(y, factor)))

/**
 * Inner product over every leaf.
 *
 * ```ts
 * Vector.dot({ a: tf.tensor([1, 2]), b: tf.scalar(3) }, { a: tf.tensor([4, 5]), b: tf.scalar(6) }) // => 32
 * ```
 */
export const dot = (a: Tree.Tree, b: Tree.Tree): tf.Scalar => {
  const products = Tree.leaves(Tree.zipWith(a, b, (x, y) => tf.sum(tf.mul(x, y)))) as ReadonlyArray<tf.Scalar>
  return products.length === 0 ? tf.scalar(0) : products.reduce((sum, p) => tf.add(sum, p))
}

/** Euclidean norm over every leaf. */
export const norm = (a: Tree.Tree): tf.Scalar => tf.sqrt(dot(a, a))

/** Cosine of the angle between two trees; 0 where one of them is zero. */
export const cosine = (a: Tree.Tree, b: Tree.Tree): tf.Scalar =>
  tf.divNoNan(dot(a, b), tf.mul(norm(a), norm(b))) as tf.Scalar

/** Zeros in the shape of `a`. */
export const zeros = <T extends Tree.Tree>(a: T): T => Tree.map(a, (x) => tf.zerosLike(x))

/** Number of elements over every leaf. */
export const size = (a: Tree.Tree): number => Tree.leaves(a).reduce((n, x) => n + x.size, 0)
