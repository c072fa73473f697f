import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Chemistry from "../../molecules/rdkit/Chemistry.ts"
import * as Pool from "../../molecules/Pool.ts"
import { type Settings, small } from "../../molecules/Settings.ts"
import * as Task from "../../molecules/Task.ts"
import { partsOf } from "../support/parts.ts"

let [data, before] = ["", process.env["TAPWEIGHT_CACHE"]]
beforeAll(() => {
  data = mkdtempSync(join(tmpdir(), "tapweight-task-"))
  before = process.env["TAPWEIGHT_CACHE"]
  process.env["TAPWEIGHT_CACHE"] = join(data, "cache")
})
afterAll(() => {
  if (before === undefined) delete process.env["TAPWEIGHT_CACHE"]
  else process.env["TAPWEIGHT_CACHE"] = before
  rmSync(data, { recursive: true, force: true })
})

const quiet = () => Effect.void
const settingsOf = (change: Partial<Settings>): Settings => ({
  ...small,
  data,
  size: 16,
  clusters: [2, 2, 2],
  ...change
})

/** What is said of a table of these rows, as a classification. */
const refusal = (rows: ReadonlyArray<string>, change: Partial<Settings> = {}) =>
  Effect.gen(function* () {
    const schema = { name: "own", about: "made", smiles: "smiles", labels: ["y"], task: "classification" }
    writeFileSync(join(data, "own.json"), JSON.stringify({ ...schema, metric: "roc-auc" }))
    writeFileSync(join(data, "own.csv"), `smiles,y\n${rows.join("\n")}\n`)
    const settings = settingsOf(change)
    const pool = { inputs: [], counts: [] } as never
    const found = yield* Task.find(settings, join(data, "own.json"))
    return (yield* Effect.flip(Task.make(settings, pool, found, quiet))).message
  }).pipe(Effect.scoped, Effect.provide([Chemistry.layer({ workers: 1 }), NodeServices.layer]))

const rings = [
  "c1ccccc1",
  "C1CCCCC1",
  "C1CCCC1",
  "c1ccncc1",
  "C1CCNCC1",
  "c1ccoc1",
  "c1ccsc1",
  "C1CC1",
  "C1CCC1",
  "C1CCOC1"
]

describe("labels of a regression", () => {
  it.live("are trained on in the unit of the training part: its mean is 0 there and its deviation 1", () =>
    Effect.gen(function* () {
      const schema = {
        name: "own",
        about: "made",
        smiles: "smiles",
        labels: ["y", "z"],
        task: "regression",
        metric: "rmse"
      }
      // The square of a row tells a part's mean and deviation from the others'.
      const values = rings.map((_, i) => [(i + 1) ** 2, 100 - (i + 1) ** 3] as const)
      writeFileSync(join(data, "own.json"), JSON.stringify(schema))
      writeFileSync(
        join(data, "own.csv"),
        `smiles,y,z\n${rings.map((r, i) => `${r},${values[i]!.join()}`).join("\n")}\n`
      )
      const settings = settingsOf({ split: "random" })
      const found = yield* Task.find(settings, join(data, "own.json"))
      const task = yield* Task.make(settings, { inputs: [], counts: [] } as never, found, quiet)
      const { test, train, validation } = partsOf(task)
      for (const column of [0, 1]) {
        const of = ({ labels }: typeof train) => Array.from(labels.data).filter((_, i) => i % 2 === column)
        const mean = (all: ReadonlyArray<number>) => all.reduce((sum, v) => sum + v, 0) / all.length
        assert.closeTo(mean(of(train)), 0, 1e-5)
        assert.closeTo(mean(of(train).map((v) => v ** 2)), 1, 1e-5)
        const { deviation, mean: shift } = task.unit
        const raw = [train, validation, test]
          .flatMap(of)
          .map((v) => Math.round(v * deviation[column]! + shift[column]!))
        const byValue = (a: number, b: number) => a - b
        assert.deepStrictEqual(raw.sort(byValue), values.map((row) => row[column]!).sort(byValue))
      }
    }).pipe(Effect.scoped, Effect.provide([Chemistry.layer({ workers: 1 }), NodeServices.layer]))
  )
})

describe("a table that nothing can be learned from", () => {
  it.live("without a molecule that RDKit takes: the column is doubted", () =>
    Effect.gen(function* () {
      assert.match(yield* refusal(["xx,0", "yy,1"]), /own.*RDKit refuses all of its 2 molecules: .*`smiles` name/)
    })
  )

  it.live("of molecules that are all too large: the limits are named", () =>
    Effect.gen(function* () {
      const limits = { atoms: 2, rings: 9, seconds: 9 }
      assert.match(
        yield* refusal(["CCO,0", "CCCC,1", "xx,1"], { limits }),
        /nothing is left of its 3 molecules \(1 refused by RDKit, 2 more than 2 atoms and dropped\): raise limits\.atoms/
      )
    })
  )

  it.live("of one scaffold: another split is proposed", () =>
    Effect.gen(function* () {
      const chains = Array.from({ length: 20 }, (_, i) => `${"C".repeat(i + 1)},${i % 2}`)
      assert.match(yield* refusal(chains), /training part, which is empty: choose split=random/)
    })
  )

  it.live("of one class in its training part", () =>
    Effect.gen(function* () {
      assert.match(
        yield* refusal(rings.map((ring) => `${ring},1`)),
        /no label has both classes in its train part: give more rows, or choose split=random or split=stratified/
      )
    })
  )

  it.live("a pool of such molecules is named with its files", () =>
    Effect.gen(function* () {
      writeFileSync(join(data, "none.smi"), "xx\nyy\n")
      writeFileSync(join(data, "same.smi"), "CCO\nOCC\n")
      const said = (files: readonly [string, ...Array<string>], sample: number | null = null) =>
        Effect.map(
          Effect.flip(
            Pool.make(
              settingsOf({ pool: { files, molecules: 9, sample }, batch: { ...small.batch, pretrain: 2 } }),
              quiet
            )
          ),
          ({ message }) => message
        )
      assert.match(yield* said(["none.smi"]), /RDKit refuses all of the 2 molecules drawn from .*none\.smi/)
      writeFileSync(join(data, "one.smi"), "CCO\n")
      assert.match(
        yield* said(["one.smi"]),
        /it has 1 molecules, fewer than one batch: .*pool\.molecules.*batch\.pretrain, which is 2/
      )
      // A column of another name, by a schema.
      writeFileSync(join(data, "named.csv"), "structure,y\nxx,1\n")
      const named = {
        name: "named",
        about: "made",
        smiles: "structure",
        labels: ["y"],
        task: "regression",
        metric: "mae"
      }
      writeFileSync(join(data, "named.json"), JSON.stringify(named))
      assert.match(yield* said(["named.csv"]), /no column 'smiles'.*A schema in a \.json file can name another/)
      assert.match(yield* said([join(data, "named.json")]), /RDKit refuses all of the 1 molecules/)
      // Centres of a single molecule are one cluster, however many others there are.
      writeFileSync(join(data, "many.smi"), rings.join("\n"))
      assert.match(yield* said(["many.smi"], 1), /no two kinds to tell apart/)
      assert.match(yield* said(["same.smi"]), /no two kinds to tell apart of the 2 molecules drawn from .*same\.smi/)
    }).pipe(Effect.scoped, Effect.provide([Chemistry.layer({ workers: 1 }), NodeServices.layer]))
  )
})
