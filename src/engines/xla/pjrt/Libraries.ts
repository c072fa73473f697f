/** Libraries that a plugin from Python's packages links against, and that the loader does not find by itself. */
import { existsSync, readdirSync } from "node:fs"
import { dirname, join } from "node:path"
import type { Koffi } from "./Api.ts"

const folders = (folder: string): ReadonlyArray<string> => (existsSync(folder) ? readdirSync(folder) : [])

/**
 * NVIDIA's libraries beside a plugin of JAX: those of the packages `nvidia-*` in the folder of Python packages that the plugin is
 * in (`nvidia/cu13/lib`, `nvidia/cudnn/lib`, …). None for another plugin.
 */
export const beside = (plugin: string): ReadonlyArray<string> => {
  if (!/[\\/]jax_plugins[\\/]xla_cuda\d*[\\/][^\\/]+$/.test(plugin)) return []
  const nvidia = join(dirname(dirname(dirname(plugin))), "nvidia")
  return folders(nvidia).flatMap((name) => {
    const lib = join(nvidia, name, "lib")
    return folders(lib)
      .filter((file) => /^lib.*\.so(\.\d+)*$/.test(file))
      .sort()
      .map((file) => join(lib, file))
  })
}

/**
 * Loads libraries for whoever links against them by name, as JAX does before it loads its plugin. Those that need others of them
 * come after these, whatever the order given. What does not load is left out: a plugin that needs it says so itself.
 */
export const load = (koffi: Koffi, files: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (files.length === 0) return []
  const [now, everywhere, noDelete] = [2, 0x100, 0x1000]
  const open = koffi.load(null).func("dlopen", "void *", ["const char *", "int"])
  let left = files
  for (;;) {
    const failed = left.filter((file) => open(file, now | everywhere | noDelete) === null)
    if (failed.length === 0 || failed.length === left.length) return failed
    left = failed
  }
}
