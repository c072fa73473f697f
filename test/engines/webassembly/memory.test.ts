/** A memory that only grows must not: arrays that come and go take one another's places. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Node } from "../../../src/compiler/graph/Graph.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import { record } from "../../../src/engines/graph/Recording.ts"
import { Heap } from "../../../src/engines/webassembly/Heap.ts"
import * as WebAssemblyBackend from "../../../src/engines/webassembly/WebAssemblyBackend.ts"
import * as GraphEngine from "../../../src/engines/graph/GraphEngine.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import { lower } from "../../../src/compiler/webassembly/Lower.ts"
import { triLevel } from "../../support/programs.ts"

describe("the memory of programs in WebAssembly", () => {
  it.live("does not grow over ten thousand ticks, looked at or not", () =>
    Effect.gen(function* () {
      const backend = WebAssemblyBackend.make()
      const engine = GraphEngine.make(backend, { name: "webassembly", sequences: true })
      let early = 0
      yield* Stream.runForEach(Run.ticks(triLevel(), { ticks: 10_000, seed: 1 }), (tick) => {
        if (tick.index === 100) early = backend.bytes
        return tick.index % 97 === 0 ? tick.snapshot : Effect.void
      }).pipe(Effect.provideService(Engine, engine))
      assert.isAbove(early, 0)
      assert.strictEqual(backend.bytes, early)
      assert.strictEqual(yield* engine.live, 0)
    })
  )

  it("gives places up to arrays of their length, and all of it when nothing is left", () => {
    const heap = new Heap()
    const [a, b] = [heap.allocate(100), heap.allocate(7)]
    heap.free(a, 100)
    assert.strictEqual(heap.allocate(97), a)
    assert.notStrictEqual(heap.allocate(100), b)
    const before = heap.bytes
    const large = heap.allocate(before)
    assert.isAbove(heap.bytes, 4 * before)
    heap.words[large / 4 + before - 1] = 5
    for (const [address, words] of [
      [a, 100],
      [b, 7],
      [a + 416 + 32, 100],
      [large, before]
    ] as const)
      heap.free(address, words)
    assert.strictEqual(heap.allocate(3), a)
  })

  it("of a program is used again where results are no longer needed", () => {
    const f = ({ x }: { readonly x: tf.Tensor }) => {
      let y = x
      // Each is in the way of the next: its rows are sums.
      for (let i = 0; i < 50; i++) y = tf.mul(tf.softmax(y), tf.sum(y, 0, true))
      return [[], { y }] as const
    }
    const { inputs, keeps, sends } = record(f as never, ["x"], [{ x: { dtype: "float32", shape: [32, 32] } }])
    const { scratch } = lower(inputs as ReadonlyArray<Node>, keeps, sends)
    assert.isBelow(scratch, 6 * 32 * 32)
    assert.isAtLeast(scratch, 32 * 32)
  })
})
