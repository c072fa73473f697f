import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { assert, describe, it } from "@effect/vitest"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Run from "../../src/runtime/run/Run.ts"

const numbers = Float32Array.from({ length: 64 }, (_, i) => i)
const rows = Dataset.fromRows(
  "tasks",
  {
    support: NdArray.float32([64], numbers),
    query: NdArray.float32(
      [64],
      numbers.map((x) => x + 100)
    )
  },
  { batch: 1 }
)

/** What each level saw, tick by tick: the lower one takes three updates for one of the upper. */
const seen = (lower: Dataset.Dataset<any, any>, upper: Dataset.Dataset<any, any>, seed = 0) => {
  const x = Var.make("x", () => NdArray.float32([], [0]))
  const y = Var.make("y", () => NdArray.float32([], [0]))
  const inner = Level.minimize(x, {
    name: "inner",
    data: lower,
    optimizer: Optimizer.sgd(0.1),
    objective: ({ x }, { support }) => ({ loss: tf.square(x) as tf.Scalar, metrics: { support } })
  }).pipe(Level.unroll(3), Level.hypergradient(Hypergradient.detached))
  const outer = Level.minimize(y, {
    name: "outer",
    upstream: [inner],
    data: upper,
    optimizer: Optimizer.sgd(0.1),
    objective: ({ y }, { query }) => ({ loss: tf.square(y) as tf.Scalar, metrics: { query } })
  })
  return Run.ticks(Problem.close(outer), { ticks: 12, seed }).pipe(
    Stream.runCollect,
    Effect.map((ticks) => {
      const all = (level: string, metric: string) =>
        ticks.flatMap((tick) => {
          const found = tick.levels[level]?.metrics[metric]
          return found === undefined ? [] : [(found as ReadonlyArray<number>)[0]!]
        })
      return { inner: all("inner", "support"), outer: all("outer", "query") }
    }),
    Effect.provide(Eager.layer("cpu"))
  )
}
const third = (index: number) => Math.floor(index / 3)

describe("batches of two levels", () => {
  it.live("are each level's own, unless they are shared", () =>
    Effect.gen(function* () {
      const apart = yield* seen(rows, rows)
      assert.notDeepEqual(
        apart.inner.slice(0, 4),
        apart.outer.map((value) => value - 100)
      )
    })
  )
  it.live("shared and reindexed, the lower level adapts to the support whose query the upper one reads", () =>
    Effect.gen(function* () {
      const tasks = Dataset.shared(rows)
      for (const seed of [0, 1]) {
        const together = yield* seen(Dataset.reindexed(tasks, third), tasks, seed)
        assert.strictEqual(together.outer.length, 4)
        assert.deepStrictEqual(
          together.inner,
          together.outer.flatMap((query) => [query - 100, query - 100, query - 100])
        )
        assert.strictEqual(new Set(together.outer).size, 4)
      }
    })
  )
  it.live("reindexed in another order are the batches at those indices", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const [plain, turned] = [yield* rows.open, yield* Dataset.reindexed(rows, (index) => index % 2).open]
        const at = (sample: typeof plain | typeof turned, index: number) =>
          Effect.map(
            sample(Seed.make(3), index) as Effect.Effect<Dataset.HostBatch>,
            (batch) => batch["support"]!.data[0]
          )
        for (const index of [0, 1, 2, 3, 4]) assert.strictEqual(yield* at(turned, index), yield* at(plain, index % 2))
      })
    )
  )
  it.live("at an index that is none fail with the dataset's name", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        seen(
          Dataset.reindexed(rows, (index) => index / 2),
          rows
        )
      )
      assert.include((error as Error).message, "dataset 'tasks': reindexed gives 0.5 for index 1")
    })
  )
})
