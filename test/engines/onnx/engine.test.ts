import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import * as WorkerClient from "../../../src/engines/onnx/WorkerClient.ts"
import { type CompileError, Engine, type EngineError } from "../../../src/engines/Engine.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import { expand } from "../../../src/tensor/Noise.ts"
import * as Noise from "../../../src/tensor/Noise.ts"
import { triLevel } from "../../support/programs.ts"

const compiled = Effect.provide(Compiled.layer({ threads: 1 }))
const pair = { a: NdArray.float32([2], [1, 2]), b: NdArray.float32([2], [3, 4]) }
type Pair = { readonly a: tf.Tensor; readonly b: tf.Tensor }

describe("who owns what", () => {
  it.live("a step takes its state over, passes leaves on, and hands back numbers", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* Engine
        const step = yield* engine.compile((state: Pair, { x }: { x: tf.Tensor }) => [
          { a: tf.add(state.a, x), b: state.b },
          { sum: tf.sum(state.b), a: state.a, yes: tf.greater(state.a, 1) }
        ])
        const before = yield* engine.upload<Pair>(pair as never)
        const [after, metrics] = yield* step.run(before, { x: NdArray.float32([2], [10, 20]) } as never)
        assert.deepStrictEqual([metrics.sum.data[0], [...metrics.a.data], [...metrics.yes.data]], [7, [1, 2], [0, 1]])
        assert.strictEqual(metrics.yes.dtype, "int32")
        assert.strictEqual(yield* engine.live, 2)
        const down = yield* engine.download(after)
        assert.deepStrictEqual(
          [[...down.a.data], [...down.b.data]],
          [
            [11, 22],
            [3, 4]
          ]
        )
        yield* engine.release(after)
        yield* engine.release(after)
        const again = yield* Effect.flip(step.run(before, { x: NdArray.float32([2], [10, 20]) } as never))
        assert.match(again.reason, /after it was consumed/)
        assert.strictEqual(yield* engine.live, 0)
      })
    ).pipe(compiled)
  )

  it.live("a new form of state or batch is traced anew; an observer leaves the state as it is", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* Engine
        let traces = 0
        const observe = yield* engine.observe((state: Pair, { x }: { x: tf.Tensor }) => {
          traces++
          return { y: tf.add(state.a, tf.sum(x)), zero: tf.zerosLike(x), same: state.b }
        })
        const state = yield* engine.start((input: Pair) => ({ a: input.a, b: input.a }), pair as never)
        for (const n of [1, 2, 1, 3, 2]) {
          const { same, y, zero } = yield* observe(state, {
            x: NdArray.float32([n], new Float32Array(n).fill(1))
          } as never)
          assert.deepStrictEqual(
            [[...y.data], [...zero.data], [...same.data]],
            [[1 + n, 2 + n], Array(n).fill(0), [1, 2]]
          )
        }
        assert.strictEqual(traces, 3)
        yield* engine.release(state)
        assert.strictEqual(yield* engine.live, 0)
      })
    ).pipe(compiled)
  )

  it.live("equal steps are one program, also when the first is no longer used", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          const client = yield* WorkerClient.make
          const spied = {
            ...client,
            ask: ((request, transfer) => (asked.push(request.type), client.ask(request, transfer))) as typeof client.ask
          }
          const engine = Compiled.service(spied)
          const once = (by: number) =>
            Effect.scoped(
              Effect.gen(function* () {
                const observe = yield* engine.observe((state: Pair, _: {}) => ({ y: tf.mul(state.a, by) }))
                const { y } = yield* observe(yield* engine.upload<Pair>(pair as never), {})
                assert.deepStrictEqual([...y.data], [by, 2 * by])
              })
            )
          for (const by of [3, 4, 3, 4]) yield* once(by)
        })
      )
      assert.strictEqual(asked.filter((type) => type === "load").length, 2)
    })
  )

  it.live("a step that cannot be compiled releases its state and says why", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* Engine
        const tensors = tf.memory().numTensors
        const step = yield* engine.compile((state: Pair, _: {}) => [
          { ...state, a: tf.tensor(state.a.dataSync()) as tf.Tensor },
          {}
        ])
        const failure = yield* Effect.flip(step.run(yield* engine.upload<Pair>(pair as never), {}))
        assert.deepInclude(failure as CompileError, { _tag: "CompileError", op: "a tensor" })
        assert.strictEqual(yield* engine.live, 0)
        assert.strictEqual(tf.memory().numTensors, tensors)
      })
    ).pipe(compiled)
  )

  it.live("tensors from outside of a step are constants of it, and stay what they are", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* Engine
        const outside = tf.tensor1d([5, 6])
        const observe = yield* engine.observe((state: Pair, _: {}) => ({ y: tf.mul(state.a, outside) }))
        const { y } = yield* observe(yield* engine.upload<Pair>(pair as never), {})
        assert.deepStrictEqual(
          [[...y.data], [...outside.dataSync()]],
          [
            [5, 12],
            [5, 6]
          ]
        )
        outside.dispose()
      })
    ).pipe(compiled)
  )

  it.live("noise has the same bits as on the host", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* Engine
        for (const [shape, salt] of [
          [[7], 0],
          [[3, 5, 2], 4_294_967_295]
        ] as const) {
          const observe = yield* engine.observe((_: {}, { key }: { key: tf.Tensor1D }) => ({
            u: Noise.uniform(key, shape, salt)
          }))
          const { u } = yield* observe(yield* engine.upload<{}>({}), {
            key: NdArray.int32([2], [-5, 2 ** 31 - 1])
          } as never)
          assert.deepStrictEqual(u.data, expand([-5, 2 ** 31 - 1], NdArray.size(shape), salt))
        }
      })
    ).pipe(compiled)
  )
})

