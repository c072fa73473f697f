import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Dataset from "../../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Level from "../../../src/dsl/Level.ts"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Problem from "../../../src/dsl/Problem.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Var from "../../../src/dsl/Var.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import { json } from "../../support/json.ts"
import { triLevel } from "../../support/programs.ts"
import { stream } from "../../../src/testing/Draws.ts"

const compiled = Effect.provide(Compiled.layer({ threads: 1 }))

/** The engine of the context, without sequences or with a record of their lengths. */
const single = Effect.map(Engine, ({ sequences: _, ...rest }) => rest)
const spied = Effect.map(Engine, (engine) => {
  const lengths: Array<number> = []
  const sequences = engine.sequences!
  const run: typeof sequences.run = (state, calls) => (lengths.push(calls.length), sequences.run(state, calls))
  return { lengths, engine: { ...engine, sequences: { ...sequences, run } } }
})

/** Moments of every kind: several batches a tick, turns of different length, a warm-up, a freeze, restarts, a past, noise. */
const scheduled = () => {
  const vector = <const N extends string>(name: N) =>
    Var.make(name, (seed) => NdArray.float32([3], Seed.normal(seed, 3)))
  const rows = (name: string) =>
    Dataset.fromRows(name, { x: NdArray.float32([9, 3], Seed.normal(Seed.fold(Seed.make(5), name), 27)) }, { batch: 2 })
  const full = Dataset.constant("full", {
    x: NdArray.float32([100, 3], Seed.normal(Seed.make(6), 300))
  })
  const [x, y, z] = [vector("x"), vector("y"), vector("z")]
  const error = (batch: tf.Tensor2D, w: tf.Tensor1D) => tf.mean(tf.square(tf.sub(tf.dot(batch, w), 1))) as tf.Scalar
  const lower = Level.minimize(x, {
    name: "lower",
    given: [z],
    data: rows("lower"),
    optimizer: Optimizer.adam(0.05),
    objective: ({ x, z }, batch) => tf.add(error(batch.x, x), tf.sum(tf.mul(tf.exp(z), tf.square(x)))) as tf.Scalar
  }).pipe(
    Level.unroll(3),
    Level.repeat(2),
    Level.restart,
    Level.hypergradient(Hypergradient.unrolled({ steps: 2, product: Product.finiteDifference({ radius: 0.01 }) }))
  )
  const middle = Level.minimize(y, {
    name: "middle",
    upstream: [lower],
    data: full,
    optimizer: Optimizer.sgd(0.05),
    objective: ({ x, y }, batch) => {
      const near = tf.sum(tf.squaredDifference(x, y)) as tf.Scalar
      return { loss: tf.add(error(batch.x, y), near) as tf.Scalar, metrics: { near, y } }
    }
  }).pipe(Level.unroll(2), Level.freeze(30), Level.hypergradient(Hypergradient.detached))
  const upper = Level.minimize(z, {
    name: "upper",
    upstream: [middle, lower],
    data: rows("upper"),
    optimizer: Optimizer.sgd(0.1),
    objective: ({ x, y }, batch) => tf.add(error(batch.x, y), error(batch.x, x)) as tf.Scalar
  }).pipe(Level.warmup(12))
  return Problem.close(upper)
}

const total = (vars: { readonly [name: string]: unknown }, { by }: { readonly by: tf.Scalar }) => ({
  total: tf.mul(by, tf.sum(vars["x"] as tf.Tensor))
})
const by = { by: NdArray.scalar(3) }

/** Everything that can be seen of a run, at every tick. */
const seen = (problem: Problem.Problem<any, any, any>, ticks: number) =>
  Run.ticks(problem, { ticks, seed: 3, diagnosticsEvery: 7 }).pipe(
    Stream.mapEffect((tick) => Effect.map(tick.snapshot, (state) => ({ levels: json(tick.levels), state }))),
    Stream.runCollect,
    (all) => Effect.flatMap(single, (engine) => Effect.provideService(all, Engine, engine))
  )

