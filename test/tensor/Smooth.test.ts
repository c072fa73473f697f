import { assert, beforeAll, describe, it } from "@effect/vitest"
import "../../src/tensor/registerGradients.ts"
import "@tensorflow/tfjs-backend-wasm"
import * as tf from "@tensorflow/tfjs-core"
import * as Smooth from "../../src/tensor/Smooth.ts"

type Scalar = (x: tf.Tensor) => tf.Scalar
type Field = (x: tf.Tensor) => tf.Tensor

const grad = (f: Field): Field => tf.grad(f)
const x = () =>
  tf.tensor2d([
    [0.3, -1.2, 0.7, 1.9],
    [-0.4, 0.1, -2.1, 0.8]
  ])
const direction = () =>
  tf.tensor2d([
    [0.5, -0.3, 0.9, 0.2],
    [-0.7, 0.4, 0.1, -0.6]
  ])

/** Central difference along `direction`. */
const difference = (f: Field): tf.Tensor => {
  const step = 1e-2
  const at = (h: number) => f(tf.add(x(), tf.mul(direction(), h)))
  return tf.div(tf.sub(at(step), at(-step)), 2 * step)
}

const along =
  (f: Field): Scalar =>
  (x) =>
    tf.sum(tf.mul(f(x), direction()))

const close = (actual: tf.Tensor, expected: tf.Tensor, tolerance: number) => {
  const [a, b] = [actual.dataSync(), expected.dataSync()]
  const scale = Math.max(1e-2, ...b.map(Math.abs))
  for (let i = 0; i < b.length; i++) {
    assert.isAtMost(Math.abs(a[i]! - b[i]!), tolerance * scale, `element ${i}: ${a[i]} for ${b[i]}`)
  }
}

const functions = {
  exp: Smooth.exp,
  sigmoid: Smooth.sigmoid,
  tanh: Smooth.tanh,
  softplus: Smooth.softplus,
  softmax: Smooth.softmax,
  logSumExp: Smooth.logSumExp,
  gelu: Smooth.gelu
}

const references: { readonly [name: string]: Field } = {
  exp: tf.exp,
  sigmoid: tf.sigmoid,
  tanh: tf.tanh,
  softplus: tf.softplus,
  softmax: (x) => tf.softmax(x),
  logSumExp: (x) => tf.logSumExp(x, -1)
}

describe.each(["cpu", "wasm"])("Smooth on %s", (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend)
  })

  for (const [name, f] of Object.entries(functions)) {
    // Squared, since TensorFlow.js goes wrong only where the function is composed with another.
    const loss: Scalar = (x) => tf.sum(tf.square(f(x)))

    it(`${name}: first, second and third derivative equal differences`, () =>
      tf.tidy(() => {
        const first = grad(loss)
        const second = grad(along(first))
        close(along(first)(x()), difference(loss), 1e-3)
        close(second(x()), difference(first), 1e-3)
        close(grad(along(second))(x()), difference(second), 1e-3)
      }))
  }

  for (const [name, reference] of Object.entries(references)) {
    it(`${name}: values are those of TensorFlow.js`, () =>
      tf.tidy(() => close(functions[name as keyof typeof functions](x()), reference(x()), 1e-6)))
  }

  it("gelu: known values", () =>
    tf.tidy(() => close(Smooth.gelu(tf.tensor1d([-1, 0, 1, 3])), tf.tensor1d([-0.158655, 0, 0.841345, 2.99595]), 1e-6)))

  it("values and derivatives stay finite far out", () =>
    tf.tidy(() => {
      const far = tf.tensor2d([[-1000, 0, 1000]])
      for (const f of [Smooth.sigmoid, Smooth.tanh, Smooth.softplus, Smooth.softmax, Smooth.logSumExp, Smooth.gelu]) {
        const first = grad((x) => tf.sum(f(x)))
        for (const t of [f(far), first(far), grad((x) => tf.sum(first(x)))(far)]) {
          assert.isTrue(t.dataSync().every(Number.isFinite))
        }
      }
      assert.deepStrictEqual([...Smooth.logSumExp(far).dataSync()], [1000])
    }))

  it("stopGradient holds its argument constant", () =>
    tf.tidy(() => {
      const product: Field = (x) => tf.sum(tf.mul(x, Smooth.stopGradient(x)))
      close(grad(product)(x()), x(), 1e-6)
      close(grad((x) => tf.sum(Smooth.stopGradient(x)))(x()), tf.zeros([2, 4]), 1e-6)
    }))

  it("leaves no tensors behind", () => {
    const before = tf.memory().numTensors
    tf.tidy(() => {
      grad((x) => tf.sum(grad((x) => tf.sum(tf.square(Smooth.softmax(x))))(x)))(x())
    })
    assert.strictEqual(tf.memory().numTensors, before)
  })
})
