import { hash } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type { Manifest } from "tapweight"
import { Exit } from "tapweight/cli"
import { type Blow, tapweight } from "../../../test/support/commandLine.ts"
import { long } from "../../../test/support/long.ts"
import { resident } from "../../../test/support/resident.ts"

let scratch = ""
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "tapweight-reproduce-"))
  writeFileSync(join(scratch, "pool.smi"), smiles.join("\n"))
  writeFileSync(join(scratch, "esol.csv"), `smiles,logp\n${smiles.map((s, i) => `${s},${(i % 7) / 3}`).join("\n")}\n`)
})
afterAll(() => {
  cli.end()
  rmSync(scratch, { recursive: true, force: true })
})

const cli = resident(fileURLToPath(new URL("../../../experiments/commandLine.ts", import.meta.url)))
const within = async (args: ReadonlyArray<string>, blow?: Blow, cwd = scratch) => {
  const env = { TAPWEIGHT_CACHE: join(scratch, "cache") }
  return blow === undefined ? cli.run(cwd, args, env) : tapweight(args, { cwd, env, blow })
}
const reproduce = (...args: ReadonlyArray<string>) => within(["reproduce", ...args])

interface Scores {
  readonly finetuning: string
  readonly test: number
}
interface Trained {
  readonly method: string
  readonly pretraining: string
  readonly scores: ReadonlyArray<Scores>
  readonly seconds: unknown
}
interface Result {
  readonly result: { readonly rows: ReadonlyArray<Trained> }
}

const letters = ["C", "CC", "CO", "CN", "c1ccccc1", "CCO", "CCN", "OCCO", "Cc1ccccc1", "c1ccncc1", "CCC", "CCCl"]
const smiles = Array.from({ length: 60 }, (_, i) => `${"C".repeat(i % 9)}${letters[i % letters.length]!}`)
// The smallest sizes at which every level has a batch.
const tiny = [
  "size=16",
  "network.width=4",
  "network.blocks=[1,1]",
  "clusters=[2,3,4]",
  "permutations=4",
  "pool.molecules=40"
]
  .concat([
    "batch.pretrain=4",
    "batch.finetune=8",
    "batch.reweight=4",
    "ticks=3",
    "warmup=1",
    "general.ticks=2",
    "finetuneTicks=2",
    "scoreEvery=1"
  ])
  .flatMap((setting) => ["-s", setting])

