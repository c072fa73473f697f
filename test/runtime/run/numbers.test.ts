import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Checkpoint from "../../../src/runtime/run/Checkpoint.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import * as Watch from "../../../src/runtime/run/Watch.ts"
import { triLevel } from "../../support/programs.ts"

const score = () => Effect.succeed({ x: 1 })
const scoring = (every: number, last: number) => Watch.scoring({ every, last, score })(Stream.empty)
const manifest = { version: 1, tick: 1, attempt: 1, seed: 0, program: "p", extra: {} } as const

/** What each number may not be, and the words that say whose it is. */
const cases: ReadonlyArray<readonly [string, ReadonlyArray<number>, (value: number) => unknown]> = [
  ["Run.ticks: ticks", [-1, 1.5, Number.NaN, Infinity], (ticks) => Run.ticks(triLevel(), { ticks, seed: 0 })],
  ["Run.ticks: seed", [0.5, Number.NaN, Infinity, 2 ** 60], (seed) => Run.ticks(triLevel(), { ticks: 1, seed })],
  [
    "Run.ticks: diagnosticsEvery",
    [-1, 0.5, Number.NaN],
    (diagnosticsEvery) => Run.ticks(triLevel(), { ticks: 1, seed: 0, diagnosticsEvery })
  ],
  ["Watch.scoring: every", [0, -3, 0.5, Number.NaN], (every) => scoring(every, 10)],
  ["Watch.scoring: last", [-1, 0.5, Number.NaN], (last) => scoring(1, last)],
  [
    "Watch.stoppingAfter: patience",
    [0, 1.5, Number.NaN],
    (patience) => Watch.stoppingAfter(patience)(Stream.empty as Stream.Stream<Watch.Selected>)
  ],
  ["OnnxEngine.layer: threads", [0, -1, 1.5, Number.NaN], (threads) => Compiled.layer({ threads })],
  ["Seed.make: seed", [0.5, Number.NaN, -Infinity, 2 ** 60], Seed.make],
  ["unrolled: steps", [0, 2.5, Number.NaN], (steps) => Hypergradient.unrolled({ steps, product: Product.exact })],
  ["conjugateGradient: iterations", [0, 0.5, Number.NaN], (iterations) => Solver.conjugateGradient({ iterations })]
]

describe("numbers that are given to the library", () => {
  for (const [of, values, use] of cases) {
    it(`${of}: what it cannot be is refused by name`, () => {
      for (const value of values) {
        assert.throws(() => use(value), RangeError, `${of} is ${value}; give a whole number`)
      }
    })
  }

  it.effect("Checkpoint.save: keep", () =>
    Effect.gen(function* () {
      for (const keep of [0, -1, 1.5, Number.NaN]) {
        const exit = yield* Effect.exit(Checkpoint.save("nowhere", manifest, {}, { keep }))
        assert.include(String(exit), `Checkpoint.save: keep is ${keep}; give a whole number of at least 1`)
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
