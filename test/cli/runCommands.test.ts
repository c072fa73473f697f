import { mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { resident } from "../support/resident.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
let scratch = ""

const cli = resident()
const tapweight = (...args: ReadonlyArray<string>) => cli.run(scratch, args, { TAPWEIGHT_RUNS: "runs" })

/** A comparison of two methods with as many seeds as asked for: `high` is better by `gain` and a little. */
const program = `
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Config, Dataset, Init, Level, Optimizer, Problem, Program, Var } from "tapweight"
const x = Var.make("x", Init.ones([2]))
const level = Level.minimize(x, { name: "lower", data: Dataset.none, optimizer: Optimizer.sgd(0.1),
  objective: ({ x }) => tf.sum(tf.square(x)) })
export default Program.make({
  name: "scored", description: "",
  config: Config.make({
    schema: Schema.Struct({ ...Program.common, seeds: Schema.Int, gain: Schema.Finite, rows: Schema.Int }),
    defaults: { seed: 0, ticks: 2, seeds: 6, gain: 1, rows: 10 }
  }),
  prepare: () => Effect.void,
  problems: () => ({ only: Problem.close(level) }),
  run: (session, { problems, settings }) => Effect.gen(function* () {
    yield* session.inputs({ weights: [], data: [{ name: "toy", version: null, sha256: String(settings.rows), read: settings.rows,
      dropped: [], split: { rule: "first", rows: {} }, licence: "none", source: "made" }] })
    yield* session.trial("one", { problem: problems.only, ticks: settings.ticks, seed: settings.seed })
    const seeds = Array.from({ length: settings.seeds }, (_, i) => settings.seed + i)
    return { result: null, text: "the text of it", scores: seeds.flatMap((seed) => [
      { method: "low", task: "toy", seed, metric: "accuracy", split: "test", better: "more", value: seed / 100 },
      { method: "high", task: "toy", seed, metric: "accuracy", split: "test", better: "more", value: seed / 50 + settings.gain }
    ]) }
  })
})
`

/** The runs that are looked at, as they were made. */
const made: Array<string> = []
const ids = (): ReadonlyArray<string> => made

beforeAll(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), "tapweight-look-")))
  symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"))
  writeFileSync(join(scratch, "scored.ts"), program)
  for (const set of [[], ["-s", "seed=100"], ["-s", "gain=2"], ["-s", "seed=200", "-s", "rows=11"]]) {
    const { code, err, out } = tapweight("run", "scored.ts", "-q", "--engine", "cpu", "--format", "json", ...set)
    assert.strictEqual(code, 0, err)
    made.push(basename((JSON.parse(out) as { readonly run: string }).run))
  }
}, 120_000)
afterAll(() => {
  cli.end()
  rmSync(scratch, { recursive: true, force: true })
})

