/**
 * Gradients of operations on each element by itself. The formulas follow those of TensorFlow.js (Copyright Google LLC, licensed
 * under the Apache License 2.0), `abs` apart: at zero it has the slope zero.
 */
import * as tf from "@tensorflow/tfjs-core"
import { constant, float, linear, ofInput, ofOutput, reading, type Rule, summedTo } from "./Rule.ts"

const seluScale = 1.0507009873554805
const seluAlpha = 1.7580993408473768

const smooth: ReadonlyArray<Rule> = [
  linear(tf.Neg, (dy) => tf.neg(dy)),
  linear(tf.Identity, (dy) => float(dy)),
  // Whole numbers and truth values move only at jumps.
  reading(tf.Cast, ["x"], (dy, [x], { dtype }) => ({
    x: () => (dtype === "float32" ? tf.clone(dy) : tf.zeros(x.shape, "float32"))
  })),
  ofInput(tf.Square, (dy, x) => tf.mul(dy, tf.mul(float(x), 2))),
  ofInput(tf.Sqrt, (dy, x) => tf.div(dy, tf.mul(tf.sqrt(float(x)), 2))),
  ofInput(tf.Rsqrt, (dy, x) => tf.neg(tf.div(dy, tf.mul(tf.pow(x, 1.5), 2)))),
  ofInput(tf.Reciprocal, (dy, x) => tf.div(dy, tf.neg(tf.square(x)))),
  ofOutput(tf.Exp, (dy, y) => tf.mul(dy, y)),
  ofInput(tf.Expm1, (dy, x) => tf.mul(dy, tf.exp(x))),
  ofInput(tf.Log, (dy, x) => tf.div(dy, float(x))),
  ofInput(tf.Log1p, (dy, x) => tf.div(dy, tf.add(x, 1))),
  ofInput(tf.Erf, (dy, x) => tf.mul(dy, tf.mul(tf.exp(tf.neg(tf.square(x))), 2 / Math.sqrt(Math.PI)))),
  ofInput(tf.Sin, (dy, x) => tf.mul(tf.cos(float(x)), dy)),
  ofInput(tf.Cos, (dy, x) => tf.mul(tf.neg(tf.sin(float(x))), dy)),
  ofInput(tf.Tan, (dy, x) => tf.div(dy, tf.square(tf.cos(x)))),
  ofInput(tf.Asin, (dy, x) => tf.div(dy, tf.sqrt(tf.sub(tf.scalar(1), tf.square(float(x)))))),
  ofInput(tf.Acos, (dy, x) => tf.neg(tf.div(dy, tf.sqrt(tf.sub(tf.scalar(1), tf.square(float(x))))))),
  ofInput(tf.Atan, (dy, x) => tf.div(dy, tf.add(tf.square(float(x)), 1))),
  ofInput(tf.Sinh, (dy, x) => tf.mul(tf.cosh(float(x)), dy)),
  ofInput(tf.Cosh, (dy, x) => tf.mul(tf.sinh(float(x)), dy)),
  ofOutput(tf.Tanh, (dy, y) => tf.mul(tf.sub(tf.scalar(1), tf.square(y)), dy)),
  ofInput(tf.Asinh, (dy, x) => tf.div(dy, tf.sqrt(tf.add(tf.scalar(1), tf.square(float(x)))))),
  ofInput(tf.Acosh, (dy, x) => tf.div(dy, tf.sqrt(tf.sub(tf.square(float(x)), 1)))),
  ofInput(tf.Atanh, (dy, x) => tf.div(dy, tf.sub(tf.scalar(1), tf.square(float(x)))))
]

const activations: ReadonlyArray<Rule> = [
  ofInput(tf.Abs, (dy, x) => tf.mul(dy, tf.sign(float(x)))),
  ofOutput(tf.Sigmoid, (dy, y) => tf.mul(dy, tf.mul(y, tf.sub(tf.scalar(1), y)))),
  ofInput(tf.Softplus, (dy, x) => tf.mul(dy, tf.sigmoid(x))),
  ofInput(tf.Relu, (dy, x) => tf.mul(dy, float(tf.greater(x, 0)))),
  ofInput(tf.Relu6, (dy, x) => tf.mul(dy, float(tf.logicalAnd(tf.lessEqual(x, 6), tf.greater(x, 0))))),
  ofInput(tf.LeakyRelu, (dy, x, { alpha }) => tf.where(tf.greater(x, 0), dy, tf.mul(dy, alpha))),
  reading(tf.Prelu, ["x", "alpha"], (dy, [x, alpha]) => ({
    x: () => tf.where(tf.greater(x, 0), dy, tf.mul(dy, alpha)),
    alpha: () => summedTo(tf.where(tf.greater(x, 0), tf.zerosLike(dy), tf.mul(dy, x)), alpha)
  })),
  ofOutput(tf.Elu, (dy, y) => tf.engine().runKernel(tf.EluGrad, { dy, y })),
  reading(tf.EluGrad, ["dy", "y"], (flow, [dy, y]) => ({
    dy: () => tf.engine().runKernel(tf.EluGrad, { dy: flow, y }),
    y: () => tf.where(tf.greaterEqual(y, 0), tf.zerosLike(y), tf.mul(flow, dy))
  })),
  ofInput(tf.Selu, (dy, x) => {
    const above = tf.mul(dy, tf.scalar(seluScale))
    const below = tf.mul(tf.mul(dy, tf.scalar(seluAlpha)), tf.exp(float(x)))
    return tf.where(tf.greater(x, tf.scalar(0)), above, below)
  }),
  ofInput(tf.ClipByValue, (dy, x, { clipValueMax, clipValueMin }) =>
    tf.where(tf.logicalAnd(tf.greaterEqual(x, clipValueMin), tf.lessEqual(x, clipValueMax)), dy, tf.zerosLike(dy))
  )
]

const still: ReadonlyArray<Rule> = [
  ...[tf.Ceil, tf.Floor, tf.Round, tf.Sign, tf.Step, tf.IsFinite, tf.IsInf, tf.IsNan].map((name) =>
    constant(name, ["x"])
  ),
  ...[tf.OnesLike, tf.ZerosLike, tf.LogicalNot, tf.ArgMax, tf.ArgMin, tf.All, tf.Any].map((name) =>
    constant(name, ["x"])
  ),
  constant(tf.OneHot, ["indices"])
]

export const rules: ReadonlyArray<Rule> = [...smooth, ...activations, ...still]
