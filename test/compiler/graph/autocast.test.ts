import { assert, describe, expect, it } from "vitest"
import * as tf from "@tensorflow/tfjs-core"
import { count, type Node, print, reachable } from "../../../src/compiler/graph/Graph.ts"
import * as Onnx from "../../../src/compiler/onnx/Lower.ts"
import { lower } from "../../../src/compiler/stablehlo/Lower.ts"
import { trace } from "../../../src/compiler/trace/Trace.ts"
import type * as Tree from "../../../src/dsl/values/Tree.ts"
import * as Gradient from "../../../src/tensor/Gradient.ts"
import { type Format, rounded } from "../../../src/tensor/Rounding.ts"

const float = (...shape: ReadonlyArray<number>) => ({ dtype: "float32", shape }) as const

/** A loss with its gradients, traced in a format; in float32 without one. */
const traced = (format: Format | undefined, loss: (v: any, batch: any) => tf.Tensor, v: unknown, batch: unknown) => {
  const whole = (batch: Tree.Tree) => (v: Tree.Tree) => {
    const found = Gradient.valueAndGradient((v: Tree.Tree) => [loss(v, batch) as tf.Scalar, {}] as const, v)
    return { loss: found.loss, gradient: found.gradient }
  }
  const step = (v: Tree.Tree, batch: Tree.Tree) =>
    format === undefined ? whole(batch)(v) : rounded(format, whole(batch), v)
  return trace(step as never, ["v", "batch"], [v, batch], { halves: true })
}
const text = ({ results }: { readonly results: ReadonlyArray<Node> }) => print(results.map((r, i) => [`r${i}`, r]))
const types = (results: ReadonlyArray<Node>, op: string) =>
  new Set(reachable(results).flatMap((node) => (node.op === op ? [node.dtype] : [])))

const dense = (v: any, { x, y }: any) =>
  tf.mean(tf.square(tf.sub(tf.matMul(tf.relu(tf.add(tf.matMul(x, v.w), v.b)), v.o), y)))
const denseTypes = [
  { w: float(3, 4), b: float(4), o: float(4, 2) },
  { x: float(5, 3), y: float(5, 2) }
] as const

describe("a function in bfloat16", () => {
  it("rounds what goes into products and what stands between them; targets, losses and results are float32", () => {
    expect(text(traced("bfloat16", dense, ...denseTypes))).toMatchInlineSnapshot(`
      "%0 = const(0.2): [1, 1]
      %1 = cast(batch.x, to=bfloat16): bfloat16[5, 3]
      %2 = cast(v.w, to=bfloat16): bfloat16[3, 4]
      %3 = matmul(%1, %2, ta=false, tb=false): bfloat16[5, 4]
      %4 = cast(v.b, to=bfloat16): bfloat16[4]
      %5 = add(%4, %3): bfloat16[5, 4]
      %6 = relu(%5): bfloat16[5, 4]
      %7 = cast(v.o, to=bfloat16): bfloat16[4, 2]
      %8 = matmul(%6, %7, ta=false, tb=false): bfloat16[5, 2]
      %9 = cast(%8, to=float32): [5, 2]
      %10 = sub(%9, batch.y): [5, 2]
      %11 = mul(%10, %10): [5, 2]
      %12 = sum(%11, axes=[0, 1]): []
      %13 = div(%12, 10): []
      %14 = mul(%10, %0): [5, 2]
      %15 = cast(%14, to=bfloat16): bfloat16[5, 2]
      %16 = matmul(%15, %7, ta=false, tb=true): bfloat16[5, 4]
      %17 = matmul(%6, %15, ta=true, tb=false): bfloat16[4, 2]
      %18 = cast(0, to=bfloat16): bfloat16[]
      %19 = greater(%5, %18): bool[5, 4]
      %20 = cast(%19, to=bfloat16): bfloat16[5, 4]
      %21 = mul(%16, %20): bfloat16[5, 4]
      %22 = cast(%21, to=float32): [5, 4]
      %23 = sum(%22, axes=[0]): [1, 4]
      %24 = reshape(%23): [4]
      %25 = matmul(%1, %21, ta=true, tb=false): bfloat16[3, 4]
      %26 = cast(%25, to=float32): [3, 4]
      %27 = cast(%17, to=float32): [4, 2]
      r0 ← %13
      r1 ← %26
      r2 ← %24
      r3 ← %27"
    `)
  })

  it("has its softmax, its logarithms and its reductions in float32, also on the way back", () => {
    const entropy = (v: any, { x, labels }: any) =>
      tf.neg(
        tf.mean(tf.sum(tf.mul(tf.logSoftmax(tf.matMul(tf.softmax(tf.matMul(x, v.w)), v.o)), tf.oneHot(labels, 2)), 1))
      )
    const { results } = traced(
      "bfloat16",
      entropy,
      { w: float(3, 4), o: float(4, 2) },
      { x: float(5, 3), labels: { dtype: "int32", shape: [5] } }
    )
    for (const op of ["softmax", "sum", "maxOf", "exp", "log"])
      assert.deepStrictEqual([...types(results, op)], ["float32"], op)
    assert.deepStrictEqual([...types(results, "matmul")], ["bfloat16"])
    // What exponentials are taken of is not rounded after the product.
    for (const node of reachable(results)) {
      if (node.op !== "exp") continue
      assert.strictEqual(node.inputs[0]!.dtype, "float32")
      assert.strictEqual(node.inputs[0]!.op, "sub")
    }
  })

  it("gives each result the type that it has in float32, and computes no more", () => {
    const [half, whole] = [traced("bfloat16", dense, ...denseTypes), traced(undefined, dense, ...denseTypes)]
    assert.deepStrictEqual(
      half.results.map(({ dtype, shape }) => [dtype, shape]),
      whole.results.map(({ dtype, shape }) => [dtype, shape])
    )
    const [some, all] = [count(half.results), count(whole.results)]
    assert.deepStrictEqual({ ...some, cast: 0 }, { ...all, cast: 0 })
  })
})