describe("tapweight reproduce", () => {
  it.skipIf(!long)("says what it lacks, and which tables there are", async () => {
    const none = await reproduce("table2", "--data", ".", "--sets", "esol")
    assert.strictEqual(none.code, Exit.codes.refused, none.err)
    assert.match(none.err, /'muv' is called muv\.csv or muv\.csv\.gz.*tapweight data fetch muv/)
    const unknown = await reproduce("table99", "--data", ".")
    assert.strictEqual(unknown.code, Exit.codes.usage, unknown.err)
    assert.match(unknown.err + unknown.out, /table1.*table9/s)
    // Only esol's table is here: the others are missed before anything is drawn, also beside a file of other settings.
    writeFileSync(join(scratch, "gamma.json"), '{ "gamma": 0.4 }')
    const others = await reproduce("table2", "--data", ".", "--config", "gamma.json")
    assert.strictEqual(others.code, Exit.codes.refused, others.err)
    assert.match(others.err, /'lipo' is called lipo\.csv.*tapweight data fetch lipo/)
    assert.notInclude(others.err, "pool")
    const twice = await reproduce("table2", "--data", ".", "--sets", "esol, esol")
    assert.strictEqual(twice.code, Exit.codes.usage, twice.err)
    assert.match(twice.err, /--sets.*expected each name once/)
    const none0 = await reproduce("table2", "--data", ".", "--seeds", "0")
    assert.match(none0.err, /--seeds/)
    const elsewhere = await reproduce("table2", "--data", ".", "--sets", "esol", "-s", 'perSet={"esoll":{"ticks":300}}')
    assert.strictEqual(elsewhere.code, Exit.codes.usage, elsewhere.err)
    const tics = await reproduce("table2", "--data", ".", "--sets", "esol", "-s", 'perSet={"esol":{"tics":3}}')
    assert.strictEqual(tics.code, Exit.codes.usage, tics.err)
    assert.match(tics.err, /perSet.*tics/s)
    assert.match(elsewhere.err, /perSet\.esoll.*there is no set of this name/)
    const pools = ["--runs", "broken", "-s", 'pool.files=["pool.smi"]', ...tiny, "-s", "general.rate=1e25"]
    const broken = await reproduce("table2", "--data", ".", "--sets", "esol", ...pools)
    assert.strictEqual(broken.code, Exit.codes.failed, broken.err)
    assert.match(broken.err, /loss is .*\(trial general\/seed-1\)/s)
    writeFileSync(join(scratch, "odd.json"), '{ "name": "odd", "Range": [0, 1] }')
    const odd = await reproduce("table2", "--data", ".", "--sets", "odd.json")
    assert.strictEqual(odd.code, Exit.codes.refused, odd.err)
    assert.match(odd.err, /odd\.json: .*Range/s)
    const schema = {
      name: "esol",
      about: "made",
      smiles: "smiles",
      labels: ["logp"],
      task: "regression",
      metric: "mae"
    }
    writeFileSync(join(scratch, "own.json"), JSON.stringify(schema))
    const named = await reproduce("table2", "--data", ".", "--sets", "esol,own.json")
    assert.strictEqual(named.code, Exit.codes.refused, named.err)
    assert.match(named.err, /'?esol'?.*two sets have this name/)
    writeFileSync(join(scratch, "sets.json"), '{ "sets": ["esol"], "pool": { "files": ["none.smi"] } }')
    const pool = await reproduce("table2", "--data", ".", "--config", "sets.json")
    assert.strictEqual(pool.code, Exit.codes.refused, pool.err)
    assert.match(pool.err, /none\.smi: there is no such file: pool\.files names/)
  })

  it.skipIf(!long)("runs a table's methods on the sets that are named, from files to a table", async () => {
    // A second set of one's own, of which the paper says nothing.
    const own = { about: "made", smiles: "smiles", labels: ["logp"], task: "regression", metric: "mae" }
    writeFileSync(join(scratch, "mine.json"), JSON.stringify({ name: "mine", ...own }))
    writeFileSync(join(scratch, "mine.csv"), readFileSync(join(scratch, "esol.csv")))
    const args = ["table6", "--data", ".", "--sets", "esol,mine.json", "--seeds", "2", "-s", 'pool.files=["pool.smi"]']
    // The first update of a held finetuning is that of a free one, since it begins where it is held: later ones differ.
    const { code, err, out } = await reproduce(...args, ...tiny, "-s", "finetuneTicks=8", "-s", "gamma=10")
    assert.strictEqual(code, 0, err)
    for (const how of ["held", "free"]) {
      assert.match(
        out,
        new RegExp(`^esol, ${how} \\(rmse, less is better\\) +validation +test, 2 seeds +paper +cost`, "m")
      )
    }
    for (const [method, paper] of [
      ["finetuning alone", "1.11"],
      ["continued pretraining, equal weights", "-"],
      ["TapWeight without MLO \\(eq\\. 9\\)", "-"],
      ["TapWeight", "1.06"]
    ] as const) {
      assert.match(out, new RegExp(`^${method} +[\\d.]+ ± [\\d.]+ +[\\d.]+ ± [\\d.]+ +${paper} +×[\\d.]+ `, "m"), out)
    }
    assert.match(out, /^learned weights λ +method +seed +mg1 +mg2 +mg3 +jigsaw +mask$/m)
    assert.match(out, /^mine, free \(mae, less is better\)/m)
    assert.match(out, /^held: TapWeight's test score is better than that of +sets × seeds +sign test p$/m)
    assert.match(out, /^finetuning alone +\d of 4/m)
    assert.match(out, /waiting for data/)
    assert.match(
      err,
      /^esol: 60 molecules \(of 1128 that the literature counts: is its file whole\?\), 0 refused by RDKit and dropped; 45 train, 5 validation, 10 test$/m
    )
    assert.match(err, /^mine, seed 2, tapweight: 16 of 16 trainings done, about 0 minutes left$/m)
    const runs = join(scratch, "runs/molecules")
    const folder = join(runs, readdirSync(runs)[0]!)
    const chart = readFileSync(join(folder, "lambda-esol.svg"), "utf8")
    assert.include(chart, "λ over steps, esol, mean of 2 seeds")
    // Each encoder is finetuned both ways.
    const { rows: found } = (JSON.parse(readFileSync(join(folder, "result.json"), "utf8")) as Result).result
    assert.lengthOf(found, 16)
    // One pretraining under equal weights a seed serves both sets.
    const shared = found.flatMap(({ method, pretraining }) => (method === "equal" ? [pretraining] : []))
    assert.strictEqual(new Set(shared).size, 2)
    assert.deepStrictEqual(readdirSync(join(folder, "trials/pretraining/equal/3-at-0.05")), ["seed-1", "seed-2"])
    for (const { scores } of found)
      assert.deepStrictEqual(
        scores.map(({ finetuning }) => finetuning),
        ["held", "free"]
      )
    assert.isTrue(found.some(({ scores: [held, free] }) => held!.test !== free!.test))
  })

  it.skipIf(!long)("plans the paper's scale, with no more clusters than there are different molecules", async () => {
    const settings = ["data=.", 'sets=["esol"]', 'pool.files=["pool.smi"]', "batch.pretrain=16"].flatMap((setting) => [
      "-s",
      setting
    ])
    const plan = await within(["plan", "molecules", "--preset", "paper", ...settings])
    assert.strictEqual(plan.code, 0, plan.err)
    assert.match(plan.out, /pretrain +minimizes theta.*rate=0\.02, every=100, factor=0\.9/)
    assert.match(plan.out, /reweight.*beta/)
    assert.match(
      plan.err,
      /^warning  10000 clusters asked for, and 2\d distinct MACCS keys among 60 molecules: made 2\d$/m
    )
  })

  it.skipIf(!long)(
    "stopped by Ctrl-C in the midst of its trials and resumed, ends with what an undisturbed run found",
    async () => {
      // The pool is the set's own table, by the set's name.
      const sets = ["table7", "--data", ".", "--sets", "esol", "--seeds", "1", "-s", 'pool.files=["esol"]']
      const longer = [...tiny, "-s", "ticks=40"]
      const first = await reproduce(...sets, ...longer, "--runs", "alone", "--quiet")
      assert.deepStrictEqual([first.code, first.err], [0, ""])
      const blow: Blow = { when: /trial=esol\/seed-1\/tapweight\/pretrain/, after: 200, signal: "SIGINT" }
      const stopped = await within(["reproduce", ...sets, ...longer, "--runs", "stopped"], blow)
      assert.strictEqual(stopped.code, Exit.codes.interrupted, stopped.err)
      const table = join(scratch, "esol.csv")
      const text = readFileSync(table, "utf8")
      writeFileSync(table, text.replace(/0\n/, "1\n"))
      const changed = await within(["resume", "@latest", "--runs", "stopped"])
      assert.strictEqual(changed.code, Exit.codes.refused, changed.err)
      assert.match(changed.err, /data set .esol. \(.*esol\.csv\) is not what the run began with/)
      writeFileSync(table, text)
      // From another folder: the data's is named from where the run began.
      const other = mkdtempSync(join(scratch, "other-"))
      const end = await within(["resume", "@latest", "--runs", join(scratch, "stopped")], undefined, other)
      assert.strictEqual(end.code, 0, end.err)
      // Done, it says what it found, also where its table is another by now.
      writeFileSync(table, "smiles,logp\n")
      const done = await within(["resume", "@latest", "--runs", "stopped"])
      assert.deepStrictEqual([done.code, done.out], [0, end.out], done.err)
      writeFileSync(table, text)
      const only = (runs: string) => {
        const root = join(scratch, runs, "molecules")
        return join(root, readdirSync(root)[0]!)
      }
      const found = (runs: string) =>
        (JSON.parse(readFileSync(join(only(runs), "result.json"), "utf8")) as Result).result.rows.map(
          ({ seconds: _, ...rest }) => rest
        )
      assert.deepStrictEqual(found("stopped"), found("alone"))
      for (const method of ["tapweight", "final"]) {
        const encoder = (runs: string) =>
          readFileSync(join(only(runs), "trials/esol/seed-1", method, "pretrain/encoder.safetensors"), "base64")
        assert.strictEqual(encoder("stopped"), encoder("alone"))
      }
      const file = join(only("alone"), "trials/esol/seed-1/final/pretrain/encoder.safetensors")
      const further = await reproduce(...sets, ...tiny, "-s", `encoder=${file}`, "--runs", "further")
      assert.strictEqual(further.code, 0, further.err)
      assert.include(further.err, `encoder read from ${file}`)
      const manifest = JSON.parse(readFileSync(join(only("further"), "manifest.json"), "utf8")) as Manifest.Manifest
      const [sha256, encoder] = [hash("sha256", text), hash("sha256", readFileSync(file))]
      assert.deepStrictEqual(manifest.weights, [{ file, sha256: encoder, licence: "not stated" }])
      const source = { sha256, read: 60, dropped: [], licence: "not stated", source: table }
      const pool = { rule: "unlabelled molecules drawn at random", rows: { drawn: 40 } }
      // 45 are chains, 10 have a benzene ring and 5 a pyridine ring.
      const set = { rule: "scaffold, 8:1:1", rows: { train: 45, validation: 5, test: 10 } }
      assert.match(manifest.data[1]!.version!, /^schema [0-9a-f]{16}$/)
      assert.deepStrictEqual(manifest.data, [
        { name: "esol", version: null, ...source, split: pool },
        { name: "esol", version: manifest.data[1]!.version, ...source, split: set }
      ])
    }
  )
})
