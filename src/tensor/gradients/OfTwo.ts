/**
 * Gradients of operations on two tensors or more, element by element. The formulas follow those of TensorFlow.js (Copyright
 * Google LLC, licensed under the Apache License 2.0). Other than there, every operand may broadcast, and a quotient rounded
 * down moves with neither operand.
 */
import * as tf from "@tensorflow/tfjs-core"
import { constant, float, ofTwo, reading, readingAll, readingBoth, type Rule, summedTo, zeros } from "./Rule.ts"

const two = () => tf.scalar(2)

const arithmetic: ReadonlyArray<Rule> = [
  readingAll(tf.AddN, (dy, saved) => Object.fromEntries(saved.map((_, i) => [i, () => tf.clone(dy)]))),
  ofTwo(
    tf.Add,
    (dy) => dy,
    (dy) => dy
  ),
  reading(tf.Sub, ["a", "b"], (dy, [a, b]) => ({ a: () => summedTo(dy, a), b: () => tf.neg(summedTo(dy, b)) })),
  ofTwo(
    tf.Multiply,
    (dy, _, b) => tf.mul(dy, float(b)),
    (dy, a) => tf.mul(dy, float(a))
  ),
  reading(tf.RealDiv, ["a", "b"], (dy, [a, b]) => ({
    a: () => summedTo(tf.div(dy, float(b)), a),
    b: () => tf.neg(tf.div(summedTo(tf.mul(dy, float(a)), b), float(tf.square(b))))
  })),
  ofTwo(
    tf.SquaredDifference,
    (dy, a, b) => tf.mul(dy, tf.mul(two(), tf.sub(a, b))),
    (dy, a, b) => tf.mul(dy, tf.mul(two(), tf.sub(b, a)))
  ),
  ofTwo(
    tf.Maximum,
    (dy, a, b) => tf.mul(dy, float(tf.greaterEqual(a, b))),
    (dy, a, b) => tf.mul(dy, float(tf.less(a, b)))
  ),
  ofTwo(
    tf.Minimum,
    (dy, a, b) => tf.mul(dy, float(tf.lessEqual(a, b))),
    (dy, a, b) => tf.mul(dy, float(tf.greater(a, b)))
  ),
  ofTwo(
    tf.Mod,
    (dy) => dy,
    (dy, a, b) => tf.mul(dy, tf.neg(tf.floor(tf.div(a, b))))
  ),
  ofTwo(
    tf.Atan2,
    (dy, a, b) => tf.mul(dy, tf.div(b, tf.add(tf.square(a), tf.square(b)))),
    (dy, a, b) => tf.neg(tf.mul(dy, tf.div(a, tf.add(tf.square(a), tf.square(b)))))
  ),
  readingBoth(tf.Pow, ["a", "b"], (dy, [a, b, y]) => ({
    a: () => {
      const exponent = float(b)
      return summedTo(tf.mul(dy, tf.mul(exponent, tf.pow(a, tf.sub(exponent, tf.scalar(1))))), a)
    },
    // Where a power is zero it stays so.
    b: () => {
      const positive = tf.greater(a, 0)
      const log = tf.where(positive, tf.log(tf.where(positive, a, tf.onesLike(a))), tf.zerosLike(a))
      return summedTo(tf.mul(dy, tf.mul(y, log)), b)
    }
  }))
]

const comparisons = [tf.Equal, tf.NotEqual, tf.Greater, tf.GreaterEqual, tf.Less, tf.LessEqual]

const choices: ReadonlyArray<Rule> = [
  ...[...comparisons, tf.LogicalAnd, tf.LogicalOr, tf.FloorDiv].map((name) => constant(name, ["a", "b"])),
  reading(tf.Select, ["condition"], (dy, [condition]) => ({
    condition: () => zeros(condition),
    t: () => tf.mul(dy, tf.cast(condition, dy.dtype)),
    e: () => tf.mul(dy, tf.cast(tf.logicalNot(condition), dy.dtype))
  }))
]

export const rules: ReadonlyArray<Rule> = [...arithmetic, ...choices]
