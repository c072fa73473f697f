import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import type * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Tree from "../../../src/dsl/values/Tree.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import { lowered } from "../../../src/compiler/onnx/Lower.ts"
import { Graph, reachable } from "../../../src/compiler/graph/Graph.ts"
import { tangents } from "../../../src/compiler/tangent/Tangent.ts"
import { constant, rules } from "../../../src/compiler/tangent/TangentRules.ts"
import { trace } from "../../../src/compiler/trace/Trace.ts"
import { CompileError, Engine } from "../../../src/engines/Engine.ts"
import { directional } from "../../../src/tensor/Directional.ts"
import { central, norm } from "../../support/directional.ts"
import { evaluate } from "../../support/interpreter.ts"
import { cases, gradientOf } from "../../support/tangentCases.ts"

const like = ({ dtype, shape }: NdArray.NdArray) => ({ dtype, shape })

describe("a derivative along a direction, in float64, is the limit of central differences", () => {
  for (const { f, name, v, x } of cases) {
    it(name, () => {
      const alone = trace(f as never, ["x"], [like(x)])
      const moved = trace((x: tf.Tensor, v: tf.Tensor) => directional(f, x, v), ["x", "v"], [like(x), like(v)])
      const [found] = evaluate(moved.results, { x: x.data, v: v.data })
      const [wanted] = central((x) => evaluate(alone.results, { x }), x.data, v.data)
      assert.isAtMost(norm(found!.map((n, i) => n - wanted![i]!)), 1e-7 * (norm(wanted!) + 1e-3))
    })
  }

  it("of products of numbers some of which are zero", () => {
    const x = [0, 2, 3, 0, 0, 5, 1, 4, 6]
    const like = { dtype: "float32", shape: [3, 3] }
    const moved = trace((x: tf.Tensor, v: tf.Tensor) => directional((at) => tf.prod(at, 1), x, v), ["x", "v"], [
      like,
      like
    ] as never)
    const [found] = evaluate(moved.results, { x, v: [1, 2, 3, 4, 5, 6, 7, 8, 9] })
    assert.deepStrictEqual([...found!], [6, 0, 7 * 24 + 8 * 6 + 9 * 4])
  })

  it("shared by those elements that are the greatest together", () => {
    const like = { dtype: "float32", shape: [3] }
    const moved = trace((x: tf.Tensor, v: tf.Tensor) => directional((at) => tf.max(at), x, v), ["x", "v"], [like, like])
    assert.deepStrictEqual([...evaluate(moved.results, { x: [2, 1, 2], v: [1, 10, 4] })[0]!], [2.5])
  })
})

describe("rules", () => {
  it("are there for every operation that there is a form in ONNX for, and for no other", () => {
    assert.deepStrictEqual(Object.keys(rules).sort(), [...lowered].sort())
    for (const op of constant) assert.property(rules, op)
  })

  it("are each met by one of the cases above", () => {
    const met = new Set(
      cases.flatMap(({ f, x }) => reachable(trace(f as never, ["x"], [like(x)]).results).map(({ op }) => op))
    )
    assert.deepStrictEqual(
      Object.keys(rules).filter((op) => !met.has(op)),
      []
    )
  })

  it.live("give on the compiled engine what they give in float64", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* Engine
        const state = { x: cases.map(({ x }) => x), v: cases.map(({ v }) => v) }
        const moved = ({ v, x }: { readonly x: ReadonlyArray<tf.Tensor>; readonly v: ReadonlyArray<tf.Tensor> }) =>
          cases.map(({ f }, i) => directional(f, x[i]!, v[i]!))
        const device = yield* engine.upload(state as never)
        const observe = yield* engine.observe(moved as (state: any, batch: any) => ReadonlyArray<tf.Tensor>)
        const found = (yield* observe(device, {} as never)) as unknown as ReadonlyArray<NdArray.NdArray>
        yield* engine.release(device)
        const { results } = trace(moved as never, ["at"], [{ x: state.x.map(like), v: state.v.map(like) }])
        const named = Tree.hostEntries(state).map(([path, { data }]) => [`at.${path}`, data] as const)
        const wanted = evaluate(results, Object.fromEntries(named))
        const errors = found.map(
          ({ data }, k) => norm(wanted[k]!.map((n, i) => n - data[i]!)) / (norm(wanted[k]!) + 1e-3)
        )
        assert.deepStrictEqual(
          cases.flatMap(({ name }, k) => (errors[k]! < 2e-6 ? [] : [`${name}: ${errors[k]}`])),
          []
        )
      })
    ).pipe(Effect.provide(Compiled.layer({ threads: 1 })))
  )

  it("that are missing are named", () => {
    const g = new Graph()
    const [x, stand] = [g.input("x", [2], "float32"), g.input("stand", [2], "float32")]
    const odd = g.node("besselJ0", [stand], {}, [2], "float32")
    const error = (() => {
      try {
        return tangents(g, [odd], new Map([[stand, { for: x, along: x }]]))
      } catch (cause) {
        return cause
      }
    })()
    assert.instanceOf(error, CompileError)
    assert.match(error.message, /besselJ0: has no rule .*finiteDifference/)
  })
})

