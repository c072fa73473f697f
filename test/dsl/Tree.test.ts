import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { assert, describe, it } from "@effect/vitest"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Run from "../../src/runtime/run/Run.ts"

const leaf = NdArray.float32([], [1])
const paths = (tree: Tree.HostTree) => Tree.hostEntries(tree).map(([path]) => path)

describe("a path names one leaf", () => {
  it.each<readonly [string, Tree.HostTree]>([
    ["a.b", { "a.b": leaf, a: { b: leaf } }],
    ["x.a.b.c", { x: { "a.b": { c: leaf }, a: { "b.c": leaf } } }],
    ["a.0", { a: [leaf], "a.0": leaf }],
    ["b", { "": { b: leaf }, b: leaf }]
  ])("'%s' cannot be two", (path, tree) => {
    assert.throws(() => paths(tree), `two leaves have the path '${path}'`)
    assert.throws(() => Tree.entries(tree as never), "rename one of the keys")
  })
  it("and a key with a dot is as good as any where it stands alone", () => {
    assert.deepStrictEqual(paths({ "a.b": leaf, a: { c: leaf } }), ["a.b", "a.c"])
  })
  for (const [engine, layer] of [
    ["eager", Eager.layer("cpu")],
    ["compiled", Compiled.layer({ threads: 1 })]
  ] as const) {
    it.live(`${engine}: a run with such a variable is refused before its first tick`, () =>
      Effect.gen(function* () {
        const w = Var.make("w", () => ({ "a.b": leaf, a: { b: leaf } }))
        const level = Level.minimize(w, {
          data: Dataset.none,
          optimizer: Optimizer.sgd(0.1),
          objective: ({ w }) => tf.add(tf.square(w["a.b"]), tf.square(w.a.b)) as tf.Scalar
        })
        const ran = Run.ticks(Problem.close(level), { ticks: 1, seed: 0 })
        const error = yield* Effect.flip(Stream.runDrain(ran))
        assert.include((error as Error).message, "two leaves have the path 'w.a.b'")
      }).pipe(Effect.provide(layer))
    )
  }
})

describe("select and replace", () => {
  const tree = { encoder: { w: leaf, b: leaf }, layers: [{ w: leaf }, { w: leaf }], bare: leaf }
  it("keep paths, and put leaves back at them", () => {
    const part = Tree.select(tree as never, (path) => path.endsWith("w") && path !== "layers.0.w")
    assert.deepStrictEqual(paths(part as never), ["encoder.w", "layers.1.w"])
    const two = NdArray.float32([], [2])
    const changed = Tree.replace(
      tree as never,
      Tree.map(part, () => two as never)
    )
    assert.deepStrictEqual(
      Tree.hostEntries(changed as never).map(([path, { data }]) => [path, data[0]]),
      [
        ["encoder.w", 2],
        ["encoder.b", 1],
        ["layers.0.w", 1],
        ["layers.1.w", 2],
        ["bare", 1]
      ]
    )
    assert.strictEqual(
      Tree.select(leaf as never, (path) => path === ""),
      leaf as never
    )
    assert.deepStrictEqual(
      Tree.select(leaf as never, () => false),
      {}
    )
  })
})
