import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { codes } from "../../src/cli/Exit.ts"

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))
let scratch = ""
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "tapweight-reproduce-"))
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const reproduce = (...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [main, "reproduce", ...args], {
    cwd: scratch,
    encoding: "utf8",
    env: { ...process.env, TAPWEIGHT_CACHE: join(scratch, "cache") }
  })
  return { code: status, out: stdout, err: stderr }
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
    "finetuneTicks=2",
    "scoreEvery=1"
  ])
  .flatMap((setting) => ["-s", setting])

describe("tapweight reproduce", () => {
  it("says what it lacks, and which tables there are", () => {
    const none = reproduce("table6", "--data", ".")
    assert.strictEqual(none.code, codes.refused, none.err)
    assert.match(none.err, /muv\.csv\.gz/)
    const unknown = reproduce("table99", "--data", ".")
    assert.strictEqual(unknown.code, codes.usage, unknown.err)
    assert.match(unknown.err + unknown.out, /table1.*table9/s)
  })

  it("runs a table's methods on the sets that are named, from files to a table", () => {
    writeFileSync(join(scratch, "pool.smi"), smiles.join("\n"))
    writeFileSync(join(scratch, "esol.csv"), `smiles,logp\n${smiles.map((s, i) => `${s},${(i % 7) / 3}`).join("\n")}\n`)
    const args = ["table6", "--data", ".", "--sets", "esol", "--seeds", "2", "-s", 'pool.files=["pool.smi"]']
    const { code, err, out } = reproduce(...args, ...tiny)
    assert.strictEqual(code, 0, err)
    assert.match(out, /^esol \(rmse, less is better\) +validation +test, 2 seeds +paper +cost/m)
    for (const [method, paper] of [
      ["finetuning alone", "1.11"],
      ["continued pretraining, equal weights", "-"],
      ["TapWeight without MLO \\(eq\\. 9\\)", "-"],
      ["TapWeight", "1.06"]
    ] as const) {
      assert.match(out, new RegExp(`^${method} +[\\d.]+ ± [\\d.]+ +[\\d.]+ ± [\\d.]+ +${paper} +×[\\d.]+ `, "m"), out)
    }
    assert.match(out, /^learned weights λ +method +seed +mg1 +mg2 +mg3 +jigsaw +mask$/m)
    assert.match(out, /waiting for data/)
  })
})
