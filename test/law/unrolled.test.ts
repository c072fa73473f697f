import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as M from "../../src/testing/Matrix.ts"
import { type Update, updates } from "../support/updates.ts"

const a = [
  [1.5, 0.3],
  [0.3, 0.8]
]
const start = [0.4, -0.9]
const coupling = [
  [1, 0.5],
  [-0.3, 1]
]
const at = [0.7, -0.4]
const goal = [0.2, 0.5]
const steps = 6

// float64 re-enactment of the program below: inner steps from `start`, then the outer loss.
const reenact = (update: Update, y: M.Vector): number => {
  let x: M.Vector = start
  const states: Array<Array<number>> = [[], []]
  for (let t = 1; t <= steps; t++) {
    const g = M.minus(M.apply(a, x), M.apply(coupling, y))
    x = x.map((value, i) => update(value, g[i]!, states[i]!, t))
  }
  return 0.5 * M.norm(M.minus(x, goal)) ** 2
}

const products = [
  ["finite differences", Product.finiteDifference({ radius: 1 }), Eager.layer("cpu")],
  ["exact products, compiled", Product.exact, Compiled.layer({ threads: 1 })]
] as const

describe("unrolled through every inner step, the hypergradient is the derivative of the whole loop", () => {
  const each = products.flatMap(([how, ...rest]) =>
    Object.entries(updates).map(([name, update]) => [`${name}, ${how}`, update, ...rest] as const)
  )
  for (const [name, { optimizer, update }, product, engine] of each) {
    it.live(name, () =>
      Effect.gen(function* () {
        const x = Var.make("x", () => NdArray.float32([2], start))
        const y = Var.make("y", () => NdArray.float32([2], at))
        const tensor = (m: M.Matrix) => tf.tensor2d(m as Array<Array<number>>)
        const column = (v: tf.Tensor) => tf.reshape(v, [2, 1])
        const inner = Level.minimize(x, {
          given: [y],
          data: Dataset.none,
          optimizer,
          objective: ({ x, y }) =>
            tf.sub(
              tf.mul(0.5, tf.sum(tf.mul(column(x), tf.matMul(tensor(a), column(x))))),
              tf.sum(tf.mul(column(x), tf.matMul(tensor(coupling), column(y))))
            ) as tf.Scalar
        }).pipe(Level.hypergradient(Hypergradient.unrolled({ steps, product })), Level.unroll(steps))
        // With rate 1 the outer update is the negative gradient itself.
        const outer = Level.minimize(y, {
          upstream: [inner],
          data: Dataset.none,
          optimizer: Optimizer.sgd(1),
          objective: ({ x }) => tf.mul(0.5, tf.sum(tf.square(tf.sub(x, tf.tensor1d(goal))))) as tf.Scalar
        })
        const last = yield* Run.ticks(Problem.close(outer), { ticks: steps, seed: 0 }).pipe(
          Stream.filter((tick) => tick.index === steps),
          Stream.mapEffect((tick) => tick.read(["y"])),
          Stream.runHead
        )
        const found = M.minus(at, Array.from((Option.getOrThrow(last).y as NdArray.NdArray).data))
        const expected = at.map((_, i) => {
          const moved = (h: number) =>
            reenact(
              update,
              at.map((v, j) => (i === j ? v + h : v))
            )
          return (moved(1e-5) - moved(-1e-5)) / 2e-5
        })
        assert.isBelow(M.relativeError(found, expected), 2e-5)
      }).pipe(Effect.provide(engine))
    )
  }
})
