import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "vitest"
import type { Check } from "../../src/cli/doctor/Check.ts"
import { needs } from "../../src/cli/doctor/Engines.ts"
import * as Host from "../../src/cli/doctor/Host.ts"
import * as Options from "../../src/cli/Options.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const scratch = realpathSync(mkdtempSync(join(tmpdir(), "tapweight-doctor-")))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
const at = (name: string) => join(scratch, name)

/** A PJRT plugin in C. */
const plugin = (name: string, source: string): boolean =>
  spawnSync("cc", ["-shared", "-fPIC", "-O1", "-o", at(name), source]).status === 0
writeFileSync(at("abort.c"), "#include <stdlib.h>\nvoid *GetPjrtApi(void) { abort(); }")
const compiler = plugin("abort.so", at("abort.c")) && plugin("stub.so", join(root, "test/engines/xla/stub.c"))
if (!compiler) process.stdout.write("skipped: no C compiler is here to build plugins\n")

// In a folder without Python, so that no plugin is found.
const doctor = (...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [join(root, "src/cli/main.ts"), "doctor", ...args], {
    cwd: scratch,
    encoding: "utf8",
    env: { PATH: scratch, HOME: scratch, NODE_OPTIONS: process.env["NODE_OPTIONS"] ?? "" }
  })
  return { code: status, out: stdout, err: stderr }
}
const checked = (...args: ReadonlyArray<string>) => {
  const { code, err, out } = doctor(...args, "--format", "json")
  const { checks } = JSON.parse(out) as { readonly checks: ReadonlyArray<Check> }
  return { code, err, of: (name: string) => checks.find((check) => check.name === name), checks }
}

describe("doctor", () => {
  it("starts every engine, in a process that its library may end, and says what to do about the rest", () => {
    writeFileSync(at("file"), "")
    const broken = compiler ? ["--plugin", "abort.so"] : []
    const { checks, code, err, of } = checked("--runs", join("file", "runs"), ...broken)
    assert.strictEqual(code, 3, err)
    for (const name of Options.engines) assert.isDefined(of(name), name)
    for (const name of ["compiled", "cpu", "wasm"]) {
      assert.strictEqual(of(name)!.status, "ok", name)
      assert.match(of(name)!.says, /^starts and computes, as (compiled|eager)\//)
    }
    assert.match(of("ONNX Runtime")!.says, /^1\.\d+\.\d+ for cpu.*, starts and computes$/)
    assert.deepStrictEqual([of("Node")!.status, of("cache")!.status], ["ok", "ok"])
    assert.include(of("Node")!.says, process.versions.node)
    assert.deepInclude(of("run folders"), { status: "fault", says: `${at("file")} is no folder` })
    // Whatever is not well has a remedy, and only that.
    for (const { name, remedy, status } of checks) assert.strictEqual(remedy === null, status === "ok", name)
    if (!compiler) return
    assert.deepInclude(of("xla"), { status: "fault" })
    assert.match(of("xla")!.says, /^it ended its process by SIGABRT/)
    assert.match(err, /^error {2}run folders, xla do not work here\n$/)
  })

  it("says of XLA what plugin is there, and of one engine that was asked for whether it works", () => {
    const none = checked("--engine", "xla")
    assert.strictEqual(none.code, 3, none.err)
    assert.strictEqual(none.of("PJRT plugin")!.status, "absent")
    assert.match(none.of("PJRT plugin")!.says, /^there is no PJRT plugin here: 'pip install lammps-jax-pjrt-cpu'/)
    const missing = checked("--engine", "xla", "--plugin", "missing.so")
    assert.deepInclude(missing.of("PJRT plugin"), { status: "fault" })
    assert.match(missing.of("PJRT plugin")!.says, /no PJRT plugin: there is no such file$/)
    if (compiler) {
      // Its devices are told, and that its numbers are wrong: they are all zero.
      const stub = checked("--engine", "xla", "--plugin", "stub.so")
      assert.strictEqual(stub.code, 3, stub.err)
      assert.match(
        stub.of("PJRT plugin")!.says,
        /stub\.so \(by --plugin\): PJRT 0\.115, stub stub, devices 1 × unknown; executables cannot be kept$/
      )
      assert.match(stub.of("xla")!.says, /^it computes 0, 0, 0, 0 in place of 5\.5/)
    }
    const cpu = doctor("--engine", "cpu")
    assert.strictEqual(cpu.code, 0, cpu.err)
    assert.match(cpu.out, /^ok {2}cpu {2}starts and computes, as eager\/cpu\n$/)
  })

  it("tells folders that can be written into from those that cannot", () => {
    assert.deepInclude(Host.folder("runs", scratch, "V"), { status: "ok", says: scratch })
    assert.match(Host.folder("runs", at("new/folder"), "V").says, /new\/folder, which is made when it is needed$/)
    assert.deepInclude(Host.folder("runs", at("abort.c"), "V"), { status: "fault" })
    // Nobody may write there, the super-user included.
    if (process.platform === "linux") assert.deepInclude(Host.folder("runs", "/proc/1/runs", "V"), { status: "fault" })
  })

  it("names what docs/engines.md names", () => {
    const page = readFileSync(join(root, "docs/engines.md"), "utf8")
    const rows = Array.from(page.matchAll(/^\| `([a-z-]+)`[^|]*\| `/gm), ([, name]) => name!)
    assert.sameMembers(rows, [...Options.engines])
    for (const [name, { install }] of Object.entries(needs)) {
      const command = /npm install [^,:]*@[\d.]+|node node_modules[^\s,]+/.exec(install)?.[0]
      if (command !== undefined) assert.include(page, command, name)
    }
  })
})
