import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { NdArray, OnnxEngine as Compiled, type Problem, Seed, Session } from "tapweight"
import { brown, prepare } from "../../brown/Brown.ts"
import { control } from "../../brown/Control.ts"
import { config, type Settings } from "../../brown/Settings.ts"
import { partsOf } from "../support/parts.ts"

const settings: Settings = {
  ...config({}).defaults,
  seeds: 1,
  length: 24,
  vocabulary: 300,
  perGenre: { train: 2, validation: 3, test: 4 },
  batch: { pretrain: 4, finetune: 8, reweight: 8 },
  ticks: 1,
  finetuneTicks: 1
}
const data = await Effect.runPromise(Effect.provide(prepare(settings), NodeServices.layer))
const { levels, task } = data[0]!
const parts = partsOf(task)
const rowsOf = (ids: NdArray.NdArray) =>
  Array.from({ length: ids.shape[0]! }, (_, i) => ids.data.subarray(i * ids.shape[1]!, (i + 1) * ids.shape[1]!).join())
const rows = {
  train: new Set(rowsOf(parts.train.ids)),
  validation: new Set(rowsOf(parts.validation.ids)),
  test: new Set(rowsOf(parts.test.ids))
}
type Part = keyof typeof rows
const partOf = (row: string): string => (Object.keys(rows) as Array<Part>).filter((part) => rows[part].has(row)).join()

type Options = Parameters<Session.Session["trial"]>[1]

/** Trains nothing: notes what each trial does with the parts. */
const recorded = (folder: string) => {
  const events = new Map<string, Array<string>>()
  const trial = (name: string, options: Options) =>
    Effect.gen(function* () {
      const own: Array<string> = []
      events.set(name, own)
      mkdirSync(Session.trialFolder({ id: "", program: "", path: folder }, name).path, { recursive: true })
      const tick = {
        evaluate: (_: unknown, { ids }: { readonly ids: NdArray.NdArray }) => {
          own.push(`scored ${[...new Set(rowsOf(ids).map(partOf))].join(" and ")}`)
          return Effect.succeed({ classes: { data: new Int32Array(ids.shape[0]!) }, loss: { data: [0] } })
        }
      }
      if (options.validation !== undefined) yield* options.validation.score(tick as never)
      own.push("ended")
      return {
        tick: 1,
        vars: {
          theta: { encoder: {} },
          beta: NdArray.float32(
            [levels.beta.elements.length],
            levels.beta.elements.map(() => 0)
          )
        },
        selection: { best: { tick: 1, score: 0 }, since: 0 },
        test: (part: typeof task.test) => {
          own.push(
            `tested ${[...new Set(rowsOf(partsOf({ ...task, test: part }).test.ids).map(partOf))].join(" and ")}`
          )
          return Effect.succeed(0)
        }
      }
    })
  const session = { folder: { id: "made", program: "brown", path: folder }, trial, shared: trial }
  return { events, session: session as never as Session.Session }
}

const inFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tapweight-leakage-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)
const services = Effect.provide([Compiled.layer({ threads: 1 }), NodeServices.layer])

describe("parts of the Brown corpus", () => {
  it("share no passage", () => {
    const all = (Object.keys(rows) as Array<Part>).flatMap((part) => [...rows[part]])
    assert.strictEqual(new Set(all).size, all.length)
  })

  it.live("are read by the level that they are for, in every problem", () =>
    Effect.gen(function* () {
      const reads: { readonly [level: string]: string } = { finetune: "train", reweight: "validation" }
      type Level = Problem.Problem.Any["top"]
      const below = (level: Level): ReadonlyArray<Level> => [level, ...level.upstream.flatMap(below)]
      const problems: ReadonlyArray<Problem.Problem.Any> = [levels.tapweight, levels.held, levels.finetuning()]
      const labelled = problems.flatMap(({ top }) => below(top)).filter(({ name }) => name !== "pretrain")
      assert.deepStrictEqual(new Set(labelled.map(({ name }) => name)), new Set(Object.keys(reads)))
      for (const level of labelled) {
        const sample = yield* level.data.open as Effect.Effect<(seed: Seed.Seed, index: number) => Effect.Effect<never>>
        for (const index of [0, 1, 2]) {
          const { ids }: { readonly ids: NdArray.NdArray } = yield* sample(Seed.make(5), index)
          assert.deepStrictEqual([...new Set(rowsOf(ids).map(partOf))], [reads[level.name]], level.name)
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("the test part opens once for each finetuning, after it is selected on validation passages", () =>
    Effect.gen(function* () {
      const { events, session } = recorded(yield* inFolder)
      const { run } = yield* brown.prepare(settings)
      yield* run(session)
      assert.sameMembers(
        [...events.keys()],
        [
          "seed-0/finetune/finetune",
          "seed-0/equal/pretrain",
          "seed-0/equal/finetune",
          "seed-0/tapweight/search",
          "seed-0/tapweight/finetune"
        ]
      )
      for (const [name, own] of events) {
        const expected = name.endsWith("/finetune") ? ["scored validation", "ended", "tested test"] : ["ended"]
        assert.deepStrictEqual(own, expected, name)
      }
    }).pipe(Effect.scoped, services)
  )

  it.live("the control reads no test passage", () =>
    Effect.gen(function* () {
      const { events, session } = recorded(yield* inFolder)
      const { run } = yield* control.prepare(settings)
      yield* run(session)
      assert.isAbove(events.size, 0)
      for (const [name, own] of events) assert.deepStrictEqual(own, ["scored validation", "ended"], name)
    }).pipe(Effect.scoped, services)
  )
})
