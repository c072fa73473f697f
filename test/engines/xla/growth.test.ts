import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Tree from "../../../src/dsl/values/Tree.ts"
import * as XlaEngine from "../../../src/engines/xla/XlaEngine.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import { triLevel } from "../../support/programs.ts"

const here = process.env["TAPWEIGHT_PJRT_PLUGIN"] !== undefined
if (!here) process.stdout.write("skipped: no PJRT plugin is here to be held long\n")

/** Ticks of the law's short form: TAPWEIGHT_LONG=10000 runs the long one. */
const last = Number(process.env["TAPWEIGHT_LONG"] ?? 1500)
const estimator = Hypergradient.implicit({
  solver: Solver.identity,
  product: Product.finiteDifference({ radius: 0.1 })
})

/** The bits of the last state, and how many MiB the process grew by from a third of the ticks on. */
const run = Effect.gen(function* () {
  let [third, end] = [0, 0]
  const state = yield* Run.ticks(triLevel({ estimator }), { ticks: last, seed: 1 }).pipe(
    Stream.tap(({ index }) =>
      Effect.sync(() => {
        if (index === Math.floor(last / 3)) third = process.memoryUsage.rss()
        if (index === last) end = process.memoryUsage.rss()
      })
    ),
    Stream.filter(({ index }) => index === last),
    Stream.mapEffect((tick) => tick.snapshot),
    Stream.runCollect
  )
  const bits = Tree.hostEntries(state[0] as never).map(([path, { data }]) => [
    path,
    Buffer.from(data.buffer).toString("hex")
  ])
  return { bits, growth: (end - third) / 2 ** 20 }
}).pipe(Effect.provide(XlaEngine.layer({ cache: false })))

describe.runIf(here)("a long run on XLA", () => {
  it.live("is repeated bit for bit, and does not grow", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* run, yield* run]
      assert.deepStrictEqual(other.bits, one.bits)
      assert.isAbove(one.bits.length, 5)
      // The stub counts buffers and events; this is for memory that only a plugin at work takes.
      assert.isBelow(other.growth, 32)
    })
  )
})
