import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Split from "../../../src/dsl/Split.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import * as Records from "../../../src/runs/folder/Records.ts"
import * as Trial from "../../../src/runs/trial/Trial.ts"
import { triLevel } from "../../support/programs.ts"

const services = Effect.provide([Eager.layer("cpu"), NodeServices.layer])

const inFolder = <A, E, R>(use: (folder: { id: string; program: string; path: string }) => Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "tapweight-trial-"))),
    (root) => use({ id: "test", program: "test", path: join(root, "run") }),
    (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
  )

/** Scores that fall, then rise: the best is at tick 4, and patience 2 ends the trial at tick 8. */
const options = (metric = "loss") => ({
  problem: triLevel(),
  ticks: 20,
  seed: 1,
  checkpointEvery: 4,
  validation: {
    every: 2,
    rows: 1,
    score: (tick: { readonly index: number }) => Effect.succeed({ loss: Math.abs(tick.index - 4) }),
    select: { metric, mode: "min" as const, patience: 2 }
  }
})

/** An outcome as data. */
const givenBy = ({ selection, tick, vars }: Trial.Outcome<object>) => ({ selection, tick, vars })

describe("Trial", () => {
  it.live("opens a test part once, after it has selected, and scores the values that it selected", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const { test } = Split.make({ train: [], validation: [], test: ["row"] }, (row) => row)
        const outcome = yield* Trial.run(folder, options())
        const scored = yield* outcome.test(test, (rows, vars) => Effect.succeed({ rows, vars }))
        assert.deepStrictEqual(scored, { rows: ["row"], vars: outcome.vars })
        const again = yield* Trial.run(folder, options())
        for (const { test: open } of [outcome, again, { ...outcome }]) {
          const error = yield* Effect.flip(open(test, Effect.succeed))
          assert.match(error.message, /run has opened this test part before: score a finished trial on test data once/)
        }
        // Another part, and another trial on the same part.
        const other = Split.make({ train: [], validation: [], test: ["row"] }, (row) => row).test
        assert.deepStrictEqual(yield* outcome.test(other, Effect.succeed), ["row"])
        const second = yield* Trial.run({ ...folder, path: `${folder.path}-2` }, options())
        assert.deepStrictEqual(yield* second.test(test, Effect.succeed), ["row"])
      })
    ).pipe(services)
  )

  it.live("stops early, gives the best tick's values, records each tick once, and is not run again", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const outcome = yield* Trial.run(folder, options())
        assert.strictEqual(outcome.tick, 8)
        assert.deepStrictEqual(outcome.selection, { best: { tick: 4, score: 0 }, since: 2 })
        const records = yield* Records.read(folder)
        const pretrain = records.flatMap((r) => (r.t === "step" && r.level === "pretrain" ? [r.k] : []))
        assert.deepStrictEqual(pretrain, [1, 2, 3, 4, 5, 6, 7, 8])
        assert.deepStrictEqual(
          records.flatMap((r) => (r.t === "eval" ? [r.k] : [])),
          [2, 4, 6, 8]
        )
        assert.deepStrictEqual(records.at(-1), { t: "end", state: "done" })
        const again = yield* Trial.run(folder, options())
        assert.deepStrictEqual(givenBy(again), givenBy(outcome))
        assert.isFalse(readdirSync(folder.path).includes("metrics-2.ndjson"))
      })
    ).pipe(services)
  )

  it.live("killed after it had stopped early but before it said so, does not train on", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const outcome = yield* Trial.run(folder, options())
        rmSync(join(folder.path, "done.json"))
        assert.deepStrictEqual(givenBy(yield* Trial.run(folder, options())), givenBy(outcome))
      })
    ).pipe(services)
  )

  it.live("fails where no score is a number, and again where it is run again", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const { validation, ...rest } = options()
        const nowhere = { ...validation, score: () => Effect.succeed({ loss: Number.NaN }) }
        for (const _ of ["first", "again"]) {
          const error = yield* Effect.flip(Trial.run(folder, { ...rest, validation: nowhere }))
          assert.match((error as Error).message, /no score 'loss' was finite, of 2/)
        }
        assert.isFalse(readdirSync(folder.path).includes("done.json"))
        const records = yield* Records.read(folder)
        assert.deepStrictEqual(records.at(-1), { t: "end", state: "failed" })
      })
    ).pipe(services)
  )

  it.live("refuses a length at which a level never has its turn", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Trial.run(folder, { ...options(), ticks: 1 }))
        assert.include((error as Error).message, "level 'finetune': its first turn is at tick 2")
      })
    ).pipe(services)
  )

  it.live(
    "refuses to select by a score that there is not, and a shorter length or another seed in the same folder",
    () =>
      inFolder((folder) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(Trial.run(folder, options("accuracy")))
          assert.include((error as Error).message, "'accuracy'")
          assert.include((error as Error).message, "loss")
          const ended = { ...folder, path: `${folder.path}-2` }
          const { tick } = yield* Trial.run(ended, options())
          // It had stopped early, and so would a longer one.
          assert.strictEqual((yield* Trial.run(ended, { ...options(), ticks: 30 })).tick, tick)
          const shorter = yield* Effect.flip(Trial.run(ended, { ...options(), ticks: 19 }))
          assert.include((shorter as Error).message, "the end of a longer run, of 20 ticks")
          const other = yield* Effect.flip(Trial.run(ended, { ...options(), seed: 2 }))
          assert.include((other as Error).message, "another program or seed")
        })
      ).pipe(services)
  )

  it.live("one that has ended goes on with more ticks, to the bytes of an undisturbed longer run", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const other = { ...folder, path: `${folder.path}-whole` }
        const length = (ticks: number, every = 2) => ({
          problem: triLevel(),
          ticks,
          seed: 1,
          checkpointEvery: 4,
          validation: {
            every,
            rows: 1,
            score: (tick: { readonly index: number }) => Effect.succeed({ loss: Math.abs(tick.index - 8) }),
            select: { metric: "loss", mode: "min" as const }
          }
        })
        yield* Trial.run(folder, length(6))
        const { test: _, ...longer } = yield* Trial.run(folder, length(14))
        const { test: __, ...whole } = yield* Trial.run(other, length(14))
        assert.deepStrictEqual(longer, whole)
        assert.deepStrictEqual(longer.selection.best, { tick: 8, score: 0 })
        const bytes = ({ path }: typeof folder, name: string) => readFileSync(join(path, name))
        for (const name of ["final.safetensors", "best.safetensors"])
          assert.deepStrictEqual(bytes(folder, name), bytes(other, name), name)
        const steps = (of: typeof folder) =>
          Effect.map(Records.read(of), (records) =>
            records.flatMap((r) =>
              r.t === "step" ? [`${r.k} ${r.level} ${r.loss}`] : r.t === "eval" ? [`${r.k} ${r.metrics["loss"]}`] : []
            )
          )
        assert.deepStrictEqual(yield* steps(folder), yield* steps(other))
        assert.match((yield* Effect.flip(Trial.run(folder, length(6)))).message, /end of a longer run, of 14 ticks/)
        // A score that only the shorter run would take must not decide for the longer one.
        assert.match(
          (yield* Effect.flip(Trial.run(folder, length(20, 3)))).message,
          /end between two scores of 3 ticks/
        )
      })
    ).pipe(services)
  )
})
