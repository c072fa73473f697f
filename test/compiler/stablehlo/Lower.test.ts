import { assert, describe, expect, it } from "vitest"
import * as tf from "@tensorflow/tfjs-core"
import { Graph } from "../../../src/compiler/graph/Graph.ts"
import * as Onnx from "../../../src/compiler/onnx/Lower.ts"
import { lower, lowered } from "../../../src/compiler/stablehlo/Lower.ts"
import { trace } from "../../../src/compiler/trace/Trace.ts"
import * as Noise from "../../../src/tensor/Noise.ts"

const float = (...shape: ReadonlyArray<number>) => ({ dtype: "float32", shape }) as const

describe("StableHLO", () => {
  it("has a form for every operation that ONNX has one for, and for no other", () => {
    assert.deepStrictEqual([...lowered].sort(), [...Onnx.lowered].sort())
  })

  it("of a step can be read: the state's memory is handed on, metrics leave as one list", () => {
    const step = (state: { readonly w: tf.Tensor2D }, batch: { readonly x: tf.Tensor2D }) => {
      const gradient = tf.grad((w) => tf.mean(tf.square(tf.matMul(batch.x, w as tf.Tensor2D))))(state.w)
      return { w: tf.sub(state.w, tf.mul(0.1, gradient)), count: tf.scalar(3, "int32") }
    }
    const { inputs, results } = trace(step as never, ["state", "batch"], [{ w: float(3, 2) }, { x: float(4, 3) }])
    expect(lower(inputs, results.slice(0, 1), results.slice(1), new Map([[0, 0]]))).toMatchInlineSnapshot(`
      "module @step attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
        func.func public @main(%arg0: tensor<3x2xf32> {tf.aliasing_output = 0 : i32}, %arg1: tensor<4x3xf32>) -> (tensor<3x2xf32>, tensor<1xf32>) {
          %0 = stablehlo.dot_general %arg1, %arg0, contracting_dims = [1] x [0], precision = [HIGHEST, HIGHEST] : (tensor<4x3xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
          %1 = stablehlo.constant dense<[[0.25]]> : tensor<1x1xf32>
          %2 = stablehlo.broadcast_in_dim %1, dims = [0, 1] : (tensor<1x1xf32>) -> tensor<4x2xf32>
          %3 = stablehlo.multiply %0, %2 : tensor<4x2xf32>
          %4 = stablehlo.dot_general %arg1, %3, contracting_dims = [0] x [0], precision = [HIGHEST, HIGHEST] : (tensor<4x3xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
          %5 = stablehlo.constant dense<0.10000000149011612> : tensor<f32>
          %6 = stablehlo.broadcast_in_dim %5, dims = [] : (tensor<f32>) -> tensor<3x2xf32>
          %7 = stablehlo.multiply %4, %6 : tensor<3x2xf32>
          %8 = stablehlo.subtract %arg0, %7 : tensor<3x2xf32>
          %9 = stablehlo.constant dense<3> : tensor<i32>
          %10 = stablehlo.reshape %9 : (tensor<i32>) -> tensor<1xi32>
          %11 = stablehlo.bitcast_convert %10 : (tensor<1xi32>) -> tensor<1xf32>
          return %8, %11 : tensor<3x2xf32>, tensor<1xf32>
        }
      }
      "
    `)
  })

  it("for several devices says which inputs and results they share, and nothing else is other", () => {
    const step = (state: { readonly w: tf.Tensor2D }, batch: { readonly x: tf.Tensor2D }) => {
      const moved = tf.sub(state.w, tf.matMul(batch.x, batch.x, true))
      return { w: moved, size: tf.sum(moved) }
    }
    const { inputs, results } = trace(step as never, ["state", "batch"], [{ w: float(4, 4) }, { x: float(6, 4) }])
    const [kept, sent] = [results.slice(0, 1), results.slice(1)]
    const aliases = new Map([[0, 0]])
    const text = lower(inputs, kept, sent, aliases, { devices: 2, inputs: [1, 0], kept: [1] })
    expect(text.split("\n").slice(0, 3)).toMatchInlineSnapshot(`
      [
        "module @step attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32} {",
        "  sdy.mesh @devices = <["rows"=2]>",
        "  func.func public @main(%arg0: tensor<4x4xf32> {sdy.sharding = #sdy.sharding<@devices, [{}, {"rows"}]>, tf.aliasing_output = 0 : i32}, %arg1: tensor<6x4xf32> {sdy.sharding = #sdy.sharding<@devices, [{"rows"}, {}]>}) -> (tensor<4x4xf32> {sdy.sharding = #sdy.sharding<@devices, [{}, {"rows"}]>}, tensor<1xf32> {sdy.sharding = #sdy.sharding<@devices, [{}]>}) {",
      ]
    `)
    const alone = lower(inputs, kept, sent, aliases)
    assert.deepStrictEqual(text.split("\n").slice(3), alone.split("\n").slice(2))
  })

  it("of noise is the generator on words of 32 bits", () => {
    const { inputs, results } = trace(
      ((key: tf.Tensor1D) => Noise.uniform(key, [3], 7)) as never,
      ["key"],
      [{ dtype: "int32", shape: [2] }]
    )
    const text = lower(inputs, results, [])
    assert.match(text, /stablehlo.shift_right_logical %\d+, %\d+ : tensor<2xui32>/)
    assert.lengthOf([...text.matchAll(/stablehlo.xor/g)], 22)
  })

  it("keeps every bit of a constant", () => {
    const g = new Graph()
    const values = [0.1, -0, 1e-45, 3.4028234663852886e38, NaN, -Infinity, 2 ** 24]
    const text = lower([], [g.const(values, [values.length], "float32")], [])
    const shown = /dense<\[(.*)\]>/.exec(text)![1]!.split(", ")
    assert.deepStrictEqual(shown, [
      "0.10000000149011612",
      "0x80000000",
      "1.401298464324817e-45",
      "3.4028234663852886e+38",
      "0x7FC00000",
      "0xFF800000",
      "16777216.0"
    ])
    const many = lower(
      [],
      [
        g.const(
          Array.from({ length: 20 }, (_, i) => i),
          [20],
          "float32"
        )
      ],
      []
    )
    assert.include(many, 'dense<"0x000000000000803F00000040')
  })

  it("names an operation that it has no form for", () => {
    const g = new Graph(() => "fit")
    const x = g.node("besselJ0", [g.input("x", [2], "float32")], {}, [2], "float32")
    assert.throws(() => lower([], [x], []), "level 'fit': besselJ0: has no form in StableHLO")
  })
})
