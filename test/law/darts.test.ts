import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { swept } from "../support/hypergradient.ts"
import * as M from "../../src/testing/Matrix.ts"
import { netInit, netLoss } from "../support/programs.ts"

const seed = Seed.make(7)
const draw = (name: string, n: number) => Seed.normal(Seed.fold(seed, name), n)
const train = { x: NdArray.float32([16, 3], draw("x", 48)), y: NdArray.float32([16], draw("y", 16)) }
const validation = { x: NdArray.float32([8, 3], draw("vx", 24)), y: NdArray.float32([8], draw("vy", 8)) }
const decayStart = { w1: NdArray.float32([3, 4], draw("d1", 12)), w2: NdArray.float32([4, 1], draw("d2", 4)) }

type Net = { readonly w1: tf.Tensor2D; readonly w2: tf.Tensor2D }
const trainLoss = (w: Net, log: Net, x: tf.Tensor2D, y: tf.Tensor1D): tf.Scalar =>
  tf.addN([
    netLoss(w, x, y),
    tf.sum(tf.mul(tf.softplus(log.w1), tf.square(w.w1))),
    tf.sum(tf.mul(tf.softplus(log.w2), tf.square(w.w2)))
  ]) as tf.Scalar

/**
 * Betty's `darts`, as it is published: v = ∂L_val/∂w over all tensors together, ε = 0.01 / (‖v‖ + 1e-15), and the result
 * (g(w − εv) − g(w + εv)) / 2ε with g = ∂L_train/∂p. No learning rate, no Hessian.
 */
const betty = (): ReadonlyArray<number> =>
  tf.tidy(() => {
    const tensors = (h: { w1: NdArray.NdArray; w2: NdArray.NdArray }) => [
      tf.tensor2d(h.w1.data, [3, 4]),
      tf.tensor2d(h.w2.data, [4, 1])
    ]
    const [w1, w2] = tensors(netInit(Seed.fold(Seed.fold(Seed.make(0), "init"), "w")))
    const [p1, p2] = tensors(decayStart)
    const x = tf.tensor2d(train.x.data, [16, 3])
    const y = tf.tensor1d(train.y.data)
    const vx = tf.tensor2d(validation.x.data, [8, 3])
    const vy = tf.tensor1d(validation.y.data)
    const v = tf.grads((a, b) => netLoss({ w1: a as tf.Tensor2D, w2: b as tf.Tensor2D }, vx, vy))([w1!, w2!])
    const norm = Math.sqrt(v.reduce((sum, part) => sum + (tf.sum(tf.square(part)).dataSync()[0] as number), 0))
    const epsilon = 0.01 / (norm + 1e-15)
    const g = (sign: number) => {
      const moved = [w1!, w2!].map((w, i) => tf.add(w, tf.mul(v[i]!, sign * epsilon)))
      const net = { w1: moved[0] as tf.Tensor2D, w2: moved[1] as tf.Tensor2D }
      return tf.grads((a, b) => trainLoss(net, { w1: a as tf.Tensor2D, w2: b as tf.Tensor2D }, x, y))([p1!, p2!])
    }
    const behind = g(-1)
    const ahead = g(1)
    return behind.flatMap((part, i) => Array.from(tf.div(tf.sub(part, ahead[i]!), 2 * epsilon).dataSync()))
  })

describe("identity × finiteDifference(0.01)", () => {
  it.live("equals Betty's darts on the same batches", () =>
    Effect.gen(function* () {
      const w = Var.make("w", netInit)
      const log = Var.make("log", () => decayStart)
      const fit = Level.minimize(w, {
        given: [log],
        data: Dataset.constant("train", train),
        optimizer: Optimizer.sgd(0.1),
        objective: ({ log, w }, { x, y }) => trainLoss(w, log, x, y)
      }).pipe(
        Level.hypergradient(
          Hypergradient.implicit({ solver: Solver.identity, product: Product.finiteDifference({ radius: 0.01 }) })
        )
      )
      const top = Level.minimize(log, {
        upstream: [fit],
        data: Dataset.constant("validation", validation),
        optimizer: Optimizer.sgd(0.1),
        objective: ({ w }, { x, y }) => netLoss(w, x, y)
      })
      const { gradient } = yield* swept(Problem.close(top))
      // Both are differences of nearly equal float32 numbers: rounding alone is about 1e-7 / 0.01.
      assert.isBelow(M.relativeError(gradient, betty()), 2e-4)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})
