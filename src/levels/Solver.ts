import * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../dsl/Hypergradient.ts"
import * as Tree from "../dsl/Tree.ts"
import * as Vector from "../tensor/Vector.ts"

/** A solver that starts from zero each time and so has no state. */
const stateless = (
  name: string,
  cost: Solver["cost"],
  solve: <T extends Tree.Tree>(product: (u: T) => T, v: T) => T
): Solver => ({ name, cost, init: () => ({}), update: (product, v, state) => [solve(product, v), state] })

const count = (solver: string, what: string, value: number, least: number): void => {
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(`${solver}: ${what} is ${value}; give a whole number of at least ${least}`)
  }
}

/** `u = v`: the Hessian replaced by the identity, as DARTS and Betty's `darts` do. */
export const identity: Solver = stateless("identity", { products: 0, productsPerElement: 0 }, (_, v) => v)

/**
 * Truncated Neumann series `u = α Σⱼ₌₀..K (I − αH)ʲ v` with K = `terms` and α = `rate` (Lorraine et al. 2020, algorithm 3).
 * Converges to H⁻¹v as terms grow where 0 < α < 2/λmax.
 */
export const neumann = (options: { readonly terms: number; readonly rate: number }): Solver => {
  const { rate, terms } = options
  count("neumann", "terms", terms, 0)
  if (!(rate > 0 && Number.isFinite(rate))) throw new RangeError(`neumann: rate is ${rate}; give a positive number`)
  return stateless(`neumann(${terms}, ${rate})`, { products: terms, productsPerElement: 0 }, (product, v) => {
    let u = Vector.scale(rate, v)
    for (let j = 0; j < terms; j++) u = Vector.addScaled(u, rate, Vector.subtract(v, product(u)))
    return u
  })
}

/** Conjugate gradient for a fixed number of iterations (Hestenes and Stiefel 1952). Needs a positive definite H. */
export const conjugateGradient = (options: { readonly iterations: number }): Solver => {
  const { iterations } = options
  count("conjugateGradient", "iterations", iterations, 1)
  return stateless(`cg(${iterations})`, { products: iterations, productsPerElement: 0 }, (product, v) => {
    let u = Vector.zeros(v)
    let residual = v
    let direction = v
    let squared = Vector.dot(residual, residual)
    for (let i = 0; i < iterations; i++) {
      const image = product(direction)
      // A residual of exactly zero means that u is the solution: the step is then zero, not 0/0.
      const step = tf.divNoNan(squared, Vector.dot(direction, image)) as tf.Scalar
      u = Vector.addScaled(u, step, direction)
      residual = Vector.addScaled(residual, tf.neg(step), image)
      const next = Vector.dot(residual, residual)
      direction = Vector.addScaled(residual, tf.divNoNan(next, squared) as tf.Scalar, direction)
      squared = next
    }
    return u
  })
}

const largestDense = 512

/** Gauss-Jordan elimination without pivoting, which a positive definite matrix does not need: `matrix⁻¹ column`. */
const eliminate = (matrix: tf.Tensor2D, column: tf.Tensor1D): tf.Tensor1D => {
  const n = column.shape[0]
  const units = tf.eye(n)
  let system = tf.concat([matrix, tf.reshape(column, [n, 1])], 1) as tf.Tensor2D
  for (let k = 0; k < n; k++) {
    const row = tf.slice(system, [k, 0], [1, n + 1])
    const pivoted = tf.div(row, tf.slice(row, [0, k], [1, 1])) as tf.Tensor2D
    const factors = tf.sub(tf.slice(system, [0, k], [n, 1]), tf.slice(units, [0, k], [n, 1])) as tf.Tensor2D
    // In row k the factor is pivot − 1, and row − (pivot − 1) · row / pivot is row / pivot: no row needs a special case.
    system = tf.sub(system, tf.matMul(factors, pivoted)) as tf.Tensor2D
  }
  return tf.reshape(tf.slice(system, [0, n], [n, 1]), [n]) as tf.Tensor1D
}

/**
 * The dense Hessian from one product per element, then elimination. For closed-form checks and small problems.
 * Throws a `RangeError` above 512 elements.
 */
export const exact: Solver = stateless("exact", { products: 0, productsPerElement: 1 }, (product, v) => {
  const shapes = Tree.leaves(v)
  const n = Vector.size(v)
  if (n > largestDense) {
    throw new RangeError(`Solver.exact: ${n} elements; it is for at most ${largestDense}: use conjugateGradient`)
  }
  const flatten = (tree: Tree.Tree) => tf.concat(Tree.leaves(tree).map((leaf) => tf.reshape(leaf, [-1]))) as tf.Tensor1D
  const unflatten = (flat: tf.Tensor1D) => {
    const parts = tf.split(
      flat,
      shapes.map((leaf) => leaf.size)
    ) as ReadonlyArray<tf.Tensor1D>
    return Tree.unflatten(
      v,
      parts.map((part, i) => tf.reshape(part, shapes[i]!.shape))
    )
  }
  const basis = tf.unstack(tf.eye(n)) as ReadonlyArray<tf.Tensor1D>
  const columns = basis.map((unit) => flatten(product(unflatten(unit))))
  return unflatten(eliminate(tf.stack(columns) as tf.Tensor2D, flatten(v)))
})

/**
 * Starts from the previous tick's `u` instead of zero: `u ← u + solve(H, v − H u)`, one more product each time.
 *
 * With `neumann({ terms: 0, rate })` this is the single-loop step `u ← u − rate (H u − v)` of SOBA (Dagréou et al. 2022);
 * the error that restarting leaves each tick is then driven to zero over ticks.
 */
export const warm = (solver: Solver): Solver => ({
  name: `warm ${solver.name}`,
  cost: { ...solver.cost, products: solver.cost.products + 1 },
  init: (like) => ({ solution: Vector.zeros(like), inner: solver.init(like) }),
  update: (product, v, state) => {
    const { inner, solution } = state as { readonly solution: typeof v; readonly inner: Tree.Tree }
    const [correction, next] = solver.update(product, Vector.subtract(v, product(solution)), inner)
    const u = Vector.add(solution, correction)
    return [u, { solution: u, inner: next }]
  }
})