describe("looking at runs", { timeout: 120_000 }, () => {
  it("ls lists them, show tells one in full, config show its settings and their origins", () => {
    const listed = JSON.parse(tapweight("ls", "--format", "json").out) as Array<{
      id: string
      state: string
      seed: number
    }>
    assert.deepStrictEqual(listed.map(({ id }) => id).toSorted(), ids().toSorted())
    assert.deepStrictEqual(new Set(listed.map(({ state }) => state)), new Set(["done"]))
    assert.strictEqual(tapweight("ls", "--last", "1").out.trim().split("\n").length, 2)
    assert.strictEqual(tapweight("ls", "nothing").out.trim(), "no runs")
    const id = listed.find(({ seed }) => seed === 100)!.id
    const shown = tapweight("show", id).out
    for (const part of [id, "done, tick 2", "the text of it", "toy: 10 rows"]) assert.include(shown, part)
    assert.match(tapweight("config", "show", id).out, /seed +100 +-s/)
    assert.match(tapweight("config", "show", id).out, /gain +1 +default/)
  })

  it("tail prints a trial's records, as they lie in its folder or in words, and names the trials", () => {
    const id = ids()[0]!
    const refused = tapweight("tail", id)
    assert.strictEqual(refused.code, 2)
    assert.match(refused.err, /several trials: say --trial and one of\n {2}one/)
    assert.strictEqual(tapweight("tail", id, "--trial", "../../../secret").code, 2)
    const raw = readFileSync(join(scratch, "runs/scored", id, "trials/one/metrics-1.ndjson"), "utf8")
    assert.strictEqual(tapweight("tail", id, "--trial", "one", "--last", "1000", "--format", "json").out, raw)
    // That of a run that has ended ends as well.
    assert.match(tapweight("tail", id, "--trial", "one", "-n", "8", "--follow").out, /lower {2}update 2 {2}loss/)
  })

  it("compare puts runs together by seed, tells methods apart by settings, and holds a claim", () => {
    const [first, second, gain, other] = ids()
    const one = JSON.parse(tapweight("compare", first!, "--format", "json").out)
    assert.strictEqual(one.tasks[0].standings[1].difference.p, 2 / 2 ** 6)
    const two = JSON.parse(tapweight("compare", first!, second!, "--format", "json").out)
    assert.strictEqual(two.tasks[0].standings[1].difference.n, 12)
    const settings = tapweight("compare", first!, gain!, "--baseline", "low (gain=1)").out
    assert.match(settings, /high \(gain=2\) +6 +2\.05/)
    const mixed = tapweight("compare", first!, other!)
    assert.strictEqual(mixed.code, 2)
    assert.include(mixed.err, "data set 'toy' or its split is another")
    const forced = tapweight("compare", first!, other!, "--force")
    assert.strictEqual(forced.code, 0)
    assert.include(forced.out, "compared by force")
    assert.strictEqual(tapweight("compare", first!, "--require", "high").code, 0)
    const missed = tapweight("compare", first!, "--baseline", "high", "--require", "low")
    assert.strictEqual(missed.code, 3)
    assert.include(missed.err, "'low' is not better than 'high'")
  })

  it("report puts runs beside one another on one page, as compare does, and refuses what that refuses", () => {
    const [first, second, gain, other] = ids()
    const page = (...args: ReadonlyArray<string>) => {
      const { code, err } = tapweight("report", ...args, "-o", "page.html")
      assert.strictEqual(code, 0, err)
      return readFileSync(join(scratch, "page.html"), "utf8")
    }
    const two = page(first!, second!)
    assert.match(two, /high is best with 2\.05 ± 1\.0\d, \+1\.52 over low: more than noise/)
    assert.include(two, "one, lower, 2 seeds")
    for (const id of [first!, second!]) assert.include(two, id)
    const told = page(first!, gain!)
    assert.include(told, "high (gain=2)")
    assert.match(told, /gain=2/)
    const mixed = tapweight("report", first!, other!, "-o", "mixed.html")
    assert.strictEqual(mixed.code, 2)
    assert.include(mixed.err, "data set 'toy' or its split is another")
    assert.include(page(first!, other!, "--force"), "data set &#39;toy&#39; or its split is another")
  })

  it("an error is an annotation as well where GitHub's runner asks", () => {
    const { err } = cli.run(scratch, ["show", "100%"], { TAPWEIGHT_RUNS: "runs", GITHUB_ACTIONS: "true" })
    assert.match(err, /^error {2}.*100%/m)
    assert.match(err, /^::error::.*100%25/m)
  })

  it("compare refuses what it cannot tell", () => {
    const [first] = ids()
    const table: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
      [[first!, "--metric", "loss"], "no score in 'loss': there is 'accuracy'"],
      [[first!, "--split", "validation"], "no score in 'accuracy' on validation"],
      [[first!, "--baseline", "nobody"], "no method 'nobody': there is 'low', 'high'"],
      [["nothing"], "none in runs begins or ends so"]
    ]
    for (const [args, sentence] of table) {
      const { code, err } = tapweight("compare", ...args)
      assert.strictEqual(code, 2, sentence)
      assert.include(err, sentence)
    }
  })
})
