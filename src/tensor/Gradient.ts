import * as tf from "@tensorflow/tfjs-core"
import * as Tree from "../dsl/values/Tree.ts"

type Tape = ReadonlyArray<{ readonly saved: ReadonlyArray<tf.Tensor> | undefined }> | null
interface Tracing {
  gradientDepth: number
  activeTape: Tape
}
const tracing = (): Tracing => (tf.engine() as unknown as { readonly state: Tracing }).state

// TensorFlow.js frees what its tape saved only when differentiation ends well: a function that throws would leak it.
const freeTape = (): void => {
  const state = tracing()
  if (state.gradientDepth !== 0) return
  for (const node of state.activeTape ?? []) for (const tensor of node.saved ?? []) tensor.dispose()
  state.activeTape = null
}

/**
 * Value, side outputs and first-order gradients of a scalar function of trees.
 *
 * `f` returns `[loss, aux]`; gradients are taken of `loss` with respect to every leaf of `at`, zeros where the loss
 * does not touch a leaf. `f` may itself take gradients (`tf.grad`): what has no second derivative here is refused by name.
 */
export const valueAndGradient = <X extends Tree.Tree, A extends Tree.Tree>(
  f: (at: X) => readonly [loss: tf.Scalar, aux: A],
  at: X
): {
  readonly loss: tf.Scalar
  readonly aux: A
  readonly gradient: X
  /** By leaf of `at`: whether the loss was computed from it. */
  readonly touches: ReadonlyArray<boolean>
} => {
  // The engine's own scope ends inside `gradients`, so side outputs are kept across it and handed to the caller's.
  let kept: A | undefined
  try {
    const leaves = Tree.leaves(at)
    const { value, grads } = tf.engine().gradients(
      () => {
        const [loss, aux] = f(at)
        kept = Tree.map(aux, (leaf) => tf.keep(tf.clone(leaf)))
        return loss
      },
      leaves as Array<tf.Tensor>,
      undefined,
      true
    )
    const slopes = grads as ReadonlyArray<tf.Tensor | null | undefined>
    return {
      loss: value as tf.Scalar,
      aux: Tree.map(kept!, (leaf) => tf.clone(leaf)),
      gradient: Tree.unflatten(
        at,
        leaves.map((leaf, i) => slopes[i] ?? tf.zerosLike(leaf))
      ),
      touches: leaves.map((_, i) => (slopes[i] ?? undefined) !== undefined)
    }
  } catch (error) {
    freeTape()
    throw error
  } finally {
    if (kept !== undefined) tf.dispose(Tree.leaves(kept) as Array<tf.Tensor>)
  }
}

/** Vector-Jacobian product of a tree-valued function at first order: `vᵀ ∂f/∂x`. */
export const pullback = <X extends Tree.Tree, Y extends Tree.Tree>(f: (at: X) => Y, at: X, v: Y): X =>
  valueAndGradient((x: X) => {
    const products = Tree.leaves(Tree.zipWith(f(x), v, (y, dy) => tf.sum(tf.mul(y, dy)))) as ReadonlyArray<tf.Scalar>
    return [products.reduce((sum, p) => tf.add(sum, p)), {}] as const
  }, at).gradient

/**
 * What `f` computes, held constant: first-order gradients around it do not pass, and it may take gradients of its own of anything. For
 * numbers that an objective computes from its variables and does not differentiate, such as a multiplier or a target.
 *
 * ```ts
 * const doubled = (w: tf.Tensor) => Gradient.constant(() => ({ w: tf.mul(2, w) })).w
 * Gradient.valueAndGradient((w: tf.Tensor) => [tf.sum(tf.mul(doubled(w), w)), {}], tf.tensor([3])).gradient // => [6]
 * ```
 */
export const constant = <T extends Tree.Tree>(f: () => T): T => {
  const state = tracing()
  const { activeTape, gradientDepth } = state
  // A tape of its own, so that what is around sees results and not how they came about.
  state.gradientDepth = 0
  state.activeTape = null
  try {
    return f()
  } finally {
    state.gradientDepth = gradientDepth
    state.activeTape = activeTape
  }
}
