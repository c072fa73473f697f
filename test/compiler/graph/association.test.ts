import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { workloads } from "../../../bench/peers/workloads.ts"
import { associated } from "../../../src/compiler/graph/Association.ts"
import { matmul, reduce } from "../../../src/compiler/graph/Contraction.ts"
import { binary, unary } from "../../../src/compiler/graph/Elementwise.ts"
import { Graph, type Node, sizeOf } from "../../../src/compiler/graph/Graph.ts"
import { trace } from "../../../src/compiler/trace/Trace.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import type { Moment } from "../../../src/runtime/plan/Moment.ts"
import * as Plan from "../../../src/runtime/plan/Plan.ts"
import { initial, initialVars } from "../../../src/runtime/step/State.ts"
import * as Step from "../../../src/runtime/step/Step.ts"
import { matrixFlops } from "../../support/flops.ts"
import { evaluate } from "../../support/interpreter.ts"

const [rows, width, outputs] = [4, 40, 24]
const worth = 100

/** Weights moved along a gradient, and from there along and against a direction, each of the rank of its batch. */
const moved = (g: Graph, tb: boolean, rank = rows) => {
  const [m, n] = tb ? [outputs, width] : [width, outputs]
  const weights = g.input("w", [m, n], "float32")
  const size = g.input("size", [], "float32")
  const [x, z] = ["x", "z"].map((name) => g.input(name, [rank, width], "float32")) as [Node, Node]
  const [d, e] = ["d", "e"].map((name) => g.input(name, [rank, outputs], "float32")) as [Node, Node]
  const gradient = (x: Node, d: Node) => (tb ? matmul(g, d, x, true, false) : matmul(g, x, d, true, false))
  const direction = gradient(z, e)
  const next = binary(g, "sub", weights, binary(g, "mul", gradient(x, d), g.scalar(0.1, "float32")))
  const norm = reduce(g, "sum", binary(g, "mul", direction, direction), [0, 1], false)
  const step = binary(g, "mul", direction, binary(g, "div", size, unary(g, "sqrt", norm)))
  const at = (w: Node) => unary(g, "tanh", matmul(g, x, w, false, tb))
  const both = [binary(g, "add", next, step), binary(g, "sub", next, step)].map(at)
  return { inputs: [weights, size, x, z, d, e], direction, next, here: at(weights), both, norm }
}

const same = (before: ReadonlyArray<Node>, after: ReadonlyArray<Node>, inputs: ReadonlyArray<Node>) => {
  const named = Object.fromEntries(
    inputs.map((node, i) => [
      String(node.attrs["name"]),
      Array.from(Seed.normal(Seed.make(i), sizeOf(node)), (v) => v / 8)
    ])
  )
  const [expected, actual] = [evaluate(before, named), evaluate(after, named)]
  for (const [i, numbers] of expected.entries()) {
    const size = Math.max(...Array.from(numbers, (v) => Math.abs(Number(v))))
    numbers.forEach((v, j) => assert.closeTo(Number(actual[i]![j]), Number(v), 1e-9 * size))
  }
}

describe("products with weights that moved along gradients of low rank", () => {
  const [wide, through] = [2 * rows * width * outputs, 2 * rows * rows * (width + outputs)]
  for (const tb of [false, true]) {
    it(`are taken through the rank, where a product that is there spares two${tb ? ", weights transposed" : ""}`, () => {
      const g = new Graph()
      const { both, here, inputs, next } = moved(g, tb)
      const results = [here, next, ...both]
      const found = associated(g, results, worth)
      same(results, found, inputs)
      // Before: one at the weights, one gradient for the next, its direction, and one on either side.
      assert.strictEqual(matrixFlops(results), 5 * wide)
      // After: the first two, and for each of gradient and direction a product through it; the norm through its two.
      const grams = 2 * rows * rows * outputs
      assert.strictEqual(matrixFlops(found), 2 * wide + 2 * through + 2 * rows * rows * width + grams)
    })
  }

  it("keep a norm's own product where something else needs it", () => {
    const g = new Graph()
    const { both, direction, here, inputs, next } = moved(g, false)
    const results = [here, next, ...both, direction]
    const found = associated(g, results, worth)
    same(results, found, inputs)
    assert.strictEqual(matrixFlops(found), 3 * wide + 2 * through)
  })

  it("stay as they are where nothing is spared, and where the rank is high", () => {
    const g = new Graph()
    const { both, next, norm } = moved(g, false)
    for (const results of [[both[0]!, norm, next], [next]]) {
      const found = associated(g, results, worth)
      assert.isAtMost(matrixFlops(found), matrixFlops(results))
    }
    const alone = matmul(g, g.input("other", [rows, width], "float32"), next, false, false)
    assert.strictEqual(associated(g, [alone, next], worth)[0], alone)
    const high = moved(g, false, 20)
    const all = [high.here, high.next, ...high.both]
    associated(g, all, worth).forEach((node, i) => assert.strictEqual(node, all[i]))
  })

  it("make reweighting 292 of 350 million operations", () => {
    const { problem } = workloads["reweighting"]!()
    const plan = Result.getOrThrow(Plan.make(problem))
    const acting = ["classifier", "reweight"]
    const moment: Moment = { acting, restarting: [], frozen: [], past: {}, diagnostics: false }
    const state = trace(initial(problem, plan) as never, ["vars"], [initialVars(problem, Seed.make(0))]).structure
    const batch = { x: { dtype: "float32", shape: [100, 784] }, y: { dtype: "int32", shape: [100] } }
    const batches = { classifier: [batch], reweight: [batch] }
    const { results } = trace(Step.make(problem, plan, moment) as never, ["state", "batch"], [state, batches])
    assert.approximately(matrixFlops(results) / 1e6, 291.9, 0.1)
  })
})
