import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import { lower } from "../../../src/compiler/onnx/Lower.ts"
import { trace } from "../../../src/compiler/trace/Trace.ts"

const operators = (f: (x: tf.Tensor) => ReadonlyArray<tf.Tensor>) => {
  const { inputs, results } = trace(f as never, ["x"], [{ dtype: "float32", shape: [3, 4] }])
  return lower(inputs, results, "given").model!.operations.map(({ op }) => op)
}

describe("a sum of squares", () => {
  it("is one operator", () => {
    assert.deepStrictEqual(
      operators((x) => [tf.sum(tf.square(x))]),
      ["ReduceSumSquare"]
    )
  })

  it("is a sum where the squares are needed otherwise, where it keeps an axis, and where it is of products", () => {
    const apart = ["Mul", "ReduceSum"]
    assert.includeMembers(
      operators((x) => [tf.sum(tf.square(x)), tf.square(x)]),
      apart
    )
    assert.includeMembers(
      operators((x) => [tf.sum(tf.square(x), 0)]),
      apart
    )
    assert.includeMembers(
      operators((x) => [tf.sum(tf.mul(x, tf.exp(x)))]),
      apart
    )
  })
})
