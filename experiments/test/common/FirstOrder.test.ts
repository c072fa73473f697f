import { assert, describe, it } from "@effect/vitest"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { Gradient } from "tapweight"
import * as FirstOrder from "../../common/FirstOrder.ts"

describe("objectives at first order", () => {
  it("have their own values and gradients, and refuse to give a curvature", async () => {
    await tf.setBackend("cpu")
    const cubes = (theta: { readonly w: tf.Tensor1D }, batch: tf.Scalar) =>
      tf.mul(batch, tf.sum(tf.pow(theta.w, 3))) as tf.Scalar
    const { cubes: flat } = FirstOrder.objectives({ cubes })
    const at = { w: tf.tensor1d([0.5, -2, 3]) }
    const batch = tf.scalar(2)
    const slope = (loss: typeof cubes) => (w: tf.Tensor) =>
      tf.sum(
        Gradient.valueAndGradient((theta: typeof at) => [loss(theta, batch), {}] as const, { w } as typeof at).gradient
          .w
      )
    const of = (loss: typeof cubes) => {
      const { gradient, loss: value } = Gradient.valueAndGradient(
        (theta: typeof at) => [loss(theta, batch), {}] as const,
        at
      )
      return [value.dataSync()[0], ...gradient.w.dataSync()]
    }
    assert.deepStrictEqual(of(flat!), of(cubes))
    assert.deepStrictEqual(of(cubes).slice(1), [1.5, 24, 54])
    assert.deepStrictEqual([...tf.grad(slope(cubes))(at.w).dataSync()], [6, -24, 36])
    assert.throws(() => tf.grad(slope(flat!))(at.w), /a gradient of a gradient/)
  })
})
