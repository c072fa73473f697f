import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import * as Tie from "../../src/cli/launch/Tie.ts"
import { until, workplace, type Workplace } from "../support/sweeping.ts"

describe("a run that works for another process", { timeout: 280_000 }, () => {
  let place: Workplace
  beforeEach(() => void (place = workplace()))
  afterEach(() => place.remove(), 120_000)

  const folder = () => join(place.scratch, "run")
  const names = (): ReadonlyArray<string> => readdirSync(folder(), { recursive: true, encoding: "utf8" }).toSorted()
  const run = (...args: ReadonlyArray<string>) =>
    place.begin(["run", "program.ts", "--engine", "cpu", "--into", "run", "--quiet", "--tied", ...args])

  it("goes on while it hears that the run is its own, and stops with a checkpoint when it hears it no more", async () => {
    place.write("pace", "400")
    const { child, end, said } = run("--beats", "3")
    const beating = setInterval(() => Tie.beat(child.stdin!, Tie.now()), 200)
    // For longer than the limit.
    await until(() => place.events().filter(({ what }) => what === "tick").length >= 7)
    const from = Tie.now()
    await until(() => Tie.now() - from > 3500)
    assert.strictEqual(child.exitCode, null, said())
    clearInterval(beating)
    // A beat from before, which comes late, does not keep it; neither does anything else.
    child.stdin!.write(`${from}\nnone\n`)
    assert.strictEqual(await end(), 75, said())
    assert.isTrue(existsSync(join(folder(), "checkpoints")))
  })

  it("writes nothing once a later claim was made, though it was stopped when that happened", async () => {
    place.write("pace", "300")
    const { child, end, said } = run("--claim", "3")
    await until(() => existsSync(folder()) && names().some((name) => /^checkpoints\/\d+-a1$/.test(name)))
    child.kill("SIGSTOP")
    assert.isTrue(existsSync(join(folder(), "claims/3")))
    writeFileSync(join(folder(), "claims/4"), "")
    place.write("pace", "0")
    const kept = names().filter((name) => !name.includes(".tmp-"))
    const status = readFileSync(join(folder(), "status.json"), "utf8")
    child.kill("SIGCONT")
    assert.strictEqual(await end(), 73, said())
    assert.include(said(), "claim 4, and this one has claim 3: it writes nothing more")
    assert.deepStrictEqual(
      names().filter((name) => !name.includes(".tmp-")),
      kept
    )
    assert.strictEqual(readFileSync(join(folder(), "status.json"), "utf8"), status)
    assert.notInclude(names(), "result.json")
  })

  it("does not begin where the program is another one than was asked for", async () => {
    mkdirSync(folder())
    const { end, said } = run("--expect", `0:${"0".repeat(20)}`)
    assert.strictEqual(await end(), 72, said())
    assert.include(said(), "its levels compute something else")
    assert.notInclude(names(), "manifest.json")
    assert.isEmpty(place.events())
    assert.isTrue(statSync(folder()).isDirectory())
  })
})
