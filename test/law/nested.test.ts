/** Objectives that take gradients themselves: hypergradients equal central differences of the re-solved problem. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import { swept } from "../support/hypergradient.ts"

type Numbers = ReadonlyArray<number>
const sum = (x: Numbers): number => x.reduce((a, b) => a + b, 0)
const logistic = (x: number): number => 1 / (1 + Math.exp(-x))
const weights = [1, -0.5, 2]

/** A function, and its gradient in numbers. */
const functions: {
  readonly [name: string]: readonly [f: (x: tf.Tensor) => tf.Tensor, gradient: (x: Numbers) => Numbers]
} = {
  tanh: [(x) => tf.sum(tf.tanh(x)), (x) => x.map((v) => 1 - Math.tanh(v) ** 2)],
  sigmoid: [(x) => tf.sum(tf.sigmoid(x)), (x) => x.map((v) => logistic(v) * (1 - logistic(v)))],
  exp: [(x) => tf.sum(tf.exp(x)), (x) => x.map(Math.exp)],
  elu: [(x) => tf.sum(tf.elu(x)), (x) => x.map((v) => (v < 0 ? Math.exp(v) : 1))],
  softmax: [
    (x) => tf.sum(tf.mul(tf.softmax(x), weights)),
    (x) => {
      const e = x.map(Math.exp)
      const y = e.map((v) => v / sum(e))
      const mean = sum(y.map((v, i) => v * weights[i]!))
      return y.map((v, i) => v * (weights[i]! - mean))
    }
  ],
  logSoftmax: [
    (x) => tf.sum(tf.mul(tf.logSoftmax(x), weights)),
    (x) => {
      const e = x.map(Math.exp)
      return e.map((v, i) => weights[i]! - (sum(weights) * v) / sum(e))
    }
  ],
  "cross-entropy": [
    (x) => tf.losses.softmaxCrossEntropy(tf.tensor2d([[0.2, 0.5, 0.3]]), tf.reshape(x, [1, 3])),
    (x) => {
      const e = x.map(Math.exp)
      return e.map((v, i) => v / sum(e) - [0.2, 0.5, 0.3][i]!)
    }
  ]
}

/** Where `½|w − x + ½ g(x)|² + ½|g(w)|²` is least: one gradient in what is given, another in what is solved for. */
const solution = (gradient: (x: Numbers) => Numbers, x: Numbers): Numbers => {
  const shift = gradient(x)
  const loss = (w: Numbers) =>
    0.5 * sum(w.map((v, i) => (v - x[i]! + 0.5 * shift[i]!) ** 2)) + 0.5 * sum(gradient(w).map((v) => v * v))
  let w = x
  for (let step = 0; step < 400; step++)
    w = w.map((v, i) => v - (0.2 * (loss(w.with(i, v + 1e-5)) - loss(w.with(i, v - 1e-5)))) / 2e-5)
  return w
}

const at = [0.3, -0.4, 0.1]
const upper = [1, 0.5, -0.7]

const problem = (name: string, product: Hypergradient.Product) => {
  const [f, gradient] = functions[name]!
  const start = solution(gradient, at)
  const x = Var.make("x", () => NdArray.float32([3], at))
  const w = Var.make("w", () => NdArray.float32([3], start))
  const g = tf.grad(f)
  const lower = Level.minimize(w, {
    given: [x],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.1),
    objective: ({ w, x }) => {
      const pull = tf.sum(tf.square(tf.add(tf.sub(w, x), tf.mul(0.5, g(x)))))
      return tf.mul(0.5, tf.add(pull, tf.sum(tf.square(g(w))))) as tf.Scalar
    }
  }).pipe(Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product })))
  return Problem.close(
    Level.minimize(x, {
      upstream: [lower],
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective: ({ w }) => tf.sum(tf.mul(w, upper)) as tf.Scalar
    })
  )
}

const differences = (name: string): Numbers => {
  const [, gradient] = functions[name]!
  const value = (x: Numbers) => sum(solution(gradient, x).map((v, i) => v * upper[i]!))
  return at.map((v, i) => (value(at.with(i, v + 1e-3)) - value(at.with(i, v - 1e-3))) / 2e-3)
}

const finite = Product.finiteDifference({ radius: 0.02 })
const ways = {
  "cpu, finite differences": [Layer.fresh(Eager.layer("cpu")), finite],
  "wasm, finite differences": [Layer.fresh(Eager.layer("wasm")), finite],
  "compiled, finite differences": [Compiled.layer({ threads: 1 }), finite],
  "compiled, exact": [Compiled.layer({ threads: 1 }), Product.exact]
} as const

for (const [way, [layer, product]] of Object.entries(ways)) {
  describe(`gradients inside of objectives: ${way}`, () => {
    for (const name of Object.keys(functions)) {
      it.live(name, () =>
        Effect.gen(function* () {
          const { gradient } = yield* swept(problem(name, product))
          const wanted = differences(name)
          for (const [i, n] of gradient.entries()) assert.closeTo(n, wanted[i]!, 3e-3)
        }).pipe(Effect.provide(layer))
      )
    }
  })
}
