import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { resident } from "../support/resident.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const example = join(root, "examples/01-hyperparameters.ts")
let scratch = ""

const cli = resident()
const tapweight = (...args: ReadonlyArray<string>) => cli.run(scratch, args, { TAPWEIGHT_RUNS: "runs" })
const ids = () => readdirSync(join(scratch, "runs/hyperparameters")).toSorted()
const bytes = (id: string) => readFileSync(join(scratch, "runs/hyperparameters", id, "final.safetensors"))
/** The run that a command made. */
const made = (...args: ReadonlyArray<string>): string => {
  const { code, err } = tapweight(...args)
  assert.strictEqual(code, 0, err)
  return /^run (?:.*\/)?(\S+) /m.exec(err)![1]!
}

beforeAll(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), "tapweight-fork-")))
})
afterAll(() => {
  cli.end()
  rmSync(scratch, { recursive: true, force: true })
})

describe("fork", { timeout: 120_000 }, () => {
  it("ends as the run would have with the same settings, elsewhere with others, and leaves the first as it was", () => {
    const whole = made("run", example, "--engine", "cpu", "-s", "ticks=40")
    const first = made("run", example, "--engine", "cpu", "-s", "ticks=20")
    const before = bytes(first)
    const again = made("fork", first, "--at", "16", "-s", "ticks=40", "--program", example)
    assert.isTrue(bytes(again).equals(bytes(whole)))
    const other = made("fork", first, "-s", "ticks=40", "-s", "rate=0.02", "--program", example)
    assert.isFalse(bytes(other).equals(bytes(whole)))
    assert.isTrue(bytes(first).equals(before))
    const { parent } = JSON.parse(readFileSync(join(scratch, "runs/hyperparameters", other, "manifest.json"), "utf8"))
    assert.strictEqual(parent.run, first)
    assert.deepStrictEqual(parent.changed, { ticks: { from: 20, to: 40 }, rate: { from: 0.05, to: 0.02 } })
    const page = readFileSync(join(scratch, "runs/hyperparameters", other, "report.html"), "utf8")
    assert.include(page, `Forked from ${first} at tick`)
  })

  it("refuses what it cannot begin from, and makes no folder", () => {
    const before = ids()
    const first = before[0]!
    const table: ReadonlyArray<readonly [ReadonlyArray<string>, number, string]> = [
      [["fork", first, "-s", "ticks=5", "--program", example], 2, "say -s ticks=N"],
      [["fork", first, "--at", "3", "-s", "ticks=90", "--program", example], 4, "there is none at tick 3"],
      [["fork", first, "-s", "rte=1", "--program", example], 2, "did you mean 'rate'"],
      [["fork", first], 2, "does not choose what code runs"],
      [["fork", first, "--program", join(root, "examples/02-reweighting.ts"), "-s", "ticks=9999"], 2, "no such setting"]
    ]
    for (const [args, code, sentence] of table) {
      const refused = tapweight(...args)
      assert.include(refused.err, sentence)
      assert.strictEqual(refused.code, code, refused.err)
    }
    assert.deepStrictEqual(ids(), before)
  })
})