describe("products", () => {
  const precisions = (format: Format | undefined) => {
    const { inputs, results } = traced(format, dense, ...denseTypes)
    return [...new Set(lower(inputs, results, []).match(/precision = \[[A-Z, ]*\]/g))]
  }
  it("of float32 round nothing unless TF32 is asked for", () => {
    assert.deepStrictEqual(precisions(undefined), ["precision = [HIGHEST, HIGHEST]"])
    assert.deepStrictEqual(precisions("tf32"), ["precision = [DEFAULT, DEFAULT]"])
    assert.deepStrictEqual(precisions("bfloat16"), ["precision = [DEFAULT, DEFAULT]"])
  })
  it("of convolutions too", () => {
    const of = (format: Format | undefined) => {
      const { inputs, results } = traced(
        format,
        (v, { x }) => tf.mean(tf.square(tf.conv2d(x, v.w, 1, "same"))),
        { w: float(3, 3, 2, 2) },
        { x: float(2, 5, 5, 2) }
      )
      return [...new Set(lower(inputs, results, []).match(/precision_config = \[.*?\]/g))]
    }
    assert.lengthOf(of(undefined), 1)
    assert.match(of(undefined)[0]!, /precision HIGHEST.*precision HIGHEST/)
    for (const format of ["tf32", "bfloat16", "float16"] as const)
      assert.match(of(format)[0]!, /precision DEFAULT.*precision DEFAULT/)
  })
  it("in TF32 are the same graph but for that", () => {
    const [asked, whole] = [traced("tf32", dense, ...denseTypes), traced(undefined, dense, ...denseTypes)]
    // Equal but for the order in which nodes were made.
    const lines = (found: typeof whole) =>
      text(found).replaceAll(", tf32=true", "").replaceAll(/%\d+/g, "%").split("\n").sort()
    assert.deepStrictEqual(lines(asked), lines(whole))
  })
})

it("models for ONNX Runtime are traced without: refused by name", () => {
  const step = (v: Tree.Tree) => rounded("bfloat16", (v: Tree.Tree) => v, v)
  assert.throws(() => trace(step as never, ["v"], [float(3)]), /bfloat16, which the engine 'xla' does/)
  const { inputs, results } = traced("bfloat16", dense, ...denseTypes)
  assert.throws(() => Onnx.lower(inputs, results, "inside"), /bfloat16/)
})
