import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Plugin from "../../../src/engines/xla/pjrt/Plugin.ts"
import * as PluginFile from "../../../src/engines/xla/pjrt/PluginFile.ts"
import * as XlaEngine from "../../../src/engines/xla/XlaEngine.ts"

const folder = mkdtempSync(join(tmpdir(), "tapweight-plugin-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const at = (name: string) => join(folder, name)
const source = fileURLToPath(new URL("./stub.c", import.meta.url))
const built = (name: string, from: string): boolean =>
  spawnSync("cc", ["-shared", "-fPIC", "-O1", "-o", at(name), from]).status === 0

/** A library in C, as a file beside the others. */
const library = (name: string, text: string): boolean => {
  writeFileSync(at(`${name}.c`), text)
  return built(`${name}.so`, at(`${name}.c`))
}
const compiler = built("stub.so", source)
if (!compiler) process.stdout.write("skipped: no C compiler is here to build plugins\n")

/** With an environment of its own. */
const within = <A, E, R>(env: { readonly [name: string]: string }, effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const before = { ...process.env }
      for (const name of ["TAPWEIGHT_PJRT_PLUGIN", "VIRTUAL_ENV", "CONDA_PREFIX", "PATH", "HOME"])
        delete process.env[name]
      Object.assign(process.env, { HOME: folder, ...env })
      return before
    }),
    () => effect,
    (before) => Effect.sync(() => void (process.env = before))
  )

describe("a plugin's file", () => {
  it("is told from what is none before any of its code runs", () => {
    writeFileSync(at("text.so"), "no library")
    writeFileSync(at("empty.so"), "")
    writeFileSync(at("short.so"), Buffer.from("7f454c46020101", "hex"))
    mkdirSync(at("folder.so"))
    writeFileSync(at("with.dylib"), Buffer.concat([Buffer.from("cffaedfe", "hex"), Buffer.from("_GetPjrtApi\0")]))
    writeFileSync(at("without.dll"), Buffer.concat([Buffer.from("4d5a", "hex"), Buffer.alloc(99)]))
    const table: ReadonlyArray<readonly [string, string | undefined]> = [
      [at("nothing.so"), "there is no such file"],
      [at("folder.so"), "it is no regular file"],
      [at("text.so"), "it is no shared library"],
      [at("empty.so"), "it is no shared library"],
      [at("short.so"), "it is cut short: copy or fetch it again"],
      [at("with.dylib"), undefined],
      [at("without.dll"), "it is a shared library without GetPjrtApi"],
      [process.execPath, "it is a shared library without GetPjrtApi"]
    ]
    for (const [path, reason] of table) assert.strictEqual(PluginFile.refusal(path), reason, path)
  })

  it.runIf(compiler)("offers the function itself, and all of its bytes are there", () => {
    // One that only calls the function, and one whose code would end the process as it is loaded.
    assert.isTrue(library("caller", "void *GetPjrtApi(void); void *call(void) { return GetPjrtApi(); }"))
    assert.isTrue(
      library("abort", "#include <stdlib.h>\n__attribute__((constructor)) static void f(void) { abort(); }")
    )
    assert.strictEqual(PluginFile.refusal(at("stub.so")), undefined)
    assert.strictEqual(PluginFile.refusal(at("caller.so")), "it is a shared library without GetPjrtApi")
    assert.strictEqual(PluginFile.refusal(at("abort.so")), "it is a shared library without GetPjrtApi")
    const whole = readFileSync(at("stub.so"))
    for (const part of [0.99, 0.5, 0.1]) {
      writeFileSync(at("cut.so"), whole)
      truncateSync(at("cut.so"), Math.floor(part * whole.length))
      assert.strictEqual(PluginFile.refusal(at("cut.so")), "it is cut short: copy or fetch it again", `${part}`)
    }
    assert.notStrictEqual(PluginFile.digest(at("stub.so")), PluginFile.digest(at("caller.so")))
  })

  it.live.runIf(compiler)("that gives no table of PJRT's is an error of the engine", () =>
    Effect.gen(function* () {
      const table = (size: number, minor: number) =>
        `#include <stdint.h>\nstatic struct { uint64_t size, extension, version[2]; int32_t major, minor; void *f[128]; } api;
         void *GetPjrtApi(void) { api.size = ${size}; api.minor = ${minor}; return &api; }`
      const cases: ReadonlyArray<readonly [string, string, RegExp]> = [
        ["null", "void *GetPjrtApi(void) { return 0; }", /gives no table of functions/],
        ["huge", table(2 ** 40, 115), /a table of 1099511627776 bytes, which is none of PJRT's/],
        ["old", table(40 + 8 * 128, 3), /speaks PJRT 0\.3, and 0\.54 or later is needed: take a newer plugin/],
        ["brief", table(40 + 8 * 4, 115), /has no [A-Z][A-Za-z]+_[A-Za-z]+: take a newer plugin/],
        ["hollow", table(40 + 8 * 128, 115), /has no Error_Destroy: take a newer plugin/]
      ]
      for (const [name, text, sentence] of cases) {
        assert.isTrue(library(name, text))
        const error = yield* Effect.flip(Effect.provide(Effect.void, XlaEngine.layer({ plugin: at(`${name}.so`) })))
        assert.strictEqual(error.kind, "Refused", name)
        assert.match(error.message, sentence, name)
      }
    })
  )
})

describe.runIf(compiler)("the plugin that is taken", () => {
  it.live(
    "is the one given, else the variable's, else the Python environment's; without one a sentence says what to install",
    () =>
      Effect.gen(function* () {
        const environment = at("environment")
        const packages = join(environment, "lib/python3.12/site-packages")
        const [cpu, own] = [
          join(packages, "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so"),
          join(packages, "jax_plugins/one/pjrt_one.so")
        ]
        const stub = readFileSync(at("stub.so"))
        const put = (path: string) => {
          mkdirSync(join(path, ".."), { recursive: true })
          writeFileSync(path, stub)
        }
        const named = { VIRTUAL_ENV: environment, TAPWEIGHT_PJRT_PLUGIN: at("stub.so") }
        const error = yield* Effect.flip(within({ VIRTUAL_ENV: environment }, Plugin.find(undefined)))
        assert.match(
          error.message,
          /^engine 'xla': there is no PJRT plugin here: 'pip install lammps-jax-pjrt-cpu' brings /
        )
        assert.notInclude(error.message, ". ")
        put(own)
        assert.deepStrictEqual(yield* within({ VIRTUAL_ENV: environment }, Plugin.find(undefined)), {
          path: own,
          from: "the Python environment"
        })
        put(cpu)
        assert.strictEqual((yield* within({ VIRTUAL_ENV: environment }, Plugin.find(undefined))).path, cpu)
        // An interpreter on the path has its packages beside it.
        mkdirSync(join(environment, "bin"))
        writeFileSync(join(environment, "bin/python3"), "")
        assert.strictEqual((yield* within({ PATH: join(environment, "bin") }, Plugin.find(undefined))).path, cpu)
        assert.deepStrictEqual(yield* within(named, Plugin.find(undefined)), {
          path: at("stub.so"),
          from: "TAPWEIGHT_PJRT_PLUGIN"
        })
        assert.deepStrictEqual(yield* within(named, Plugin.find(cpu)), { path: cpu, from: "--plugin" })
        const refused = yield* Effect.flip(within({ TAPWEIGHT_PJRT_PLUGIN: at("nothing.so") }, Plugin.find(undefined)))
        assert.match(
          refused.message,
          /nothing\.so, named by TAPWEIGHT_PJRT_PLUGIN, is no PJRT plugin: there is no such file$/
        )
      })
  )
})
