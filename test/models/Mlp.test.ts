import { assert, beforeAll, describe, it } from "@effect/vitest"
import "../../src/tensor/registerGradients.ts"
import * as tf from "@tensorflow/tfjs-core"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Init from "../../src/models/Init.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import { tanh } from "../../src/tensor/Smooth.ts"

const seed = Seed.make(3)

beforeAll(async () => {
  await tf.setBackend("cpu")
})

describe("Init", () => {
  const moments = (array: { readonly data: ArrayLike<number> }) => {
    const data = Array.from(array.data)
    const mean = data.reduce((sum, x) => sum + x, 0) / data.length
    return { mean, deviation: Math.sqrt(data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / data.length) }
  }

  it("constants", () => {
    assert.deepStrictEqual([...Init.zeros([3])(seed).data], [0, 0, 0])
    assert.deepStrictEqual([...Init.ones([2])(seed).data], [1, 1])
    assert.deepStrictEqual([...Init.constant(2.5, [1, 2])(seed).data], [2.5, 2.5])
  })

  it("normal and uniform have the moments they state", () => {
    const normal = moments(Init.normal(0.5, [100, 100])(seed))
    assert.approximately(normal.mean, 0, 0.025)
    assert.approximately(normal.deviation, 0.5, 0.02)
    const uniform = Init.uniform(0.3, [100, 100])(seed)
    assert.isTrue(uniform.data.every((x) => Math.abs(x) <= 0.3))
    assert.approximately(moments(uniform).deviation, 0.3 / Math.sqrt(3), 0.005)
  })

  it("glorot counts fans, receptive fields included", () => {
    assert.approximately(moments(Init.glorot([60, 140])(seed)).deviation, Math.sqrt(2 / 200), 0.003)
    assert.approximately(moments(Init.glorot([3, 3, 20, 40])(seed)).deviation, Math.sqrt(2 / (9 * 60)), 0.003)
  })

  it("is a function of the seed", () => {
    assert.deepStrictEqual(Init.normal(1, [4])(seed), Init.normal(1, [4])(seed))
    assert.notDeepEqual(Init.normal(1, [4])(seed), Init.normal(1, [4])(Seed.fold(seed, 1)))
  })
})

describe("Mlp", () => {
  it("layers have the sizes asked for and differ from one another", () => {
    const params = Mlp.init([3, 4, 4, 2])(seed)
    assert.deepStrictEqual(
      Tree.hostEntries(params).map(([path, leaf]) => [path, leaf.shape]),
      [
        ["0.w", [3, 4]],
        ["0.b", [4]],
        ["1.w", [4, 4]],
        ["1.b", [4]],
        ["2.w", [4, 2]],
        ["2.b", [2]]
      ]
    )
    assert.notDeepEqual(Mlp.init([4, 4, 4])(seed)[0]!.w, Mlp.init([4, 4, 4])(seed)[1]!.w)
    assert.throws(() => Mlp.init([3]), /give at least inputs and outputs/)
  })

  it("applies the activation between layers only", () =>
    tf.tidy(() => {
      const layer = (w: number, b: number) => ({ w: tf.tensor2d([[w]]), b: tf.tensor1d([b]) })
      const at = (x: number, activation?: (x: tf.Tensor2D) => tf.Tensor2D) =>
        Mlp.apply([layer(2, 1), layer(-3, 0.5)], tf.tensor2d([[x]]), activation).dataSync()[0]!
      assert.strictEqual(at(1), -8.5)
      assert.strictEqual(at(-1), 0.5)
      assert.approximately(at(-1, tanh), 0.5 - 3 * Math.tanh(-1), 1e-6)
    }))
})
