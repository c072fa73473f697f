import { assert, describe, expect, it } from "vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Onnx from "../../../src/compiler/onnx/Lower.ts"
import { Graph, type Node } from "../../../src/compiler/graph/Graph.ts"
import { trace } from "../../../src/compiler/trace/Trace.ts"
import { imported } from "../../../src/compiler/webassembly/Elementwise.ts"
import { listing } from "../../../src/compiler/webassembly/Listing.ts"
import { lacking, lower } from "../../../src/compiler/webassembly/Lower.ts"
import { covered } from "../../../src/compiler/webassembly/Schedule.ts"
import { fewNodes, small, suits, work } from "../../../src/compiler/webassembly/Work.ts"
import * as Host from "../../../src/engines/webassembly/Host.ts"

const float = (...shape: ReadonlyArray<number>) => ({ dtype: "float32", shape }) as const

/** A logistic step: loss and update of three features on eight rows. */
const logistic = () => {
  const step = (state: { readonly w: tf.Tensor2D }, batch: { readonly x: tf.Tensor2D; readonly y: tf.Tensor2D }) => {
    const loss = (w: tf.Tensor) => {
      const z = tf.matMul(batch.x, w as tf.Tensor2D)
      return tf.mean(tf.sub(tf.softplus(z), tf.mul(batch.y, z))) as tf.Scalar
    }
    const { grad, value } = tf.valueAndGrad(loss)(state.w)
    return { w: tf.sub(state.w, tf.mul(0.1, grad)), loss: value }
  }
  return trace(step as never, ["state", "batch"], [{ w: float(3, 1) }, { x: float(8, 3), y: float(8, 1) }])
}

const along = { axis: 0, exclusive: false, reverse: false }

describe("WebAssembly", () => {
  it("has a form for every operation that ONNX has one for, but for those of images", () => {
    const images = ["conv", "convToFilter", "convToInput", "maxPool", "maxPoolGrad", "maxPoolTangent", "meanPool"]
    assert.deepStrictEqual(Onnx.lowered.filter((op) => !covered(op)).sort(), images)
  })

  it("of a step can be read: what goes over the same elements shares a loop, what only moves them has none", () => {
    const { inputs, results } = logistic()
    expect(listing(inputs, results.slice(0, 1), results.slice(1))).toMatchInlineSnapshot(`
      "t1[8] = matmul(batch.x[3 i + k], state.w[k]) over rows i, columns j, sum k
      for i < 8:
        t2 = softplus(t1[i])
        t3 = mul(batch.y[i], t1[i])
        t4 = sub(t2, t3)
        t5[0] sum= t4
        t6 = mul(batch.y[i], -0.125)
        t7 = sigmoid(t1[i])
        t8 = mul(t7, 0.125)
        t9[i] = add(t6, t8)
      for one element:
        t10 = mul(t5[0], 0.125)
        sent[0] = copy(t10)
      t11[3] = matmul(batch.x[i + 3 k], t9[k]) over rows i, columns j, sum k
      for i < 3:
        t12 = mul(t11[i], 0.1)
        t0[i] = sub(state.w[i], t12)
      kept 0: t0"
    `)
  })

  it("of a step is a module, and the same one each time", () => {
    const modules = [0, 1].map(() => {
      const { inputs, results } = logistic()
      return lower(inputs, results.slice(0, 1), results.slice(1)).module
    })
    assert.deepStrictEqual(Array.from(modules[0]!.subarray(0, 8)), [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0])
    assert.deepStrictEqual(modules[0], modules[1])
  })

  it("takes equal work twice as one function", () => {
    const g = new Graph()
    const x = g.input("x", [64, 64], "float32")
    const times = (n: number) => {
      let y = x
      for (let i = 0; i < n; i++) y = g.node("matmul", [y, x], { ta: false, tb: false }, [64, 64], "float32")
      return lower([x], [y], []).module.length
    }
    assert.isBelow(times(20), times(2) + 20 * 40)
  })

  it("has room for as many kernels as there are nodes", () => {
    const g = new Graph()
    const x = g.input("x", [4], "float32")
    const sums: Array<Node> = []
    for (let i = 0; i < 400; i++)
      sums.push(
        g.node("cumsum", [g.node("mul", [x, g.scalar(i, "float32")], {}, [4], "float32")], along, [4], "float32")
      )
    const parts = Array.from({ length: 30_000 }, (_, i) => sums[i % sums.length]!)
    const joined = g.node("concat", parts, { axis: 0 }, [4 * parts.length], "float32")
    const { module } = lower([x], [joined], [])
    const host = { memory: Host.memory(1), ...imported }
    assert.isFunction(Host.instantiate(module, { host })["run"])
  })

  it("is for programs of few operations, by their graphs", () => {
    const g = new Graph()
    const product = (n: number) => {
      const x = g.input("x", [n, n], "float32")
      return [[x], [g.node("matmul", [x, x], { ta: false, tb: false }, [n, n], "float32")]] as const
    }
    assert.strictEqual(work(...product(10)), 100 + 2000)
    const most = Math.floor(Math.cbrt(small / 2))
    assert.isTrue(suits(...product(most - 1)))
    assert.isFalse(suits(...product(most + 1)))
    const image = g.input("x", [1, 1, 4, 4], "float32")
    const pool = g.node(
      "maxPool",
      [image],
      { window: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] },
      [1, 1, 2, 2],
      "float32"
    )
    assert.isFalse(suits([image], [pool]))
    assert.strictEqual(lacking([pool]), pool)
    // So many nodes that to lower them would take long, and what has no work but would have to be put down.
    let chain = g.input("x", [4], "float32")
    const start = chain
    for (let i = 0; i < fewNodes; i++) chain = g.node("sin", [chain], {}, [4], "float32")
    assert.isFalse(suits([start], [chain]))
    assert.isTrue(suits([start], [chain.inputs[0]!]))
    const wide = g.broadcast(start, [small, 4])
    assert.isFalse(suits([start], [wide]))
    assert.isFalse(suits([start], [g.node("slice", [wide], { begin: [0, 0], strides: [1, 1] }, [2, 2], "float32")]))
    // What is brought counts, whether it is read or not.
    assert.isFalse(suits([g.input("table", [small + 1], "float32")], [g.scalar(1, "float32")]))
  })
})
