/** A quadratic of two levels with fixed numbers: g(x, z) = ½zᵀAz + xᵀCz + aᵀz below, f(x, z) = ½zᵀFz + ½xᵀDx + xᵀKz + fᵀz + hᵀx above. */
import * as tf from "@tensorflow/tfjs-core"
import * as M from "../../src/testing/Matrix.ts"

const A = [
  [2, 0.5],
  [0.5, 1]
]
const C = [
  [0.3, -0.2],
  [0.1, 0.4]
]
const a = [0.5, -1]
const F = [
  [1, 0.2],
  [0.2, 1.5]
]
const D = [
  [0.5, 0],
  [0, 0.8]
]
const K = [
  [0.2, 0],
  [-0.1, 0.3]
]
const f = [0.1, -0.2]
const h = [-0.3, 0.4]

const form = (x: tf.Tensor, m: ReadonlyArray<ReadonlyArray<number>>, y: tf.Tensor): tf.Tensor =>
  tf.sum(tf.mul(tf.reshape(x, [2, 1]), tf.matMul(tf.tensor2d(m as Array<Array<number>>), tf.reshape(y, [2, 1]))))
const along = (x: tf.Tensor, v: ReadonlyArray<number>): tf.Tensor => tf.sum(tf.mul(x, [...v]))

export const lowerLoss = (x: tf.Tensor, z: tf.Tensor): tf.Scalar =>
  tf.addN([tf.mul(0.5, form(z, A, z)), form(x, C, z), along(z, a)]) as tf.Scalar

export const upperLoss = (x: tf.Tensor, z: tf.Tensor): tf.Scalar =>
  tf.addN([
    tf.mul(0.5, form(z, F, z)),
    tf.mul(0.5, form(x, D, x)),
    form(x, K, z),
    along(z, f),
    along(x, h)
  ]) as tf.Scalar

/** The same in numbers. */
export const bilinear = {
  /** The upper direction with `rate · ∂f/∂z` in place of the solution. */
  step: (x: M.Vector, z: M.Vector, rate: number): M.Vector => {
    const fz = M.plus(M.plus(M.apply(F, z), M.apply(M.transpose(K), x)), f)
    const fx = M.plus(M.plus(M.apply(D, x), M.apply(K, z)), h)
    return M.minus(
      fx,
      M.apply(
        C,
        fz.map((v) => rate * v)
      )
    )
  },
  /** The upper gradient by each variable, the other held. */
  above: (x: M.Vector, z: M.Vector): { readonly fx: M.Vector; readonly fz: M.Vector } => ({
    fx: M.plus(M.plus(M.apply(D, x), M.apply(K, z)), h),
    fz: M.plus(M.plus(M.apply(F, z), M.apply(M.transpose(K), x)), f)
  }),
  /** So many lower steps. */
  direct: (x: M.Vector, z: M.Vector, rate: number, steps: number): M.Vector => {
    let found = z
    for (let i = 0; i < steps; i++) {
      const g = M.plus(M.plus(M.apply(A, found), M.apply(M.transpose(C), x)), a)
      found = M.minus(
        found,
        g.map((v) => rate * v)
      )
    }
    return found
  }
}
