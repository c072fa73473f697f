import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import koffi from "koffi"
import { afterAll, assert, describe, it } from "vitest"
import * as Api from "../../../../src/engines/xla/pjrt/Api.ts"
import * as Libraries from "../../../../src/engines/xla/pjrt/Libraries.ts"

const site = mkdtempSync(join(tmpdir(), "tapweight-nvidia-"))
afterAll(() => rmSync(site, { recursive: true, force: true }))
const plugin = join(site, "jax_plugins/xla_cuda13/xla_cuda_plugin.so")
const folder = (path: string): string => {
  mkdirSync(join(site, path), { recursive: true })
  return join(site, path)
}
folder("jax_plugins/xla_cuda13")
const [runtime, cudnn] = [folder("nvidia/cu13/lib"), folder("nvidia/cudnn/lib")]
const stub = fileURLToPath(new URL("../stub.c", import.meta.url))
const cc = (...args: ReadonlyArray<string>) => spawnSync("cc", ["-shared", "-fPIC", ...args]).status === 0
const source = (name: string, text: string): string => {
  writeFileSync(join(site, name), text)
  return join(site, name)
}
// The plugin needs cuDNN's, which needs the runtime's: none is where the loader looks.
const built =
  cc(
    "-o",
    join(runtime, "libzruntime_tw.so.13"),
    "-Wl,-soname,libzruntime_tw.so.13",
    source("a.c", "int tw_a(void) { return 1; }")
  ) &&
  cc(
    "-o",
    join(cudnn, "libadnn_tw.so.9"),
    "-Wl,-soname,libadnn_tw.so.9",
    source("b.c", "int tw_a(void); int tw_b(void) { return tw_a(); }"),
    join(runtime, "libzruntime_tw.so.13")
  ) &&
  cc(
    "-o",
    plugin,
    stub,
    source("c.c", "int tw_b(void); int tw_c(void) { return tw_b(); }"),
    join(cudnn, "libadnn_tw.so.9"),
    "-Wl,--no-as-needed",
    "-Wl,--unresolved-symbols=ignore-all"
  )

describe.runIf(built && process.platform === "linux")("libraries beside a plugin", () => {
  it("are those of NVIDIA's packages, and none of a plugin that is not JAX's for CUDA", () => {
    writeFileSync(join(runtime, "libtext.txt"), "")
    assert.deepStrictEqual(Libraries.beside(plugin), [
      join(runtime, "libzruntime_tw.so.13"),
      join(cudnn, "libadnn_tw.so.9")
    ])
    assert.deepStrictEqual(Libraries.beside(join(site, "other/plugin.so")), [])
  })

  it("let a plugin load that the loader alone cannot, in whatever order they are given", () => {
    assert.throws(() => Api.load(koffi as never, plugin), /libadnn_tw\.so\.9/)
    const absent = join(site, "absent.so")
    const files = Libraries.beside(plugin).toReversed()
    assert.deepStrictEqual(Libraries.load(koffi as never, [...files, absent]), [absent])
    assert.strictEqual(Api.load(koffi as never, plugin).version[1], 115)
  })
})
