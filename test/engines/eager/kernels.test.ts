import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"

const draw = (name: string, shape: ReadonlyArray<number>) =>
  tf.tensor(
    Seed.normal(
      Seed.fold(Seed.make(4), name),
      shape.reduce((a, b) => a * b, 1)
    ),
    shape as Array<number>
  )

/** Gradients of a scalar function of freshly drawn tensors, flattened. */
const gradients = (f: (...xs: Array<any>) => tf.Tensor, shapes: ReadonlyArray<ReadonlyArray<number>>) =>
  Effect.sync(() =>
    tf.tidy(() => {
      const xs = shapes.map((shape, i) => draw(`x${i}`, shape))
      return tf
        .grads((...ys: Array<tf.Tensor>) => tf.sum(tf.square(f(...ys))) as tf.Scalar)(xs)
        .map((g) => Array.from(g.dataSync()))
    })
  )

const cases: ReadonlyArray<readonly [string, (...xs: Array<any>) => tf.Tensor, ReadonlyArray<ReadonlyArray<number>>]> =
  [
    [
      "embedding look-up",
      (table) =>
        tf.gather(
          table,
          tf.tensor2d(
            [
              [0, 3, 3],
              [1, 0, 3]
            ],
            [2, 3],
            "int32"
          )
        ),
      [[5, 4]]
    ],
    [
      "matrix product",
      (a, b) => tf.matMul(a, b),
      [
        [3, 4],
        [4, 2]
      ]
    ],
    [
      "transposed product",
      (a, b) => tf.matMul(a, b, true, true),
      [
        [4, 3],
        [2, 4]
      ]
    ],
    [
      "batched product",
      (a, b) => tf.matMul(a, b, false, true),
      [
        [2, 3, 4],
        [2, 5, 4]
      ]
    ],
    [
      "convolution",
      (x, w) => tf.conv2d(x, w, 1, "same"),
      [
        [2, 5, 6, 3],
        [3, 3, 3, 4]
      ]
    ],
    [
      "strided convolution",
      (x, w) => tf.conv2d(x, w, 2, "same"),
      [
        [2, 7, 7, 2],
        [3, 3, 2, 3]
      ]
    ],
    [
      "convolution with steps longer than its window",
      (x, w) => tf.conv2d(x, w, 2, "same"),
      [
        [2, 6, 5, 2],
        [3, 1, 2, 2]
      ]
    ],
    ["overlapping max-pool", (x) => tf.maxPool(x, 2, 1, "valid"), [[1, 5, 5, 2]]],
    ["mean pool with padding", (x) => tf.avgPool(x, 3, 2, "same"), [[2, 5, 4, 2]]],
    ["resize of what is not square", (x) => tf.image.resizeBilinear(x, [5, 3]), [[2, 4, 6, 2]]],
    [
      "valid convolution",
      (x, w) => tf.conv2d(x, w, [2, 1], "valid"),
      [
        [1, 6, 5, 2],
        [2, 3, 2, 2]
      ]
    ],
    [
      "padded convolution",
      (x, w) => tf.conv2d(x, w, 2, 1, "NHWC", 1, "floor"),
      [
        [1, 6, 6, 1],
        [3, 3, 1, 2]
      ]
    ],
    [
      "depthwise convolution",
      (x, w) => tf.depthwiseConv2d(x, w, 1, "same"),
      [
        [2, 4, 5, 3],
        [3, 3, 3, 1]
      ]
    ]
  ]

describe("training on wasm: gradients that need kernels it lacks", () => {
  for (const [name, f, shapes] of cases) {
    it.live(`${name}: equal to cpu's`, () =>
      Effect.gen(function* () {
        const expected = yield* gradients(f, shapes).pipe(Effect.provide(Eager.layer("cpu")))
        const found = yield* gradients(f, shapes).pipe(Effect.provide(Eager.layer("wasm")))
        expected.forEach((gradient, i) =>
          gradient.forEach((value, j) =>
            assert.closeTo(found[i]![j]!, value, 1e-4 * (1 + Math.abs(value)), `${i}.${j}`)
          )
        )
      })
    )
  }

  it.live("leaves no tensor behind", () =>
    Effect.gen(function* () {
      const before = tf.memory().numTensors
      const bytes = tf.memory().numDataBuffers
      for (const [, f, shapes] of cases) yield* gradients(f, shapes)
      assert.strictEqual(tf.memory().numTensors, before)
      assert.strictEqual(tf.memory().numDataBuffers, bytes)
    }).pipe(Effect.provide(Eager.layer("wasm")))
  )
})