describe("stand-ins", () => {
  const like = { dtype: "float32", shape: [3] }
  const cubed = (x: tf.Tensor) => tf.mul(x, tf.square(x))
  const moving = (node: { readonly attrs: object }) =>
    String((node.attrs as { name?: string }).name).startsWith("moving")

  it("leave nothing behind, and are not taken for what has the same numbers", () => {
    // x stands for itself and is held constant as well: d/dt (x + tv)·x = v·x, not 2·v·x.
    const { results } = trace((x: tf.Tensor, v: tf.Tensor) => directional((at) => tf.mul(at, x), x, v), ["x", "v"], [
      like,
      like
    ] as never)
    assert.isFalse(reachable(results).some(moving))
    assert.deepStrictEqual([...evaluate(results, { x: [1, 2, 3], v: [1, 1, 2] })[0]!], [1, 2, 6])
  })

  it("nest: third derivatives along three directions", () => {
    const third = (x: tf.Tensor, v: tf.Tensor) => {
      const along = (f: (x: tf.Tensor) => tf.Tensor) => (x: tf.Tensor) => directional(f, x, v)
      return along(along(along((x) => tf.mul(x, cubed(x)))))(x)
    }
    const { results } = trace(third as never, ["x", "v"], [like, like])
    assert.isFalse(reachable(results).some(moving))
    assert.deepStrictEqual([...evaluate(results, { x: [1, 2, 3], v: [1, 1, 2] })[0]!], [24, 48, 24 * 3 * 8])
  })

  it("keep inner and outer directions apart", () => {
    // d/dt [x ↦ x · d/ds (x + s)] = 1, which confusion of the two perturbations makes 2.
    const f = (x: tf.Tensor, one: tf.Tensor) =>
      directional(
        (at) =>
          tf.mul(
            at,
            directional((inner) => tf.add(at, inner), x, one)
          ),
        x,
        one
      )
    const { results } = trace(f as never, ["x", "one"], [like, like])
    assert.deepStrictEqual([...evaluate(results, { x: [1, 2, 3], one: [1, 1, 1] })[0]!], [1, 1, 1])
  })

  it("are refused inside of a gradient, which would take the result for a constant", () => {
    const f = (x: tf.Tensor, v: tf.Tensor) => gradientOf((at) => directional(cubed, at, v))(x)
    assert.throws(() => trace(f as never, ["x", "v"], [like, like]), /differentiated backwards/)
  })

  it("are refused where they leave the function that they were made for", () => {
    const f = (x: tf.Tensor, v: tf.Tensor) => {
      let kept: tf.Tensor = x
      directional((at) => (kept = tf.square(at)), x, v)
      return kept
    }
    assert.throws(() => trace(f as never, ["x", "v"], [like, like]), /return the tensor from the function/)
  })

  it("give zeros where nothing is touched, and name a direction of another shape", () => {
    const f = (x: { a: tf.Tensor; b: tf.Tensor }, v: { a: tf.Tensor; b: tf.Tensor }) =>
      directional(({ a }) => ({ of: tf.square(a), none: tf.ones([2, 2]) }), x, v)
    const types = { a: like, b: like }
    const { results, structure } = trace(f as never, ["x", "v"], [types, types])
    assert.deepStrictEqual(
      Tree.entries(structure).map(([path]) => path),
      ["of", "none"]
    )
    const found = evaluate(results, { "x.a": [1, 2, 3], "x.b": [0, 0, 0], "v.a": [1, 1, 1], "v.b": [1, 1, 1] })
    assert.deepStrictEqual(
      found.map((numbers) => [...numbers]),
      [
        [2, 4, 6],
        [0, 0, 0, 0]
      ]
    )
    const odd = { a: like, b: { ...like, shape: [4] } }
    assert.throws(() => trace(f as never, ["x", "v"], [types, odd]), /'b' has shape \[3\].*\[4\]/)
  })
})

describe("on an eager engine", () => {
  it("a derivative along a direction is refused, with what to do instead", () => {
    assert.throws(
      () => tf.tidy(() => directional(tf.exp, tf.tensor1d([1]), tf.tensor1d([1]))),
      /exact products need the compiled engine.*finiteDifference/
    )
  })
})