describe("a run on the compiled engine", () => {
  it.live("reports what cannot be compiled as what it is, with nothing left", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const problem = triLevel({ sabotage: (loss) => tf.mul(loss, loss.dataSync()[0]!) })
      const error = yield* Effect.flip(Stream.runDrain(Run.ticks(problem, { ticks: 3, seed: 1 })))
      assert.deepInclude(error, { _tag: "CompileError", level: "finetune" })
      assert.strictEqual(yield* engine.live, 0)
    }).pipe(compiled)
  )

  it.live("goes on for 2,000 ticks without growing, and lets timers run meanwhile", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      let beats = 0
      const timer = setInterval(() => beats++, 5)
      const memory: Array<number> = []
      const counts = new Set<number>()
      yield* Stream.runForEach(Run.ticks(triLevel(), { ticks: 2000, seed: 1 }), (tick) =>
        tick.index % 200 !== 0
          ? Effect.void
          : Effect.map(engine.live, (live) => {
              counts.add(live)
              memory.push(process.memoryUsage().rss / 2 ** 20)
            })
      )
      clearInterval(timer)
      assert.strictEqual(counts.size, 1)
      assert.isBelow(memory.at(-1)! - memory[2]!, 40, `MiB of the process: ${memory.map(Math.round)}`)
      assert.isAbove(beats, 20)
      assert.strictEqual(yield* engine.live, 0)
    }).pipe(compiled)
  )

  it.live("shows its variables and evaluates functions of them", () =>
    Effect.gen(function* () {
      yield* Stream.runForEach(Run.ticks(triLevel(), { ticks: 2, seed: 1 }), (tick) =>
        Effect.gen(function* () {
          const { beta } = yield* tick.read(["beta"])
          const { sum } = yield* tick.evaluate(({ beta }, _: {}) => ({ sum: tf.sum(beta as tf.Tensor) }), {})
          const [a, b] = (beta as NdArray.NdArray).data
          assert.closeTo(sum.data[0]!, a! + b!, 1e-6)
        })
      )
    }).pipe(compiled)
  )

  it.live("is interrupted between ticks", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const reached = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(Run.ticks(triLevel(), { ticks: 100_000, seed: 1 }), (tick) =>
          tick.index === 3 ? Deferred.succeed(reached, undefined) : Effect.void
        )
      )
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* engine.live, 0)
    }).pipe(compiled)
  )

  it.live("fails, and does not hang, when its worker dies", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const client = yield* WorkerClient.make
        const error = yield* Effect.flip(
          Stream.runForEach(Run.ticks(triLevel(), { ticks: 100_000, seed: 1 }), (tick) =>
            // Between two runs: inside of one it would take the process along.
            tick.index === 5 ? Effect.promise(() => client.worker.terminate()) : Effect.void
          )
        ).pipe(Effect.provideService(Engine, Compiled.service(client)))
        assert.deepInclude(error, { _tag: "EngineError", kind: "Died" })
        // The ticks that came in one call with the fifth are there already.
        assert.isAtLeast((error as EngineError).tick!, 6)
        assert.match(error.message, /worker thread died/)
      })
    )
  )

  it.live("lets a process exit in the middle of a step", () =>
    Effect.gen(function* () {
      const program = fileURLToPath(new URL("../../support/exiting.ts", import.meta.url))
      const code = yield* Effect.callback<number | null>((resume) => {
        spawn(process.execPath, [program], { stdio: "ignore" }).on("exit", (ended) => resume(Effect.succeed(ended)))
      })
      assert.strictEqual(code, 7)
    })
  )
})
