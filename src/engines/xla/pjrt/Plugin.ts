/** Where a PJRT plugin is, and the library that calls it. */
import { existsSync, readdirSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import { EngineError } from "../../Engine.ts"
import type { Koffi } from "./Api.ts"

const refuse = (reason: string) => new EngineError({ kind: "Refused", engine: "xla", tick: null, reason })

/** Files that hold a plugin, from a folder of Python packages on; the first that exists is taken. */
const known = [
  ["jax_plugins/xla_cuda13/xla_cuda_plugin.so"],
  ["jax_plugins/xla_cuda12/xla_cuda_plugin.so"],
  ["jax_plugins/xla_rocm7/xla_rocm_plugin.so"],
  ["libtpu/libtpu.so"],
  ["lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so"]
] as const

const install =
  "it needs a PJRT plugin, e.g. of the CPU: pip install lammps-jax-pjrt-cpu (no Python runs), then name its .so file in " +
  "TAPWEIGHT_PJRT_PLUGIN; docs/engines.md lists those of other devices"

/** Folders of Python packages at hand: of an active environment, and of the interpreters on the path. */
const sitePackages = (): ReadonlyArray<string> => {
  const roots = [
    process.env["VIRTUAL_ENV"],
    process.env["CONDA_PREFIX"],
    ...(process.env["PATH"] ?? "")
      .split(delimiter)
      .filter((folder) => existsSync(join(folder, "python3")))
      .map(dirname)
  ]
  return [...new Set(roots.filter((root) => root !== undefined && root !== ""))].flatMap((root) => {
    const lib = join(root!, "lib")
    if (!existsSync(lib)) return []
    const versions = readdirSync(lib).filter((name) => /^python3\.\d+$/.test(name))
    return versions.flatMap((name) => ["site-packages", "dist-packages"].map((last) => join(lib, name, last)))
  })
}

/** The plugin to use: the one that `TAPWEIGHT_PJRT_PLUGIN` names, else one in the Python environment at hand. */
export const find: Effect.Effect<string, EngineError> = Effect.suspend(() => {
  const named = process.env["TAPWEIGHT_PJRT_PLUGIN"]
  if (named !== undefined && named !== "") {
    return existsSync(named)
      ? Effect.succeed(named)
      : Effect.fail(refuse(`TAPWEIGHT_PJRT_PLUGIN names ${named}, which is no file`))
  }
  const files = sitePackages().flatMap((folder) => known.map(([file]) => join(folder, file)))
  const file = files.find((candidate) => existsSync(candidate))
  return file === undefined ? Effect.fail(refuse(install)) : Effect.succeed(file)
})

/** The npm package `koffi`, which calls C functions. */
export const foreign: Effect.Effect<Koffi, EngineError> = Effect.tryPromise({
  try: async () => ((await import("koffi")) as unknown as { readonly default: Koffi }).default,
  catch: () => refuse("it needs the npm package koffi: npm install koffi")
})
