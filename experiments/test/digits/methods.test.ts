import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { CompiledEngine, Comparison, NodeServices, Run, Session } from "tapweight"
import * as Digits from "../../digits/Digits.ts"
import * as Levels from "../../digits/Levels.ts"
import * as Methods from "../../digits/Methods.ts"
import * as Objectives from "../../digits/Objectives.ts"
import * as Score from "../../digits/Score.ts"
import { defaults, type Settings } from "../../digits/Settings.ts"
import * as Summary from "../../digits/Summary.ts"
import * as Task from "../../digits/Task.ts"
import { long } from "../../../test/support/long.ts"

const services = Layer.merge(CompiledEngine.layer({ threads: 1 }), NodeServices.layer)

const tiny: Settings = {
  ...defaults,
  ticks: 6,
  batch: 8,
  model: { hidden: 8, code: 4, projection: 4 },
  perDigit: { train: 2, validation: 2, test: 3 },
  window: { updates: 2, every: 2 },
  probeTicks: 5
}

const seeded = (settings: Settings, seed: number) =>
  Effect.gen(function* () {
    const task = yield* Task.make(yield* Digits.all, settings, seed)
    return { seed, task, levels: Levels.make(settings, task) } satisfies Methods.Seeded as Methods.Seeded
  })

const compared = Effect.gen(function* () {
  const path = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const session = Session.make({ id: "test", program: "digits", path }, () => Effect.void)
  const data = [yield* seeded(tiny, 0), yield* seeded(tiny, 1)]
  const score = yield* Score.make(tiny)
  const { failures, rows } = yield* Comparison.run(session, {
    methods: Methods.names,
    tasks: [{ name: "digits" }],
    seeds: [0, 1],
    train: ({ method, seed }, trials) => Methods.make(tiny, data[seed]!, score, trials).train(method)
  })
  return { text: Summary.text(rows, failures), rows: rows.map(({ seconds: _, ...row }) => row) }
})

describe("the comparison", () => {
  it.live.skipIf(!long)("gives every method's scores, weights where it looks for any, and the same again", () =>
    Effect.gen(function* () {
      const { rows, text } = yield* compared
      assert.strictEqual(rows.length, 2 * Methods.names.length)
      for (const { lambda, method, test, validation } of rows) {
        assert.isTrue(test >= 0 && test <= 1 && validation >= 0 && validation <= 1)
        const sum = Object.values(lambda ?? {}).reduce((a, b) => a + b, 0)
        assert.closeTo(sum, method === "none" || method === "equal" ? 0 : 1, 1e-6)
      }
      for (const title of Object.values(Methods.methods)) assert.include(text, title)
      const again = yield* compared
      assert.deepStrictEqual(again.rows, rows)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("weights on digits", () => {
  it.live("leave the coin, which no picture answers, in the mean of two seeds", () =>
    Effect.gen(function* () {
      const settings = {
        ...defaults,
        ticks: 60,
        batch: 24,
        model: { hidden: 24, code: 10, projection: 16 },
        perDigit: { train: 5, validation: 20, test: 1 }
      }
      const shares = yield* Effect.forEach([100, 101], (seed) =>
        Effect.gen(function* () {
          const { levels } = yield* seeded(settings, seed)
          const ticks = yield* Stream.runCollect(Run.ticks(levels.learning, { ticks: settings.ticks, seed }))
          const lambda = ticks.findLast((tick) => tick.levels["reweight"] !== undefined)!.levels["reweight"]!.metrics[
            "lambda"
          ]
          return (lambda as ReadonlyArray<number>)[Objectives.names.indexOf("coin")]!
        })
      )
      assert.isBelow((shares[0]! + shares[1]!) / 2, 0.15)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
