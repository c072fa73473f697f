import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Dataset from "../../../src/dsl/Dataset.ts"
import * as Level from "../../../src/dsl/Level.ts"
import * as Problem from "../../../src/dsl/Problem.ts"
import * as Var from "../../../src/dsl/Var.ts"
import { EngineError } from "../../../src/engines/Engine.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import * as Init from "../../../src/models/Init.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Comparison from "../../../src/runs/statistics/Comparison.ts"
import * as ComparisonText from "../../../src/runs/view/ComparisonText.ts"
import * as Session from "../../../src/runs/trial/Session.ts"

const services = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.provide([Eager.layer("cpu"), NodeServices.layer]),
    Effect.provideService(References.MinimumLogLevel, "None")
  )

const inFolder = <A, E, R>(use: (session: () => Session.Session, path: string) => Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "tapweight-comparison-"))),
    (path) => use(() => Session.make({ id: "test", program: "test", path }, () => Effect.void), path),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

const x = Var.make("x", Init.ones([1]))
/** Goes down a parabola, or past every number where the rate is too large. */
const descent = (rate: number) =>
  Problem.close(
    Level.minimize(x, {
      name: "descend",
      data: Dataset.none,
      optimizer: Optimizer.sgd(rate),
      objective: ({ x }) => tf.sum(tf.square(x))
    })
  )
const rates = { slow: 0.01, fast: 0.1, wild: 1e30 } as const
type Method = keyof typeof rates

const comparison = (
  methods: ReadonlyArray<Method>
): Comparison.Comparison<Method, { readonly name: string }, { readonly end: number }, any, any> => ({
  methods,
  tasks: [{ name: "one" }, { name: "other" }],
  seeds: [0, 1],
  train: ({ method, seed, task }, { shared, trial }) =>
    Effect.gen(function* () {
      yield* shared(`start-${seed}`, { problem: descent(0.2), ticks: 2, seed })
      const name = `${task.name}/seed-${seed}/${method}`
      const { vars } = yield* trial(name, { problem: descent(rates[method]), ticks: 6, seed, checkpointEvery: 1 })
      return { end: vars.x.data[0]! }
    })
})

