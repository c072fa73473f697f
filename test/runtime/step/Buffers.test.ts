import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Dataset from "../../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Level from "../../../src/dsl/Level.ts"
import * as Problem from "../../../src/dsl/Problem.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import {
  counting,
  weight,
  running,
  pull,
  averaged,
  estimators,
  lower,
  bilevel,
  run,
  varsOf,
  stateAfter,
  still,
  average,
  meanOf,
  type Some
} from "../../support/buffers.ts"

const engines = { cpu: Eager.layer("cpu"), compiled: Compiled.layer({ threads: 1 }) } as const
const cpu = Effect.provide(engines.cpu)

describe("buffers move with their own level", () => {
  const upTo = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i)
  const cases: ReadonlyArray<readonly [string, Some, ReadonlyArray<number>]> = [
    ["at each tick", Problem.close(still()), upTo(9)],
    ["at each of several updates on a turn", Problem.close(still().pipe(Level.repeat(3))), upTo(27)],
    ["not after a freeze", Problem.close(still().pipe(Level.freeze(4))), upTo(4)],
    ["not during a warm-up", Problem.close(still().pipe(Level.warmup(4))), upTo(5)],
    [
      "from the start after a restart",
      Problem.close(still().pipe(Level.unroll(4), Level.restart)),
      // Rounds of four: the ninth update is the first of the third round.
      upTo(9, 9)
    ]
  ]
  for (const [name, problem, seen] of cases) {
    it.live(`${name}: an exponential average in closed form`, () =>
      Effect.gen(function* () {
        const vars = varsOf(yield* stateAfter(problem, 9))
        assert.closeTo(meanOf(vars), average(seen), 1e-5)
      }).pipe(cpu)
    )
  }

  for (const [engine, layer] of Object.entries(engines)) {
    for (const [name, estimator] of Object.entries(estimators)) {
      it.live(`${engine}, ${name}: the evaluations of a hypergradient leave them as they are, bit for bit`, () =>
        Effect.gen(function* () {
          // At rate 0 the level above differentiates and stands still.
          const swept = yield* run(bilevel(estimator, 0), 7)
          const alone = yield* stateAfter(Problem.close(lower(estimator).pipe(Level.fix(pull))), 7)
          const last = swept.at(-1)!
          assert.deepStrictEqual(varsOf(last.state), varsOf(alone))
          assert.isAbove(last.levels["upper"]!.gradientNorm, 1e-3)
        }).pipe(Effect.provide(layer))
      )
    }

    it.live(`${engine}: a run goes on with the bits of an undisturbed one`, () =>
      Effect.gen(function* () {
        for (const estimator of [estimators.cg, estimators.unrolled]) {
          const whole = yield* run(bilevel(estimator, 0.1), 6)
          for (const tick of [1, 4]) {
            const resumed = yield* run(bilevel(estimator, 0.1), 6, { tick, state: whole[tick - 1]!.state })
            assert.deepStrictEqual(resumed.at(-1)!.state, whole.at(-1)!.state)
          }
        }
      }).pipe(Effect.provide(layer))
    )
  }

  it.live("a compiled step moves them as the eager step does", () =>
    Effect.gen(function* () {
      for (const estimator of Object.values(estimators)) {
        const at = (layer: Layer.Layer<any, any>) =>
          Effect.provide(Effect.map(stateAfter(bilevel(estimator, 0.01), 8), varsOf), Layer.fresh(layer))
        const [eager, compiled] = [yield* at(engines.cpu), yield* at(engines.compiled)]
        assert.closeTo(meanOf(compiled), meanOf(eager), 1e-5)
      }
    })
  )
})

describe("who reads buffers", () => {
  it.live("the level above sees them as just moved, or as in the snapshot where levels update together", () =>
    Effect.gen(function* () {
      const problem = bilevel(Hypergradient.detached, 0.1)
      const sequential = yield* run(problem, 5)
      const together = yield* run(problem.pipe(Problem.simultaneous), 5)
      const mean = (tick: (typeof sequential)[number]) => meanOf(varsOf(tick.state))
      const said = (tick: (typeof sequential)[number]) => (tick.levels["upper"]!.metrics["mean"] as number[])[0]!
      assert.deepStrictEqual(sequential.map(said), sequential.map(mean))
      assert.deepStrictEqual(together.map(said), [2, ...together.slice(0, -1).map(mean)])
    }).pipe(cpu)
  )

  it.live("no gradient passes through them, neither to what they were made of nor to what they are", () =>
    Effect.gen(function* () {
      // ∂(w·s)/∂w is s where s is a constant, though s moves with w.
      const level = Level.minimize(weight, {
        name: "product",
        buffers: running,
        data: counting,
        optimizer: Optimizer.sgd(0.1),
        objective: ({ running, weight }) => ({
          loss: tf.sum(tf.mul(weight, running.mean)) as tf.Scalar,
          buffers: { mean: averaged(running.mean, weight), square: running.square }
        })
      })
      const ticks = yield* run(Problem.close(level), 4)
      let [w, s] = [0.5, 2]
      for (const { levels, state } of ticks) {
        assert.closeTo(levels["product"]!.gradientNorm, s, 1e-6)
        ;[w, s] = [w - 0.1 * s, 0.9 * s + 0.1 * w]
        assert.closeTo(meanOf(varsOf(state)), s, 1e-6)
      }
    }).pipe(cpu)
  )

  it.live("a gradient through past updates is taken at the buffers of each", () =>
    Effect.gen(function* () {
      const rate = 0.2
      const inner = Level.minimize(weight, {
        name: "inner",
        given: [pull],
        buffers: running,
        data: counting,
        optimizer: Optimizer.sgd(rate),
        objective: ({ pull, running, weight }, { x }) => ({
          loss: tf.sum(tf.mul(tf.mul(0.5, pull), tf.mul(running.mean, tf.square(weight)))) as tf.Scalar,
          buffers: { mean: averaged(running.mean, x), square: running.square }
        })
      }).pipe(
        Level.unroll(3),
        Level.hypergradient(Hypergradient.unrolled({ steps: 3, product: Product.finiteDifference({ radius: 0.1 }) }))
      )
      const outer = Level.minimize(pull, {
        name: "outer",
        upstream: [inner],
        data: Dataset.none,
        optimizer: Optimizer.sgd(0),
        objective: ({ weight }) => tf.sum(weight)
      })
      const ticks = yield* run(Problem.close(outer), 3)
      // w₃ = w₀ ∏ (1 − rate · pull · sₜ), with sₜ the average before update t.
      const seen = [[], [1], [1, 2]].map(average)
      const product = (p: number) => 0.5 * seen.reduce((w, s) => w * (1 - rate * p * s), 1)
      const derivative = (product(0.3 + 1e-4) - product(0.3 - 1e-4)) / 2e-4
      assert.closeTo(ticks.at(-1)!.levels["outer"]!.gradientNorm, Math.abs(derivative), 1e-4)
    }).pipe(cpu)
  )
})
