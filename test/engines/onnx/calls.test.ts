import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import * as WorkerClient from "../../../src/engines/onnx/WorkerClient.ts"
import { type Device, Engine } from "../../../src/engines/Engine.ts"
import { json } from "../../support/json.ts"
import { stream } from "../../../src/testing/Draws.ts"

const compiled = Effect.provide(Compiled.layer({ threads: 1 }))

describe("a sequence of steps", () => {
  type Pair = { readonly a: tf.Tensor; readonly b: tf.Tensor }
  const pair = { a: NdArray.float32([2], [1, 2]), b: NdArray.float32([2], [3, 4]) }
  const batch = (...data: ReadonlyArray<number>) => ({ x: NdArray.float32([data.length], data) }) as never

  it.live("gives what single calls give, and leaves what it began with", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* Engine
        // Passes a leaf on, keeps a batch, holds one array twice, and has a leaf of one number throughout.
        const one = yield* engine.compile((state: Pair, { x }: { x: tf.Tensor }) => [
          { a: tf.add(state.a, x), b: state.b },
          { sum: tf.sum(state.a) }
        ])
        const two = yield* engine.compile((state: Pair, { x }: { x: tf.Tensor }) => [
          { a: x, b: tf.mul(state.a, 2) },
          { sum: tf.sum(state.b), zero: tf.zerosLike(state.a) }
        ])
        const both = yield* engine.compile((state: Pair, { x }: { x: tf.Tensor }) => {
          const a = tf.mul(state.b, tf.sum(x))
          return [{ a, b: a }, { sum: tf.sum(a) }]
        })
        const same = batch(1, 2)
        const draw = stream(Seed.make(4))
        for (let round = 0; round < 20; round++) {
          const calls = Array.from({ length: 1 + draw.below(12) }, () => ({
            step: draw.pick([one, two, both]) as typeof one,
            batch: draw.chance(0.5) ? same : batch(draw.unit(), draw.unit())
          }))
          let expected = yield* engine.upload<Pair>(pair as never)
          const told: Array<unknown> = []
          for (const call of calls) {
            const [after, metrics] = yield* call.step.run(expected, call.batch)
            told.push(metrics)
            expected = after
          }
          const from = yield* engine.upload<Pair>(pair as never)
          // Twice, as the first leaves its beginning where it is.
          for (let again = 0; again < 2; again++) {
            const ran = yield* engine.sequences!.run(from, calls)
            assert.isUndefined(ran.failure)
            assert.strictEqual(json(ran.metrics), json(told))
            assert.strictEqual(json(yield* engine.download(ran.state!)), json(yield* engine.download(expected)))
            yield* engine.release(ran.state!)
          }
          assert.strictEqual(json(yield* engine.download(from)), json(pair))
          yield* engine.release(from)
          yield* engine.release(expected)
          assert.strictEqual(yield* engine.live, 0)
        }
      })
    ).pipe(compiled)
  )

  it.live("that is asked for often becomes one program, with the same bits and the same failures", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const client = yield* WorkerClient.make
        const lengths: Array<number> = []
        const ask = ((request, transfer) => {
          if ("calls" in request) lengths.push(request.calls.length)
          return client.ask(request, transfer)
        }) as typeof client.ask
        const engine = Compiled.service({ ...client, ask }, { threads: 1 })
        const draw = stream(Seed.make(12))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const turn = yield* engine.compile((state: Pair, { x }: { x: tf.Tensor }) => [
              { a: tf.sub(tf.mul(state.b, 0.5), tf.sin(x)), b: tf.zerosLike(state.a) },
              { sum: tf.sum(state.a), x, one: tf.onesLike(state.b) }
            ])
            const other = yield* engine.compile((state: Pair, { x }: { x: tf.Tensor }) => [
              { a: tf.gather(state.a, tf.cast(tf.abs(x), "int32") as tf.Tensor1D), b: tf.add(state.a, x) },
              { sum: tf.sum(tf.exp(state.b)) }
            ])
            const [left, right] = [batch(1, 0), batch(0, 1)]
            for (const [rhythm, length, shortened] of [
              [[turn], 12, [8, 4]],
              [[turn, other], 7, [4, 2, 1]],
              [[turn, turn, other], 6, [6]]
            ] as const) {
              const calls = Array.from({ length }, (_, i) => ({ step: rhythm[i % rhythm.length]! as typeof turn }))
              for (let round = 0; round < 9; round++) {
                // The same two arrays at the same places, or new ones each time.
                const some = calls.map((call, i) => ({
                  ...call,
                  batch: rhythm.length === 1 ? (i % 2 === 0 ? left : right) : batch(draw.unit(), draw.unit())
                }))
                let expected = yield* engine.upload<Pair>(pair as never)
                const from = yield* engine.upload<Pair>(pair as never)
                const told: Array<unknown> = []
                for (const call of some) {
                  const [after, metrics] = yield* call.step.run(expected, call.batch)
                  told.push(metrics)
                  expected = after
                }
                const ran = yield* engine.sequences!.run(from, some)
                if (round % 8 === 0) assert.strictEqual(lengths.at(-1), round === 0 ? length : shortened.length)
                assert.strictEqual(json(ran.metrics), json(told))
                assert.strictEqual(json(yield* engine.download(ran.state!)), json(yield* engine.download(expected)))
                if (rhythm.length > 1) {
                  const at = length - 1 - ((length - 1) % rhythm.length) - 1
                  const broken = some.map((call, i) => (i === at ? { ...call, batch: batch(9, 9) } : call))
                  const failed = yield* engine.sequences!.run(from, broken)
                  assert.match(failed.failure!.reason, /indices/)
                  assert.strictEqual(json(failed.metrics), json(told.slice(0, at)))
                }
                for (const each of [from, expected, ran.state!]) yield* engine.release(each)
                assert.strictEqual(yield* engine.live, 0)
              }
            }
          })
        )
        assert.strictEqual(yield* engine.live, 0)
      })
    )
  )

  it.live("tells what came before a step that cannot be compiled or fails, and keeps no state then", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* Engine
        const good = yield* engine.compile((state: Pair, { x }: { x: tf.Tensor }) => [
          { a: tf.add(state.a, x), b: state.b },
          { sum: tf.sum(state.a) }
        ])
        const bad = yield* engine.compile((state: Pair, _: {}) => [
          { ...state, a: tf.tensor(state.a.dataSync()) as tf.Tensor },
          { sum: tf.sum(state.a) }
        ])
        const gone = yield* Effect.scoped(
          Effect.gen(function* () {
            const gather = yield* engine.compile((state: Pair, { x }: { x: tf.Tensor }) => [
              { a: tf.gather(state.a, tf.cast(x, "int32") as tf.Tensor1D), b: state.b },
              { sum: tf.sum(state.a) }
            ])
            return gather
          })
        )
        const from: Device<Pair> = yield* engine.upload<Pair>(pair as never)
        const calls = [good, good, good].map((step) => ({ step, batch: batch(1, 1) }))
        const refused = yield* engine.sequences!.run(from, [...calls, { step: bad as never, batch: batch(1, 1) }])
        assert.deepInclude(refused.failure as {}, { _tag: "CompileError", op: "a tensor" })
        assert.deepStrictEqual(
          refused.metrics.map(({ sum }) => sum.data[0]),
          [3, 5, 7]
        )
        const failed = yield* engine.sequences!.run(from, [calls[0]!, { step: gone, batch: batch(0, 7e6) }, calls[0]!])
        assert.match(failed.failure!.reason, /indices|out of/i)
        assert.deepStrictEqual([failed.metrics.length, failed.state], [1, undefined])
        assert.strictEqual(yield* engine.live, 2)
        yield* engine.release(from)
        assert.strictEqual(yield* engine.live, 0)
      })
    ).pipe(compiled)
  )
})
