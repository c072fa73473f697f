import * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../../dsl/Hypergradient.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Elimination from "../../tensor/Elimination.ts"
import * as Vector from "../../tensor/Vector.ts"
import { checked } from "./Stateless.ts"

const largestDense = 512

/** {@link Elimination.elimination} of one column. */
const elimination = (
  matrix: tf.Tensor2D,
  column: tf.Tensor1D
): readonly [solution: tf.Tensor1D, soundness: tf.Scalar] => {
  const [solution, soundness] = Elimination.elimination(matrix, tf.reshape(column, [-1, 1]))
  return [tf.reshape(solution, [-1]), soundness]
}

/** The solution of {@link elimination}. */
export const eliminate = (matrix: tf.Tensor2D, column: tf.Tensor1D): tf.Tensor1D => elimination(matrix, column)[0]

/** Every element of a tree in one vector, leaf after leaf. */
export const flatten = (tree: Tree.Tree): tf.Tensor1D =>
  tf.concat(Tree.leaves(tree).map((leaf) => tf.reshape(leaf, [-1]))) as tf.Tensor1D

/** The tree of `like` that {@link flatten} takes to `flat`. */
export const unflatten = <T extends Tree.Tree>(like: T, flat: tf.Tensor1D): T => {
  const shapes = Tree.leaves(like)
  const sizes = shapes.map((leaf) => leaf.size)
  const parts = tf.split(flat, sizes) as ReadonlyArray<tf.Tensor1D>
  return Tree.unflatten(
    like,
    parts.map((part, i) => tf.reshape(part, shapes[i]!.shape))
  )
}

const singular =
  "its H is singular, or has a pivot of zero: use Solver.damped(Solver.exact, { damping }), or regularise the level's objective"

const dense = checked("exact", { products: 0, productsPerElement: 1 }, singular, (product, v) => {
  const n = Vector.size(v)
  if (n > largestDense) {
    throw new RangeError(`Solver.exact: ${n} elements; it is for at most ${largestDense}: use conjugateGradient`)
  }
  const basis = tf.unstack(tf.eye(n)) as ReadonlyArray<tf.Tensor1D>
  const columns = basis.map((unit) => flatten(product(unflatten(v, unit))))
  const [solution, soundness] = elimination(tf.stack(columns, 1) as tf.Tensor2D, flatten(v))
  return [unflatten(v, solution), soundness]
})

/**
 * The dense Hessian from one product per element, then elimination. For closed-form checks and small problems.
 * Throws a `RangeError` above 512 elements.
 */
export const exact: Solver = { ...dense, strict: true }