describe("a comparison", () => {
  it.live("a trial that breaks is a failure that says so; the others go on, resumed as undisturbed", () =>
    inFolder((session, path) =>
      Effect.gen(function* () {
        const all = comparison(["slow", "wild", "fast"])
        const first = yield* Comparison.run(session(), all)
        assert.deepStrictEqual(
          first.rows.map(({ method, seed, task }) => `${seed} ${task} ${method}`),
          [
            "0 one slow",
            "0 one fast",
            "0 other slow",
            "0 other fast",
            "1 one slow",
            "1 one fast",
            "1 other slow",
            "1 other fast"
          ]
        )
        assert.lengthOf(first.failures, 4)
        for (const { method, reason } of first.failures) {
          assert.strictEqual(method, "wild")
          assert.match(reason, /tick \d, level 'descend': .* is (Infinity|NaN).*\(trial .*wild\)/)
        }
        assert.match(ComparisonText.failures(first.failures), /^failed +task +seed +why\nwild +one +0 +tick/)
        // Killed in one trial, before it said that it was done.
        rmSync(join(path, "trials/other/seed-1/fast/done.json"))
        assert.deepStrictEqual(yield* Comparison.run(session(), all), first)
        // The trial that cells share was run once, and what had ended was not run again.
        const attempts = (trial: string) => readFileSync(join(path, "trials", trial, "metrics-1.ndjson"), "utf8")
        assert.lengthOf(attempts("start-0").match(/"t":"head"/g)!, 1)
      })
    ).pipe(services)
  )

  it.live("fails where every cell does, with the first error", () =>
    inFolder((session) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Comparison.run(session(), comparison(["wild"])))
        assert.strictEqual(error._tag, "StepError")
        assert.match(error.message, /trial one\/seed-0\/wild/)
      })
    ).pipe(services)
  )

  it.live("an engine that refuses one trial fails that one, and one that died ends it all", () =>
    inFolder((session) =>
      Effect.gen(function* () {
        const failing = (kind: EngineError["kind"]) =>
          Comparison.run(session(), {
            methods: ["refused", "run"],
            tasks: [{ name: "one" }],
            seeds: [0],
            train: ({ method }) =>
              method === "run"
                ? Effect.succeed({ end: 1 })
                : Effect.fail(new EngineError({ kind, engine: "made", tick: 1, reason: "it cannot" }))
          })
        const { failures, rows } = yield* failing("Refused")
        assert.deepStrictEqual([failures.map(({ method }) => method), rows.map(({ end }) => end)], [["refused"], [1]])
        assert.match((yield* Effect.flip(failing("Died"))).message, /it cannot/)
      })
    ).pipe(services)
  )

  it.live("two trials of one name are refused in one run, unless they are meant to be one", () =>
    inFolder((session) =>
      Effect.gen(function* () {
        const { shared, trial } = session()
        const options = { problem: descent(0.1), ticks: 2, seed: 0 }
        yield* trial("a", options)
        const error = yield* Effect.flip(trial("a", { ...options, problem: descent(0.2) }))
        assert.match(error.message, /has a trial 'a' already.*session\.shared/)
        const one = yield* shared("b", options)
        assert.deepStrictEqual((yield* shared("b", options)).vars, one.vars)
        // Shared is one and the same: another problem under its name is another trial.
        assert.match(
          (yield* Effect.flip(shared("b", { ...options, problem: descent(0.2) }))).message,
          /another program/
        )
        assert.match((yield* Effect.flip(trial("b", options))).message, /has a trial 'b' already/)
      })
    ).pipe(services)
  )

  it("time left goes by a method's own cells, and by all where it has none yet", () => {
    const cell = (method: string, seed: number, seconds: number) => ({ method, task: "bace", seed, seconds })
    const done = [cell("finetune", 0, 10), cell("tapweight", 0, 35), cell("finetune", 1, 10)]
    assert.strictEqual(
      Comparison.progress(done, ["finetune", "tapweight"], 3),
      "bace, seed 1, finetune: 3 of 6 trainings done, about 2 minutes left"
    )
    assert.match(
      Comparison.progress([cell("equal", 0, 45)], ["equal"], 8),
      /1 of 8 trainings done, about 6 minutes left/
    )
    const failed = { ...cell("a", 1, 0), seconds: null }
    assert.match(
      Comparison.progress([cell("a", 0, 60), failed], ["a", "b"], 4),
      /2 of 8 trainings done, about 6 minutes left/
    )
    assert.match(Comparison.progress([cell("a", 0, 60)], ["a", "b"], 4), /1 of 8 trainings done, about 7 minutes left/)
  })

  it("a table shows means and deviations over what succeeded; differences pair task and seed", () => {
    const row = (method: "a" | "b", seed: number, score: number) => ({ method, task: "t", seed, score })
    const rows = [row("a", 0, 0.5), row("b", 0, 0.6), row("a", 1, 0.7), row("b", 2, 0.9)]
    const of = (method: string) => rows.filter((one) => one.method === method)
    assert.deepStrictEqual(
      ComparisonText.differences(of("b"), of("a"), ({ score }) => score).map((d) => d.toFixed(3)),
      ["0.100"]
    )
    const table = ComparisonText.table<"a" | "b" | "c", (typeof rows)[number] & { method: "a" | "b" | "c" }>(rows, {
      methods: { a: "one", b: "other", c: "broken" },
      columns: { "score %": ({ score }) => score },
      unit: ComparisonText.percent
    })
    assert.deepStrictEqual(
      table.split("\n").map((line) => line.split(/ {2,}/)),
      [
        ["method", "seeds", "score %"],
        ["one", "2", "60.0 ± 14.1"],
        ["other", "2", "75.0 ± 21.2"],
        ["broken", "0", "failed"]
      ]
    )
    assert.strictEqual(ComparisonText.paired([0.1]), "")
    assert.strictEqual(ComparisonText.paired([0.1, 0.2]), ", paired p 0.500")
  })
})