describe("several ticks in a call", () => {
  const problems: ReadonlyArray<
    readonly [name: string, Problem.Problem<Var.Var.Any, Dataset.DataError>, variable: string]
  > = [
    ["three levels", triLevel(), "beta"],
    ["every kind of moment", scheduled(), "x"]
  ]
  for (const [name, problem, variable] of problems) {
    it.live(`${name}: every tick shows what it shows when ticks are run one by one, bit for bit`, () =>
      Effect.gen(function* () {
        const ticks = 50
        const expected = yield* seen(problem, ticks)
        const { engine, lengths } = yield* spied
        const before = yield* engine.live
        for (let i = 0; i < 6; i++) {
          const draw = stream(Seed.fold(Seed.make(17), i))
          // Never, at times, in a rhythm, or always.
          const [chance, rhythm] = [[0, 0.03, 0.2, 0, 0, 1][i % 6]!, [0, 0, 0, 5, 8, 0][i % 6]!]
          let count = 0
          yield* Stream.runForEach(Run.ticks(problem, { ticks, seed: 3, diagnosticsEvery: 7 }), (tick) =>
            Effect.gen(function* () {
              const { levels, state } = expected[count++]!
              const where = `run ${i}, tick ${tick.index}`
              assert.strictEqual(tick.index, count, where)
              assert.strictEqual(json(tick.levels), levels, where)
              if (tick.index < ticks && !draw.chance(chance) && (rhythm === 0 || tick.index % rhythm !== 0)) return
              const vars = (state as { readonly vars: { readonly [name: string]: unknown } }).vars
              if (draw.chance(0.7)) assert.strictEqual(json(yield* tick.snapshot), json(state), where)
              if (draw.chance(0.5))
                assert.strictEqual(json(yield* tick.read([variable])), json({ [variable]: vars[variable] }), where)
              if (variable === "x" && draw.chance(0.5)) {
                const { total: found } = yield* tick.evaluate(total, by)
                const sum = [...(vars["x"] as NdArray.NdArray).data].reduce((a, b) => a + b)
                assert.closeTo(found.data[0]!, 3 * sum, 1e-5, where)
              }
            })
          ).pipe(Effect.provideService(Engine, engine))
          assert.strictEqual(count, ticks)
          assert.strictEqual(yield* engine.live, before)
        }
        assert.isAbove(Math.max(...lengths), 1)
      }).pipe(compiled)
    )
  }

  it.live("an interruption sees the last tick that was given, with its own state", () =>
    Effect.gen(function* () {
      const ticks = 40
      const expected = yield* seen(triLevel(), ticks)
      const { engine, lengths } = yield* spied
      const before = yield* engine.live
      let inside = 0
      for (let i = 0; i < 16; i++) {
        const draw = stream(Seed.fold(Seed.make(23), i))
        const at = 1 + draw.below(ticks - 1)
        const reached = yield* Deferred.make<void>()
        let given = 0
        let found: { readonly index: number; readonly state: string } | undefined
        const run = Run.ticks(triLevel(), {
          ticks,
          seed: 3,
          diagnosticsEvery: 7,
          onInterrupt: (last) =>
            Effect.map(Effect.orDie(last.snapshot), (state) => {
              found = { index: last.index, state: json(state) }
            })
        })
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(run, (tick) => {
            given = tick.index
            if (tick.index !== at) return Effect.void
            // Stays at this tick, or goes on while the interruption is on its way.
            return Effect.andThen(Deferred.succeed(reached, undefined), draw.chance(0.5) ? Effect.never : Effect.void)
          }).pipe(Effect.provideService(Engine, engine))
        )
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
        const exit = yield* Fiber.await(fiber)
        assert.strictEqual(yield* engine.live, before)
        if (Exit.isSuccess(exit)) continue
        assert.include([given, given + 1], found!.index, `run ${i} at ${at}`)
        assert.strictEqual(found!.state, json(expected[found!.index - 1]!.state), `run ${i} at ${at}`)
        inside++
      }
      assert.isAbove(inside, 5)
      assert.isAbove(Math.max(...lengths), 1)
    }).pipe(compiled)
  )

  const failures = [
    ["numbers that are not finite", { w: Number.NaN, id: 0 }, { _tag: "StepError", kind: "NonFinite", level: "only" }],
    ["a step that fails", { w: 1, id: 10 ** 6 }, { _tag: "EngineError", kind: "Threw" }],
    ["data that fails", undefined, { _tag: "DataError", dataset: "failing" }]
  ] as const
  for (const [name, bad, error] of failures) {
    it.live(`${name}: the ticks before come first, then the failure of that tick`, () =>
      Effect.gen(function* () {
        const { engine, lengths } = yield* spied
        const before = yield* engine.live
        for (const at of [1, 2, 3, 11, 77]) {
          const problem = Problem.close(
            Level.minimize(
              Var.make("x", () => NdArray.float32([2], [1, 2])),
              {
                name: "only",
                data: Dataset.make("failing", {
                  fields: { w: Dataset.float32([]), id: Dataset.int32([1]) },
                  open: Effect.succeed((_, index) => {
                    if (index === at - 1 && bad === undefined)
                      return Effect.fail(new Dataset.DataError({ dataset: "failing", reason: "torn" })) as never
                    const { id, w } = index === at - 1 ? bad! : { id: 1, w: 1 }
                    return Effect.succeed({ w: NdArray.scalar(w), id: NdArray.int32([1], [id]) } as never)
                  })
                }),
                optimizer: Optimizer.sgd(0.01),
                objective: ({ x }, { id, w }) =>
                  tf.add(tf.mul(w, tf.sum(tf.square(x))), tf.sum(tf.gather(x, tf.abs(id)))) as tf.Scalar
              }
            )
          )
          const given: Array<number> = []
          const failure = yield* Effect.flip(
            Stream.runForEach(Run.ticks(problem, { ticks: 100, seed: 0 }), (tick) =>
              Effect.gen(function* () {
                given.push(tick.index)
                if (tick.index === at - 1) {
                  const { x } = yield* tick.read(["x"])
                  assert.isTrue([...(x as NdArray.NdArray).data].every(Number.isFinite))
                }
              })
            ).pipe(Effect.provideService(Engine, engine))
          )
          assert.deepInclude(failure, { ...error, ...(error._tag === "DataError" ? {} : { tick: at }) })
          assert.deepStrictEqual(
            given,
            Array.from({ length: at - 1 }, (_, i) => i + 1)
          )
          assert.strictEqual(yield* engine.live, before)
        }
        assert.isAbove(Math.max(...lengths), 1)
      }).pipe(compiled)
    )
  }

  it.live("10,000 ticks of a tiny problem neither hold more nor take more memory", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const memory: Array<number> = []
      let most = 0
      yield* Stream.runForEach(Run.ticks(scheduled(), { ticks: 10_000, seed: 1 }), (tick) =>
        tick.index % 1000 !== 0
          ? Effect.void
          : Effect.map(engine.live, (live) => {
              most = Math.max(most, live)
              memory.push(process.memoryUsage().rss / 2 ** 20)
            })
      )
      const leaves = yield* Effect.scoped(
        Run.ticks(scheduled(), { ticks: 1, seed: 1 }).pipe(
          Stream.mapEffect(() => engine.live),
          Stream.runCollect
        )
      )
      // A state, the one that the last call began with, and one in between.
      assert.isAtMost(most, 3 * leaves[0]!)
      assert.isBelow(memory.at(-1)! - memory[3]!, 30, `MiB of the process: ${memory.map(Math.round)}`)
      assert.strictEqual(yield* engine.live, 0)
    }).pipe(compiled)
  )
})
