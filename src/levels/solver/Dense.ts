import * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../../dsl/Hypergradient.ts"
import * as Tree from "../../dsl/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import { checked, least } from "./Stateless.ts"

const largestDense = 512

// A pivot below this share of the largest one is rounding.
const negligible = 1e-6

/**
 * Gauss-Jordan elimination without pivoting, which a positive definite matrix does not need: `matrix⁻¹ column`, and how far
 * its smallest pivot is from rounding.
 */
export const elimination = (
  matrix: tf.Tensor2D,
  column: tf.Tensor1D
): readonly [solution: tf.Tensor1D, soundness: tf.Scalar] => {
  const n = column.shape[0]
  const units = tf.eye(n)
  let system = tf.concat([matrix, tf.reshape(column, [n, 1])], 1) as tf.Tensor2D
  let [smallest, largest]: [tf.Scalar | undefined, tf.Scalar] = [undefined, tf.scalar(0)]
  for (let k = 0; k < n; k++) {
    const row = tf.slice(system, [k, 0], [1, n + 1])
    const pivot = tf.slice(row, [0, k], [1, 1])
    const pivoted = tf.div(row, pivot) as tf.Tensor2D
    const size = tf.reshape(tf.abs(pivot), []) as tf.Scalar
    smallest = least(smallest, size)
    largest = tf.where(tf.greater(size, largest), size, largest)
    const factors = tf.sub(tf.slice(system, [0, k], [n, 1]), tf.slice(units, [0, k], [n, 1])) as tf.Tensor2D
    // In row k the factor is pivot − 1, and row − (pivot − 1) · row / pivot is row / pivot: no row needs a special case.
    system = tf.sub(system, tf.matMul(factors, pivoted)) as tf.Tensor2D
  }
  const solution = tf.reshape(tf.slice(system, [0, n], [n, 1]), [n]) as tf.Tensor1D
  return [solution, tf.sub(smallest ?? 1, tf.mul(negligible, largest))]
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
