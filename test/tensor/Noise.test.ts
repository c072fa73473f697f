import { assert, describe, it } from "@effect/vitest"
import "../../src/tensor/registerGradients.ts"
import "@tensorflow/tfjs-backend-wasm"
import * as tf from "@tensorflow/tfjs-core"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Noise from "../../src/tensor/Noise.ts"

const seed = Seed.fold(Seed.make(11), "noise")
const keyOf = (seed: Seed.Seed) => tf.tensor1d([...seed.key], "int32")
const draw = (shape: ReadonlyArray<number>, salt = 0, from = seed) =>
  tf.tidy(() => Array.from(Noise.uniform(keyOf(from), shape, salt).dataSync()))

const mean = (xs: ReadonlyArray<number>) => xs.reduce((sum, x) => sum + x, 0) / xs.length
const covariance = (xs: ReadonlyArray<number>, ys: ReadonlyArray<number>) => {
  const [x, y] = [mean(xs), mean(ys)]
  return mean(xs.map((value, i) => (value - x) * (ys[i]! - y)))
}

for (const backend of ["cpu", "wasm"]) {
  describe(`Noise on ${backend}`, () => {
    const on = (name: string, body: () => void) =>
      it(name, async () => {
        await tf.setBackend(backend)
        const before = tf.memory().numTensors
        tf.tidy(body)
        assert.strictEqual(tf.memory().numTensors, before)
      })

    on("the step draws the bits that the host draws", () => {
      for (const shape of [[1], [7], [3, 5], [2, 3, 4]]) {
        const count = shape.reduce((n, d) => n * d, 1)
        assert.deepStrictEqual(draw(shape), [...Seed.uniform(seed, count)])
      }
    })

    on("numbers do not depend on how many are drawn", () => {
      assert.deepStrictEqual(draw([5], 3), draw([64], 3).slice(0, 5))
    })

    on("dropout zeroes a share and keeps the mean", () => {
      const dropped = Noise.dropout(tf.ones([100, 100]), keyOf(seed), 0.2, 1)
      const values = Array.from(dropped.dataSync())
      assert.deepStrictEqual(
        [...new Set(values)].sort().map((v) => Math.round(v * 1e4) / 1e4),
        [0, 1.25]
      )
      // Five standard deviations of a mean of 10,000 such values.
      assert.approximately(mean(values), 1, 0.025)
    })

    on("the gradient of dropout is its mask over 1 - rate", () => {
      const x = tf.randomNormal([4, 6], 0, 1, "float32", 1)
      const gradient = tf.grad((x) => tf.sum(Noise.dropout(x, keyOf(seed), 0.5, 2)))(x)
      assert.deepStrictEqual(
        [...gradient.dataSync()],
        draw([4, 6], 2).map((u) => (u >= 0.5 ? 2 : 0))
      )
    })
  })
}

describe("Noise", () => {
  it("is uniform: mean 1/2, variance 1/12, inside [0, 1)", () => {
    const values = draw([20_000])
    assert.approximately(mean(values), 0.5, 0.01)
    assert.approximately(covariance(values, values), 1 / 12, 0.003)
    assert.isTrue(values.every((u) => u >= 0 && u < 1))
  })

  it("salts and keys give independent numbers", () => {
    const other = Seed.fold(seed, 1)
    for (const [a, b] of [
      [draw([20_000], 0), draw([20_000], 1)],
      [draw([20_000], 1), draw([20_000], 2)],
      [draw([20_000], 0), draw([20_000], 0, other)]
    ] as const) {
      // Five standard deviations: 5 / (12 √20000).
      assert.approximately(covariance(a, b), 0, 0.003)
    }
  })

  it("refuses rates outside [0, 1)", () => {
    for (const rate of [-0.1, 1, Number.NaN]) {
      assert.throws(() => tf.tidy(() => Noise.dropout(tf.ones([2]), keyOf(seed), rate, 0)), /give a number in \[0, 1\)/)
    }
  })
})
