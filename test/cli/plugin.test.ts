// `--engine xla` with a stub of a plugin, which counts and gives zeros: what a run keeps of it, and what resumes a run.
import { spawnSync } from "node:child_process"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "vitest"
import { long } from "../support/long.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const example = join(root, "examples/03-tapweight.ts")
const scratch = realpathSync(mkdtempSync(join(tmpdir(), "tapweight-xla-")))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
const home = join(scratch, "home")
mkdirSync(home)

const build = (name: string, flag: string): boolean =>
  spawnSync("cc", ["-shared", "-fPIC", flag, "-o", join(scratch, name), join(root, "test/engines/xla/stub.c")])
    .status === 0
const compiler = build("plugin.so", "-O1") && build("other.so", "-O0")
if (!compiler) process.stdout.write("skipped: no C compiler is here to build plugins\n")

// A folder without Python, so that nothing is found there.
const tapweight = (env: { readonly [name: string]: string }, ...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [join(root, "src/cli/main.ts"), ...args], {
    cwd: home,
    encoding: "utf8",
    env: { PATH: home, HOME: home, NODE_OPTIONS: process.env["NODE_OPTIONS"] ?? "", ...env }
  })
  return { code: status, out: stdout, err: stderr }
}

describe("--engine xla", () => {
  it("without a plugin says in one sentence what to install, and leaves nothing", () => {
    const { code, err } = tapweight({}, "run", example, "--engine", "xla")
    assert.strictEqual(code, 2, err)
    assert.match(
      err,
      /^error {2}engine 'xla': there is no PJRT plugin here: 'pip install lammps-jax-pjrt-cpu'[^\n]*\n$/
    )
    assert.isFalse(existsSync(join(home, "runs")))
  })

  it("refuses a file that is no plugin, and a plugin for an engine that takes none", () => {
    writeFileSync(join(home, "none.so"), "text")
    const none = tapweight({}, "run", example, "--engine", "xla", "--plugin", "none.so")
    assert.strictEqual(none.code, 2, none.err)
    assert.match(none.err, /none\.so, named by --plugin, is no PJRT plugin: it is no shared library\n$/)
    const taken = tapweight({}, "run", example, "--plugin", "none.so")
    assert.strictEqual(taken.code, 2, taken.err)
    assert.include(taken.err, "it takes no plugin: leave --plugin out, or choose --engine xla")
  })

  it.runIf(compiler && long)(
    "a run keeps its number of devices, and goes on with it, or with another that is said",
    () => {
      copyFileSync(join(scratch, "plugin.so"), join(home, "several.so"))
      const env = { STUB_DEVICES: "2" }
      const args = ["--engine", "xla", "--plugin", "several.so", "-s", "ticks=2"]
      const four = tapweight(env, "run", example, ...args, "--devices", "4")
      assert.strictEqual(four.code, 2, four.err)
      assert.match(four.err, /4 devices are asked for, and there are 2 here: ask for at most 2\n$/)
      const run = tapweight(env, "run", example, ...args, "--devices", "2", "--shard-optimizer", "--format", "json")
      assert.strictEqual(run.code, 0, run.err)
      assert.match(run.err, /engine xla, 1 thread, 2 devices\n/)
      const folder = join(home, (JSON.parse(run.out) as { readonly run: string }).run)
      const { engine } = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"))
      assert.deepInclude(engine, { devices: 2, shardOptimizer: true })
      const resumed = (stub: string, ...more: ReadonlyArray<string>) => {
        rmSync(join(folder, "result.json"), { force: true })
        return tapweight({ STUB_DEVICES: stub }, "resume", folder, "--program", example, ...more)
      }
      assert.match(resumed("2").err, /engine xla, 1 thread, 2 devices\n/)
      assert.match(resumed("1").err, /2 devices are asked for, and there is 1 here: ask for 1\n$/)
      const single = resumed("1", "--devices", "1")
      assert.strictEqual(single.code, 0, single.err)
      assert.match(single.err, /engine xla, 1 thread\n/)
    }
  )

  it.runIf(compiler && long)("a run keeps its plugin, and goes on with that one, or with another that is named", () => {
    const [first, other] = [join(scratch, "plugin.so"), join(scratch, "other.so")]
    copyFileSync(first, join(home, "own.so"))
    const begun = (env: { readonly [name: string]: string }, ...args: ReadonlyArray<string>) => {
      const run = tapweight(env, "run", example, "--engine", "xla", "-s", "ticks=2", "--format", "json", "-q", ...args)
      assert.strictEqual(run.code, 0, run.err)
      const folder = join(home, (JSON.parse(run.out) as { readonly run: string }).run)
      const { engine } = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"))
      rmSync(join(folder, "result.json"))
      return { folder, engine }
    }
    const resumed = (env: { readonly [name: string]: string }, folder: string, ...args: ReadonlyArray<string>) => {
      const done = tapweight(env, "resume", folder, "--program", example, ...args)
      if (done.code === 0) rmSync(join(folder, "result.json"))
      return done
    }

    // Under the present directory, as a program may be.
    const near = begun({}, "--plugin", "own.so")
    assert.deepInclude(near.engine, { provider: "xla", plugin: "own.so" })
    assert.deepInclude(near.engine.runtime, { platform: "stub", version: "stub", pjrt: "0.115" })
    assert.strictEqual(resumed({}, near.folder).code, 0)
    // The file is another build now: an error, unless it is named.
    copyFileSync(other, join(home, "own.so"))
    const changed = resumed({}, near.folder)
    assert.strictEqual(changed.code, 2, changed.err)
    assert.match(changed.err, /the plugin is not what run \S+ began with \(build [0-9a-f]+, now [0-9a-f]+\)/)
    assert.match(changed.err, /accept this one, with --plugin FILE\n$/)
    const accepted = resumed({}, near.folder, "--plugin", "own.so")
    assert.strictEqual(accepted.code, 0, accepted.err)
    assert.include(accepted.err, "so that its numbers may be rounded otherwise")

    // From elsewhere: a run folder does not choose what code runs.
    const far = begun({}, "--plugin", first)
    const unnamed = resumed({}, far.folder)
    assert.strictEqual(unnamed.code, 2, unnamed.err)
    assert.include(unnamed.err, `began with the plugin ${first}, but a run folder does not choose what code runs`)
    assert.strictEqual(resumed({ TAPWEIGHT_PJRT_PLUGIN: first }, far.folder).code, 0)
    assert.strictEqual(resumed({}, far.folder, "--plugin", first).code, 0)

    // What only lay at hand is not kept, and is held against as well.
    const at = begun({ TAPWEIGHT_PJRT_PLUGIN: first })
    assert.notProperty(at.engine, "plugin")
    assert.strictEqual(resumed({ TAPWEIGHT_PJRT_PLUGIN: first }, at.folder).code, 0)
    const replaced = resumed({ TAPWEIGHT_PJRT_PLUGIN: other }, at.folder)
    assert.strictEqual(replaced.code, 2, replaced.err)
    assert.match(replaced.err, /the plugin is not what run \S+ began with/)
    // Another engine computes with something else anyway.
    const elsewhere = resumed({}, at.folder, "--engine", "cpu")
    assert.strictEqual(elsewhere.code, 0, elsewhere.err)
  })
})
