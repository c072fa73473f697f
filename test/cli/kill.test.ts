import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"
import * as Seed from "../../src/dsl/values/Seed.ts"
import { type Blow, tapweight } from "../support/commandLine.ts"
import { long } from "../support/long.ts"

const program = fileURLToPath(new URL("../support/killable.ts", import.meta.url))

const only = (root: string): string => join(root, "killable", readdirSync(join(root, "killable"))[0]!)
const bytes = (folder: string) =>
  ["final.safetensors", "best.safetensors", "result.json"].map((name) =>
    readFileSync(join(folder, name)).toString("base64")
  )

const blows = long ? 12 : 2

describe("a run that is stopped and resumed", () => {
  it(`killed with kill -9 at ${blows} random moments, ends with the bytes of one left alone`, async () => {
    const root = mkdtempSync(join(tmpdir(), "tapweight-kill-"))
    try {
      const options = ["--engine", "cpu"]
      const start = ["run", program, "-s", "ticks=400", ...options]
      const alone = await tapweight([...start, "--runs", join(root, "alone")])
      assert.strictEqual(alone.code, 0, alone.err)
      // Every other one is sure to fall after the first tick of its attempt, however slow the machine is, and soon enough
      // after it that the run does not end before, however fast.
      const moments = Array.from(Seed.uniform(Seed.make(31), blows), (u, i): Blow => ({
        when: i % 2 === 0 ? /tick=/ : /^(run|resume) /m,
        after: 60 * u,
        signal: "SIGKILL"
      }))
      const runs = join(root, "killed")
      const first = await tapweight([...start, "--runs", runs], { blow: moments[0]! })
      assert.strictEqual(first.signal, "SIGKILL")
      const folder = only(runs)
      let progressed = 0
      for (const moment of moments.slice(1)) {
        const attempt = await tapweight(["resume", folder, ...options], { blow: moment })
        assert.strictEqual(attempt.signal, "SIGKILL", `it ended before it was killed: ${attempt.err}`)
        if (/tick=/.test(attempt.err)) progressed++
      }
      const end = await tapweight(["resume", folder, ...options])
      assert.strictEqual(end.code, 0, end.err)
      assert.deepStrictEqual(bytes(folder), bytes(only(join(root, "alone"))))
      // Some kills fell while ticks were being taken, not all before the first.
      assert.isAtLeast(progressed, blows / 2 - 1)
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  })

  it("on SIGTERM saves a checkpoint and exits with 75, on SIGINT with 130, and goes on from there", async () => {
    const root = mkdtempSync(join(tmpdir(), "tapweight-stop-"))
    try {
      const stop = (signal: NodeJS.Signals): Blow => ({ when: /tick=/, after: 150, signal })
      const stopped = await tapweight(["run", program, "--engine", "cpu", "--runs", root], { blow: stop("SIGTERM") })
      assert.strictEqual(stopped.code, 75, stopped.err)
      const folder = only(root)
      assert.include(stopped.err, "tapweight resume")
      const status = JSON.parse(readFileSync(join(folder, "status.json"), "utf8"))
      assert.strictEqual(status.state, "interrupted")
      const newest = readdirSync(join(folder, "checkpoints")).sort().at(-1)!
      const again = await tapweight(["resume", folder, "--engine", "cpu"], { blow: stop("SIGINT") })
      assert.strictEqual(again.code, 130, again.err)
      assert.isAbove(readdirSync(join(folder, "checkpoints")).sort().at(-1)!.localeCompare(newest), 0)
      const end = await tapweight(["resume", folder, "--engine", "cpu", "--format", "json", "--quiet"])
      assert.strictEqual(end.code, 0, end.err)
      assert.strictEqual(JSON.parse(end.out).result.tick, 300)
      const twice = await tapweight(["resume", folder, "--engine", "cpu", "--format", "json"])
      assert.deepStrictEqual(JSON.parse(twice.out).result, JSON.parse(end.out).result)
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  })
})
