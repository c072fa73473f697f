import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import type { Optimizer as Optimizing } from "../../src/dsl/Optimizer.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import { type Node, reachable } from "../../src/compiler/graph/Graph.ts"
import { trace } from "../../src/compiler/trace/Trace.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as XlaEngine from "../../src/engines/xla/XlaEngine.ts"
import * as Moment from "../../src/runtime/plan/Moment.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as PlanText from "../../src/runtime/plan/PlanText.ts"
import * as Noise from "../../src/tensor/Noise.ts"
import * as Evaluation from "../../src/runtime/step/Evaluation.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { average, meanOf, stateAfter, still, varsOf } from "../support/buffers.ts"

const engines = {
  cpu: Eager.layer("cpu"),
  compiled: Compiled.layer({ threads: 1 }),
  ...(process.env["TAPWEIGHT_PJRT_PLUGIN"] === undefined ? {} : { xla: XlaEngine.layer() })
} as const

const rows = 24
const table = (name: string) => ({
  x: NdArray.float32([rows, 3], Seed.normal(Seed.fold(Seed.make(5), `${name} x`), rows * 3)),
  y: NdArray.float32([rows, 2], Seed.normal(Seed.fold(Seed.make(5), `${name} y`), rows * 2))
})
type Rows = { readonly x: tf.Tensor2D; readonly y: tf.Tensor2D }

const product = Product.finiteDifference({ radius: 0.01 })
const unrolled: Hypergradient.Hypergradient = Hypergradient.unrolled({ steps: 2, product })
const implicit = Hypergradient.implicit({ solver: Solver.neumann({ terms: 1, rate: 0.1 }), product })

interface Choice {
  readonly of?: (index: number) => number
  readonly optimizer?: Optimizing
}

/** A net and how strongly it is held to zero. */
const levels = (batch: number, estimator: Hypergradient.Hypergradient, { of = (i) => i, optimizer }: Choice = {}) => {
  const w = Var.make("w", Mlp.init([3, 4, 2]))
  const decay = Var.make("decay", () => NdArray.scalar(-1))
  const error = (params: Tree.Tree, { x, y }: Rows) =>
    tf.mean(tf.squaredDifference(Mlp.apply(params as never, x), y)) as tf.Scalar
  const lower = Level.minimize(w, {
    name: "fit",
    given: [decay],
    data: Dataset.reindexed(Dataset.fromRows("train", table("train"), { batch }), of),
    optimizer: optimizer ?? Optimizer.adam(0.01, { epsilon: 0.01 }),
    objective: ({ decay, w }, batch) => {
      const norm = tf.addN(Tree.leaves(w).map((leaf) => tf.sum(tf.square(leaf))))
      const loss = error(w, batch)
      return { loss: tf.add(loss, tf.mul(tf.exp(decay), norm)), metrics: { error: loss } }
    }
  }).pipe(Level.hypergradient(estimator), Level.unroll(2))
  const upper = (fit: typeof lower) =>
    Level.minimize(decay, {
      name: "tune",
      upstream: [fit],
      data: Dataset.fromRows("validation", table("validation"), { batch }),
      optimizer: Optimizer.sgd(0.1),
      objective: ({ w }, batch) => error(w, batch)
    })
  return { lower, upper }
}

/** `accumulate` batches of `batch` rows an update, at both levels. */
const held = (batch: number, accumulate: number, estimator = unrolled) => {
  const { lower, upper } = levels(batch, estimator)
  return Problem.close(upper(lower.pipe(Level.accumulate(accumulate))).pipe(Level.accumulate(accumulate)))
}

const numbers = (tree: unknown) => Tree.hostEntries(tree as Tree.HostTree).flatMap(([, { data }]) => Array.from(data))

const ticksOf = (problem: Problem.Problem<any, any, never>, ticks: number) =>
  Run.ticks(problem, { ticks, seed: 2 }).pipe(
    Stream.mapEffect((tick) => Effect.map(tick.snapshot, (state) => ({ levels: tick.levels, state }))),
    Stream.runCollect
  )

