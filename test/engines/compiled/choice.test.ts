/** The default engine: each function runs where its graph is for, and nobody can tell from the numbers' way between. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import { small } from "../../../src/compiler/webassembly/Work.ts"
import type { Host } from "../../../src/dsl/values/Tree.ts"
import * as CompiledEngine from "../../../src/engines/compiled/CompiledEngine.ts"
import { type Call, Engine } from "../../../src/engines/Engine.ts"
import * as OnnxEngine from "../../../src/engines/onnx/OnnxEngine.ts"
import * as WebAssemblyEngine from "../../../src/engines/webassembly/WebAssemblyEngine.ts"

type State = { readonly w: tf.Tensor2D; readonly n: tf.Scalar }
type Batch = { readonly x: tf.Tensor2D }
type Metrics = { readonly sum: tf.Scalar }

const wide = 40
const start = {
  w: NdArray.float32(
    [wide, wide],
    Array.from({ length: wide * wide }, (_, i) => Math.sin(i) / wide)
  ),
  n: NdArray.int32([], [0])
} as unknown as Host<State>
const batch = {
  x: NdArray.float32(
    [wide, wide],
    Array.from({ length: wide * wide }, (_, i) => Math.cos(i))
  )
} as unknown as Host<Batch>

/** As many products, one on another. */
const step =
  (products: number) =>
  ({ n, w }: State, { x }: Batch): readonly [State, Metrics] => {
    let y = w
    for (let i = 0; i < products; i++) y = tf.tanh(tf.matMul(x, y)) as tf.Tensor2D
    return [{ w: tf.add(w, tf.mul(y, 0.01)), n: tf.add(n, tf.scalar(1, "int32")) }, { sum: tf.sum(y) as tf.Scalar }]
  }

// 2 · 40³ operations each.
const [few, many] = [3, Math.ceil(small / wide ** 3)]

const compiled = Effect.provide(CompiledEngine.layer({ threads: 1 }))
/** What keeps the process going that belongs to other threads. */
const threads = (): number => process.getActiveResourcesInfo().filter((each) => /Worker|MessagePort/.test(each)).length
const waysOf = Effect.flatMap(Engine, ({ ways }) => ways ?? Effect.die("one way"))

/** The state after these steps, one call each. */
const after = (products: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    let state = yield* engine.upload<State>(start)
    const sums: Array<number> = []
    for (const count of products) {
      const { run } = yield* engine.compile(step(count))
      const [next, metrics] = yield* run(state, batch)
      state = next
      sums.push((metrics.sum as NdArray.NdArray).data[0]!)
    }
    const host = yield* engine.download(state)
    yield* engine.release(state)
    assert.strictEqual(yield* engine.live, 0)
    return { sums, w: Array.from((host.w as NdArray.NdArray).data), n: (host.n as NdArray.NdArray).data[0] }
  }).pipe(Effect.scoped)

describe("the default engine", () => {
  it.live("runs a small step in WebAssembly, and any other in ONNX Runtime, with the bits that each has alone", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* after([few, few]).pipe(compiled),
        yield* after([few, few]).pipe(Effect.provide(WebAssemblyEngine.layer()))
      )
      assert.deepStrictEqual(
        yield* after([many, many]).pipe(compiled),
        yield* after([many, many]).pipe(Effect.provide(OnnxEngine.layer({ threads: 1 })))
      )
      const ways = after([few, many]).pipe(Effect.andThen(waysOf), compiled)
      assert.deepStrictEqual(yield* ways, { WebAssembly: 1, "ONNX Runtime": 1 })
    })
  )

  it.live("starts no worker for small steps alone", () =>
    Effect.gen(function* () {
      const before = threads()
      yield* after([few, few])
      assert.strictEqual(threads(), before)
      yield* after([many])
      assert.isAbove(threads(), before)
    }).pipe(compiled)
  )

  it.live("has the state go from one to the other as it is, also within a sequence, which leaves where it began", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const products = [few, few, many, few, many, many]
      const one = yield* after(products)
      const calls: Array<Call<State, Batch, Metrics>> = []
      for (const count of products) calls.push({ step: yield* engine.compile(step(count)), batch })
      const state = yield* engine.upload<State>(start)
      for (let time = 0; time < 2; time++) {
        const ran = yield* engine.sequences!.run(state, calls)
        assert.isUndefined(ran.failure)
        const host = yield* engine.download(ran.state!)
        assert.deepStrictEqual(Array.from((host.w as NdArray.NdArray).data), one.w)
        assert.deepStrictEqual(
          ran.metrics.map(({ sum }) => (sum as NdArray.NdArray).data[0]),
          one.sums
        )
        yield* engine.release(ran.state!)
      }
      assert.deepStrictEqual(
        Array.from(((yield* engine.download(state)).w as NdArray.NdArray).data),
        Array.from((start as unknown as { readonly w: NdArray.NdArray }).w.data)
      )
      yield* engine.release(state)
      assert.strictEqual(yield* engine.live, 0)
    }).pipe(Effect.scoped, compiled)
  )

  it.live("runs in ONNX Runtime what has no form in WebAssembly, where that is refused by name", () =>
    Effect.gen(function* () {
      const pooled = ({ w }: State) => ({
        y: tf.maxPool(tf.reshape(w, [1, wide, wide, 1]) as tf.Tensor4D, 2, 2, "same")
      })
      const observed = Effect.gen(function* () {
        const { observe, upload } = yield* Engine
        const observer = yield* observe(pooled as never)
        return yield* observer((yield* upload<State>(start)) as never, {} as never)
      }).pipe(Effect.scoped)
      const ways = yield* observed.pipe(Effect.andThen(waysOf), compiled)
      assert.deepStrictEqual(ways, { WebAssembly: 0, "ONNX Runtime": 1 })
      const refused = yield* Effect.flip(observed.pipe(Effect.provide(WebAssemblyEngine.layer())))
      assert.match(refused.message, /^maxPool: has no form in WebAssembly/)
    })
  )

  it.live("gives up a state that a step fails on, wherever it was", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const failing = (products: number) => (state: State, given: Batch) => {
        const [next, metrics] = step(products)(state, given)
        return [{ ...next, n: tf.div(state.n, tf.sub(next.n, tf.scalar(1, "int32"))) as tf.Scalar }, metrics] as const
      }
      for (const [first, second] of [
        [few, many],
        [many, few],
        [few, few]
      ] as const) {
        const good = yield* engine.compile(step(first))
        const bad = yield* engine.compile(failing(second))
        const [state] = yield* good.run(yield* engine.upload<State>(start), batch)
        const [zero] = yield* (yield* engine.compile(({ n, w }: State) => [
          { w, n: tf.sub(n, n) as tf.Scalar },
          {}
        ])).run(state, batch)
        const failure = yield* Effect.flip(bad.run(zero, batch))
        assert.strictEqual(failure._tag, "EngineError")
        assert.strictEqual(yield* engine.live, 0)
      }
    }).pipe(Effect.scoped, compiled)
  )
})
