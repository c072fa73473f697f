import { assert, beforeEach, describe, it } from "vitest"
import * as tf from "@tensorflow/tfjs-core"
import "../../src/engines/eager/Eager.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as BatchNorm from "../../src/models/BatchNorm.ts"
import * as Gradient from "../../src/tensor/Gradient.ts"

const seed = Seed.make(7)
const drawn = (name: string, shape: [number, number, number, number]) =>
  tf.tensor4d(Seed.normal(Seed.fold(seed, name), NdArray.size(shape)), shape)
const vector = (...values: Array<number>) => tf.tensor1d(values)
const numbers = (x: tf.Tensor): ReadonlyArray<number> => Array.from(x.dataSync())
const close = (a: ReadonlyArray<number>, b: ReadonlyArray<number>, within: number, what = "") => {
  assert.strictEqual(a.length, b.length)
  a.forEach((x, i) => assert.closeTo(x, b[i]!, within, `${what} ${i}`))
}

// Far from centred, so that a variance taken as a difference of large squares would show.
const pictures = () => tf.add(tf.mul(drawn("x", [3, 4, 2, 2]), vector(2, 0.5)), vector(50, -3)) as tf.Tensor4D
const params = () => ({ scale: vector(1.5, -0.7), offset: vector(0.2, 4) })
const running = () => ({ mean: vector(1, 2), variance: vector(3, 4) })

/** Mean and unbiased variance of a channel, in float64. */
const expected = (x: tf.Tensor4D, channel: number): readonly [mean: number, variance: number] => {
  const values = numbers(x).filter((_, i) => i % 2 === channel)
  const mean = values.reduce((a, b) => a + b) / values.length
  return [mean, values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1)]
}

const tidily = (name: string, body: () => void) =>
  it(name, () => {
    const before = tf.memory().numTensors
    tf.tidy(body)
    assert.strictEqual(tf.memory().numTensors, before)
  })

describe("BatchNorm", () => {
  beforeEach(async () => {
    await tf.setBackend("cpu")
  })

  tidily("gives each channel the offset as its mean and the scale as its deviation", () => {
    const [y] = BatchNorm.train(params(), running(), pictures())
    for (const [channel, [offset, scale]] of [
      [0, [0.2, 1.5]],
      [1, [4, -0.7]]
    ] as const) {
      const [mean, variance] = expected(y, channel)
      assert.closeTo(mean, offset, 1e-4)
      assert.closeTo(variance * (23 / 24), scale ** 2, 1e-3)
    }
  })

  tidily("moves running statistics a tenth of the way to the batch's mean and unbiased variance", () => {
    const x = pictures()
    const [, next] = BatchNorm.train(params(), running(), x)
    const found = [0, 1].map((channel) => expected(x, channel))
    close(numbers(next.mean), [0.9 + 0.1 * found[0]![0], 1.8 + 0.1 * found[1]![0]], 1e-4)
    close(numbers(next.variance), [2.7 + 0.1 * found[0]![1], 3.6 + 0.1 * found[1]![1]], 1e-4)
  })

  tidily("evaluates each picture by the running statistics alone", () => {
    const x = pictures()
    const { offset, scale } = params()
    const { mean, variance } = running()
    const whole = BatchNorm.evaluate(params(), running(), x)
    const reference = tf.batchNorm(x, mean, variance, offset, scale, 1e-5)
    close(numbers(whole), numbers(reference), 1e-4)
    const alone = BatchNorm.evaluate(params(), running(), tf.slice(x, [1, 0, 0, 0], [1, 4, 2, 2]))
    assert.deepStrictEqual(numbers(alone), numbers(tf.slice(whole, [1, 0, 0, 0], [1, 4, 2, 2])))
  })

  tidily("has the gradients that differentiating each operation gives", () => {
    const at = { x: pictures(), ...params() }
    const cotangent = drawn("dy", [3, 4, 2, 2])
    const gradient = (f: (at: { x: tf.Tensor4D; scale: tf.Tensor1D; offset: tf.Tensor1D }) => tf.Tensor) =>
      Gradient.pullback(f, at, cotangent)
    const stated = gradient((at) => BatchNorm.train(at, running(), at.x)[0])
    const reference = gradient(({ offset, scale, x }) => {
      const { mean, variance } = tf.moments(x, [0, 1, 2])
      return tf.add(tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5))), scale), offset)
    })
    for (const [path, leaf] of Tree.entries(reference)) {
      close(numbers((stated as { readonly [k: string]: tf.Tensor })[path]!), numbers(leaf), 1e-4, path)
    }
  })

  tidily("refuses a batch without a variance", () => {
    assert.throws(
      () => BatchNorm.train(params(), running(), tf.ones([1, 1, 1, 2])),
      /\[1,1,1,2\] has one value a channel/
    )
  })
})