describe.each(Object.entries(engines))("on the engine %s", (_, engine) => {
  it.live(
    "n batches of b rows are one batch of n · b rows, at levels and through unrolled ones, epoch after epoch",
    () =>
      Effect.gen(function* () {
        // Two updates an epoch: nine ticks are four epochs and a half.
        const [small, large] = [yield* ticksOf(held(4, 3), 9), yield* ticksOf(held(12, 1), 9)]
        for (const [i, { levels, state }] of large.entries()) {
          const found = small[i]!
          for (const part of ["vars", "optimizer", "clock"] as const) {
            const [is, want] = [numbers(found.state[part]), numbers(state[part])]
            for (const [j, value] of want.entries()) assert.closeTo(is[j]!, value, 2e-5, `${part} after tick ${i + 1}`)
          }
          for (const [name, { loss, metrics }] of Object.entries(levels)) {
            assert.closeTo(found.levels[name]!.loss, loss, 1e-5)
            for (const [metric, value] of Object.entries(metrics))
              assert.closeTo(found.levels[name]!.metrics[metric] as number, value as number, 1e-5)
          }
        }
        const moved = numbers(large.at(-1)!.state.vars["decay"])[0]! + 1
        assert.isAbove(Math.abs(moved), 1e-4, "the upper level moves")
      }).pipe(Effect.provide(engine))
  )

  it.live("a solve sees the last micro-batch of the level's last update", () =>
    Effect.gen(function* () {
      // At a rate of nearly nothing the level below stays where it is, whatever its batches.
      const asked = (accumulate: number, of: (index: number) => number) => {
        const { lower, upper } = levels(4, implicit, { of, optimizer: Optimizer.sgd(1e-20) })
        const problem = Problem.close(upper(lower.pipe(Level.accumulate(accumulate))))
        return Effect.map(ticksOf(problem, 2), (all) => all.at(-1)!.levels["tune"]!.gradientNorm)
      }
      const found = yield* asked(3, (i) => i)
      const last = yield* asked(1, (i) => 3 * i + 2)
      const other = yield* asked(1, (i) => 3 * i + 1)
      assert.closeTo(found, last, 1e-6)
      assert.isAbove(Math.abs(found - other), 1e-4)
    }).pipe(Effect.provide(engine))
  )

  it.live("buffers pass through micro-batches in order, and clocks count updates", () =>
    Effect.gen(function* () {
      const state = yield* stateAfter(Problem.close(still().pipe(Level.accumulate(3), Level.repeat(2))), 4)
      const seen = Array.from({ length: 24 }, (_, i) => i + 1)
      assert.closeTo(meanOf(varsOf(state)), average(seen), 1e-4)
      assert.deepStrictEqual(numbers(state.clock), [8])
    }).pipe(Effect.provide(engine))
  )

  it.live("a run goes on with the bits of an undisturbed one", () =>
    Effect.gen(function* () {
      const whole = yield* ticksOf(held(4, 3), 7)
      for (const tick of [1, 4]) {
        const from = { tick, state: whole[tick - 1]!.state }
        const rest = yield* Run.ticks(held(4, 3), { ticks: 7, seed: 2, from }).pipe(
          Stream.mapEffect((each) => each.snapshot),
          Stream.runCollect
        )
        assert.deepStrictEqual(rest.at(-1), whole.at(-1)!.state)
      }
    }).pipe(Effect.provide(engine))
  )
})

/** A level whose noise comes from the batch's key. */
const noisy = (batch: number) => {
  const rows = 8
  const keys = Seed.integers(Seed.make(9), 2 * rows, 2 ** 30)
  return Level.minimize(
    Var.make("w", () => NdArray.float32([3, 1], [1, 2, 3])),
    {
      name: "noisy",
      data: Dataset.fromRows(
        "rows",
        { x: NdArray.float32([rows, 3], table("x").x.data.slice(0, 3 * rows)), keys: NdArray.int32([rows, 2], keys) },
        { batch }
      ),
      optimizer: Optimizer.sgd(0.01),
      objective: ({ w }, { keys, x }) => {
        const key = tf.reshape(tf.slice(keys, [0, 0], [1, 2]), [2]) as tf.Tensor1D
        const kept = Noise.dropout(x, key, 0.5, 0)
        return {
          loss: tf.mean(tf.square(tf.matMul(kept, w))),
          metrics: { kept: tf.mean(tf.cast(tf.notEqual(kept, 0), "float32")) }
        }
      }
    }
  )
}

