import { spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { long } from "../support/long.ts"

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))
const program = fileURLToPath(new URL("../support/unruly.ts", import.meta.url))
let root = ""
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "tapweight-process-"))))
afterEach(() => rmSync(root, { recursive: true, force: true }))

interface Run {
  readonly settings: ReadonlyArray<string>
  readonly engine?: string
  readonly stdout?: number | "pipe"
  readonly stderr?: number | "pipe"
}

/** Runs the unruly program; `heard` is called with all of standard error so far whenever more of it comes. */
const unruly = async (
  { engine = "cpu", settings, stderr = "pipe", stdout = "pipe" }: Run,
  heard: (err: string, child: ReturnType<typeof spawn>) => void = () => {}
) => {
  const child = spawn(
    process.execPath,
    [main, "run", program, "--engine", engine, "--runs", root, ...settings.flatMap((s) => ["-s", s])],
    { stdio: ["ignore", stdout, stderr] }
  )
  let [out, err] = ["", ""]
  child.stdout?.on("data", (chunk) => (out += chunk))
  child.stderr?.on("data", (chunk) => heard((err += chunk), child))
  const [code, signal] = (await once(child, "close")) as [number | null, string | null]
  return { code, signal, out, err }
}
/** Seconds of processor time that a process has had. */
const seconds = (pid: number): number => {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ")
    .slice(11, 13)
  return (Number(user) + Number(system)) / 100
}
const folder = () => join(root, "unruly", readdirSync(join(root, "unruly"))[0]!)
const status = () => JSON.parse(readFileSync(join(folder(), "status.json"), "utf8"))

describe("a program's process", () => {
  it("says in one sentence what a program's late throw was, and has failed", async () => {
    const { code, err } = await unruly({ settings: ["way=throw"] })
    assert.strictEqual(code, 1, err)
    assert.match(err, /^error {2}too late \(thrown where nothing awaits it\)$/m)
    assert.notMatch(err, /\n {4,}at /)
    assert.deepInclude(status(), { state: "failed", exit: 1, error: "too late (thrown where nothing awaits it)" })
  })

  it("says what a late rejection holds that is no Error", async () => {
    const { err } = await unruly({ settings: ["way=object"] })
    assert.include(err, "no reason")
    assert.notInclude(err, "[object Object]")
  })

  it("is ended by a second signal at once, whatever it does", async () => {
    let sent = 0
    const send = (child: ReturnType<typeof spawn>) => void (child.kill("SIGINT"), sent++)
    const { signal } = await unruly({ settings: ["way=deaf"] }, (err, child) => {
      if (sent > 0 || !err.includes("deaf")) return
      send(child)
      setTimeout(() => send(child), 700)
    })
    assert.deepStrictEqual([signal, sent], ["SIGINT", 2])
  })

  it.skipIf(!long)("is ended by a second signal in the middle of a compiled step", async () => {
    let begun: number | undefined
    const { signal } = await unruly({ settings: ["width=2500"], engine: "compiled" }, (err, child) => {
      if (begun !== undefined || !/^run /m.test(err)) return
      begun = seconds(child.pid!)
      let terminated = false
      const timer = setInterval(() => {
        if (child.exitCode !== null || child.signalCode !== null) return clearInterval(timer)
        // Compiling takes some two seconds of processor time, the step minutes.
        if (seconds(child.pid!) - begun! < 8) return
        child.kill(terminated ? "SIGINT" : "SIGTERM")
        terminated = true
      }, 1000)
    })
    assert.strictEqual(signal, "SIGINT")
  })

  it("takes a closed terminal's HUP for TERM", async () => {
    let sent = false
    const { code, err } = await unruly({ settings: ["ticks=100000"] }, (err, child) => {
      if (!sent && /tick=/.test(err)) sent = child.kill("SIGHUP")
    })
    assert.strictEqual(code, 75, err)
    assert.strictEqual(status().state, "interrupted")
    assert.isNotEmpty(readdirSync(join(folder(), "checkpoints")))
  })

  it("goes on where nobody reads what it says", async () => {
    const { code } = await unruly({ settings: [] }, (_, child) => {
      child.stdout!.destroy()
      child.stderr!.destroy()
    })
    assert.strictEqual(code, 0)
    assert.strictEqual(status().state, "done")
  })

  it.skipIf(!existsSync("/dev/full"))(
    "goes on where what it says finds no room, and fails if that is its result",
    async () => {
      const full = openSync("/dev/full", "w")
      try {
        const hushed = await unruly({ settings: [], stderr: full })
        assert.deepStrictEqual([hushed.code, hushed.out], [0, "tick 40\n"])
        rmSync(folder(), { recursive: true })
        const { code, err } = await unruly({ settings: [], stdout: full })
        assert.strictEqual(code, 1, err)
        assert.include(err, "the result could not be written to standard output")
        assert.strictEqual(status().state, "done")
      } finally {
        closeSync(full)
      }
    }
  )

  it.each(["delete", "move"])("fails where somebody's %s takes the run's folder away", async (way) => {
    const { code, err } = await unruly({ settings: [`way=${way}`] })
    assert.strictEqual(code, 4, err)
    assert.match(err, /^error {2}.*(no such file|was moved or deleted)/m)
    // Nothing was made anew where the folder was.
    for (const name of readdirSync(join(root, "unruly"))) assert.match(name, /-moved$/)
  })
})
