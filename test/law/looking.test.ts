import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Seed from "../../src/dsl/values/Seed.ts"
import type { Problem } from "../../src/dsl/Problem.ts"
import type * as Var from "../../src/dsl/Var.ts"
import * as CompiledEngine from "../../src/engines/compiled/CompiledEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as OnnxEngine from "../../src/engines/onnx/OnnxEngine.ts"
import * as XlaEngine from "../../src/engines/xla/XlaEngine.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as Programs from "../../src/testing/Programs.ts"
import { json } from "../support/json.ts"
import { long } from "../support/long.ts"
import { triLevel } from "../support/programs.ts"

type Any = Problem<Var.Var.Any, unknown, never>

const ticks = 12

/** What a run computes: its state at the end, and all that its levels said but for reports. */
const computed = (problem: Any, diagnosticsEvery: number) =>
  Effect.gen(function* () {
    const levels: Array<unknown> = []
    let reports = 0
    let state: unknown
    yield* Stream.runForEach(Run.ticks(problem, { ticks, seed: 5, diagnosticsEvery }), (tick) =>
      Effect.gen(function* () {
        reports += Object.values(tick.levels).filter(({ report }) => report !== undefined).length
        levels.push(Object.entries(tick.levels).map(([name, { report: _, ...said }]) => [name, said]))
        if (tick.index === ticks) state = yield* tick.snapshot
      })
    )
    return { text: json({ levels, state }), reports }
  })

const engines = [
  ["cpu", Layer.fresh(Eager.layer("cpu")), 6],
  ["compiled", CompiledEngine.layer({ threads: 1 }), 4],
  ["onnx", OnnxEngine.layer({ threads: 1 }), 2],
  ...(process.env["TAPWEIGHT_PJRT_PLUGIN"] === undefined ? [] : [["xla", XlaEngine.layer(), 2] as const])
] as const

describe("a run that is looked at computes what it computes unseen, bit for bit", () => {
  for (const [name, engine, cases] of engines) {
    it.live(name, () =>
      Effect.gen(function* () {
        const random = Array.from({ length: long ? 4 * cases : cases }, (_, i) =>
          Programs.random(Seed.fold(Seed.make(41), i), 1)
        )
        let reports = 0
        for (const [i, problem] of [
          triLevel() as Any,
          ...(random as ReadonlyArray<unknown> as ReadonlyArray<Any>)
        ].entries()) {
          const unseen = yield* computed(problem, 0)
          assert.strictEqual(unseen.reports, 0)
          for (const every of i === 0 ? [1, 5] : [1 + (i % 4)]) {
            const looked = yield* computed(problem, every)
            assert.strictEqual(looked.text, unseen.text, `program ${i}, every ${every}`)
            reports += looked.reports
          }
        }
        assert.isAbove(reports, 10)
      }).pipe(Effect.provide(engine))
    )
  }
})