it.live("noise differs from one micro-batch to the next, with the same bits on every engine", () =>
  Effect.gen(function* () {
    const runs = yield* Effect.forEach(Object.values(engines), (engine) =>
      Effect.provide(ticksOf(Problem.close(noisy(2).pipe(Level.accumulate(4))), 2), engine)
    )
    // How many of the four masks' 24 elements are kept.
    const count = (kept: unknown) => Math.round(24 * (kept as number))
    const drawn = runs.map((all) => all.map(({ levels }) => count(levels["noisy"]!.metrics["kept"])))
    for (const other of drawn) assert.deepStrictEqual(other, drawn[0])
    const alone = yield* Effect.provide(ticksOf(Problem.close(noisy(2)), 4), engines.cpu)
    const each = alone.map(({ levels }) => levels["noisy"]!.metrics["kept"] as number)
    assert.strictEqual(drawn[0]![0], count(each.reduce((a, b) => a + b) / 4))
    assert.isAbove(new Set(each).size, 1)
  })
)

it("a graph takes one micro-batch after another, and makes keys of noise first", () => {
  const level = noisy(2)
  const batch = { x: { dtype: "float32", shape: [2, 3] }, keys: { dtype: "int32", shape: [2, 2] } }
  const { results } = trace(
    ((w: tf.Tensor, batches: ReadonlyArray<Evaluation.Batch>) =>
      Evaluation.accumulated(level, { w }, batches, ["w"]).gradient) as never,
    ["w", "batches"],
    [{ dtype: "float32", shape: [3, 1] }, [batch, batch, batch]]
  )
  const needs = (node: Node) => reachable([node]).filter(({ op }) => op === "matmul").length
  const products = reachable(results).filter(({ op }) => op === "matmul")
  // Forward and back for each of three: the last comes after the two of the first and the two of the second.
  assert.deepStrictEqual(products.map(needs), [1, 2, 3, 4, 5, 6])
  for (const node of reachable(results)) if (node.op === "noise") assert.strictEqual(needs(node), 0)
})

it.live("memory is that of one micro-batch and a gradient", () =>
  Effect.gen(function* () {
    const most: Array<number> = []
    const data = Dataset.constant("pair", { x: NdArray.float32([2], [1, 2]) })
    const level = (accumulate: number) =>
      Level.minimize(
        Var.make("w", () => NdArray.float32([2], [1, 1])),
        {
          data,
          optimizer: Optimizer.sgd(0.1),
          objective: ({ w }, { x }) => {
            const hidden = Array.from({ length: 50 }).reduce<tf.Tensor>((sofar) => tf.tanh(tf.mul(sofar, x)), w)
            most.push(tf.memory().numTensors)
            return tf.sum(hidden)
          }
        }
      ).pipe(Level.accumulate(accumulate))
    yield* ticksOf(Problem.close(level(8)), 1)
    const last = most.slice(-8)
    assert.strictEqual(last.length, 8)
    assert.isBelow(Math.max(...last) - last[0]!, 30, `${last}`)
  }).pipe(Effect.provide(engines.cpu))
)

it("a plan counts micro-batches and says on which a hop is made", () => {
  const plan = Result.getOrThrow(Plan.make(held(4, 3, implicit)))
  assert.deepStrictEqual(Moment.batchIndices(plan, 4, Moment.at(plan, 4)), {
    fit: [[9, 10, 11]],
    tune: [[3, 4, 5]]
  })
  const text = PlanText.text(plan)
  assert.include(text, "3 micro-batches an update")
  assert.include(text, "neumann(1, 0.1) × finiteDifference(0.01) on the last micro-batch")
  assert.include(
    PlanText.text(Result.getOrThrow(Plan.make(held(4, 3)))),
    "unrolled(2) × finiteDifference(0.01) on every"
  )
  // Three gradients of its own, and two products of the hop; of the unrolled one, two evaluations for each micro-batch of two updates.
  assert.deepStrictEqual(
    [implicit, unrolled].map((estimator) => Result.getOrThrow(Plan.make(held(4, 3, estimator))).cost[1]!.evaluations),
    [3 + 4, 3 + 12]
  )
})
