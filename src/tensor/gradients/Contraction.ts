/**
 * Gradients of what brings many elements together. The formulas follow those of TensorFlow.js (Copyright Google LLC, licensed
 * under the Apache License 2.0), but for running sums along other axes than the last, which it gets wrong, elements that share
 * an extreme, to each of which it hands the whole, products of all, and matrix products that broadcast.
 */
import * as tf from "@tensorflow/tfjs-core"
import { float, ofInput, ofOutput, linear, reading, readingBoth, type Rule, summedTo } from "./Rule.ts"

const axesOf = (axis: number | Array<number> | null | undefined, { shape }: tf.Tensor): Array<number> =>
  tf.util.parseAxisParam((axis ?? shape.map((_, i) => i)) as Array<number>, shape)

/** A reduced tensor in the rank of what it was reduced from. */
const kept = (y: tf.Tensor, x: tf.Tensor, axes: ReadonlyArray<number>): tf.Tensor =>
  tf.reshape(
    y,
    x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n))
  )

const filling = (dy: tf.Tensor, x: tf.Tensor, axes: ReadonlyArray<number>): tf.Tensor =>
  tf.mul(kept(dy, x, axes), tf.ones(x.shape, "float32"))

/** Elements that are the extreme one share what flows back. */
const extreme = (kernelName: string, attr: string): Rule =>
  readingBoth(kernelName, ["x"], (dy, [x, y], attrs) => ({
    x: () => {
      const axes = axesOf(attrs[attr], x)
      const hit = float(tf.equal(x, kept(y, x, axes)))
      return tf.mul(tf.div(kept(dy, x, axes), tf.sum(hit, axes, true)), hit)
    }
  }))

/** Of each element of the rows of a matrix, the product of those before it, or after it. */
const productsBeside = (x: tf.Tensor2D, after: boolean): tf.Tensor2D => {
  const [rows, length] = x.shape
  const shifted = (y: tf.Tensor2D, by: number): tf.Tensor2D =>
    tf.pad(tf.slice(y, [0, after ? by : 0], [rows, length - by]), [[0, 0], after ? [0, by] : [by, 0]], 1)
  let products = shifted(x, 1)
  for (let by = 1; by < length; by *= 2) products = tf.mul(products, shifted(products, by))
  return products
}

/** The product of all others, for each: no quotient, so that factors may be zero. */
const product = ofInput(tf.Prod, (dy, x, { axis }) => {
  const axes = axesOf(axis, x)
  const outer = x.shape.flatMap((_, i) => (axes.includes(i) ? [] : [i]))
  const order = [...outer, ...axes]
  const moved = tf.transpose(float(x), order)
  const length = axes.reduce((n, i) => n * x.shape[i]!, 1)
  const rows = tf.reshape(moved, [x.size / length, length]) as tf.Tensor2D
  const others = tf.mul(productsBeside(rows, false), productsBeside(rows, true))
  const back = order.map((_, i) => order.indexOf(i))
  return tf.mul(kept(dy, x, axes), tf.transpose(tf.reshape(others, moved.shape), back))
})

/** Rows of all matrices of a batch as the rows of one. */
const flattened = (x: tf.Tensor): tf.Tensor2D => tf.reshape(x, [-1, x.shape.at(-1)!])

const matrixProduct = reading(tf.BatchMatMul, ["a", "b"], (dy, [a, b], { transposeA, transposeB }) => ({
  a: () => summedTo(transposeA ? tf.matMul(b, dy, transposeB, true) : tf.matMul(dy, b, false, !transposeB), a),
  b: () => {
    // One matrix for all of a batch: one product, where there would be a sum over many.
    if (b.rank === 2 && a.rank > 2 && !transposeA) {
      const [x, flow] = [flattened(a), flattened(dy)]
      return transposeB ? tf.matMul(flow, x, true, false) : tf.matMul(x, flow, true, false)
    }
    return summedTo(transposeB ? tf.matMul(dy, a, true, transposeA) : tf.matMul(a, dy, !transposeA, false), b)
  }
}))

export const rules: ReadonlyArray<Rule> = [
  ofInput(tf.Sum, (dy, x, { axis }) => filling(dy, x, axesOf(axis, x))),
  ofInput(tf.Mean, (dy, x, { axis }) => {
    const axes = axesOf(axis, x)
    return tf.div(
      filling(dy, x, axes),
      axes.reduce((n, i) => n * x.shape[i]!, 1)
    )
  }),
  extreme(tf.Max, "reductionIndices"),
  extreme(tf.Min, "axis"),
  product,
  linear(tf.Cumsum, (dy, { axis, exclusive, reverse }) => tf.cumsum(dy, axis, exclusive, !reverse)),
  ofOutput(
    tf.Softmax,
    (dy, y, { dim }) => {
      const weighted = tf.mul(dy, y)
      return tf.sub(weighted, tf.mul(tf.sum(weighted, [dim], true), y))
    },
    "logits"
  ),
  ofOutput(tf.LogSoftmax, (dy, y, { axis }) => tf.sub(dy, tf.mul(tf.sum(dy, axis, true), tf.exp(y))), "logits"),
  matrixProduct
]
