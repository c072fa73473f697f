/** Where a PJRT plugin is, and the library that calls it. */
import { existsSync, readdirSync } from "node:fs"
import { homedir } from "node:os"
import { basename, delimiter, dirname, join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import { EngineError } from "../../Engine.ts"
import type { Koffi } from "./Api.ts"
import * as PluginFile from "./PluginFile.ts"

const refuse = (reason: string) => new EngineError({ kind: "Refused", engine: "xla", tick: null, reason })

/** Where plugins lie in a folder of Python packages, and the package that brings them: the first that is there is taken. */
export const packages = [
  { device: "CUDA 13", file: "jax_plugins/xla_cuda13/xla_cuda_plugin.so", install: "jax[cuda13]" },
  { device: "CUDA 12", file: "jax_plugins/xla_cuda12/xla_cuda_plugin.so", install: "jax[cuda12]" },
  { device: "ROCm", file: "jax_plugins/xla_rocm7/xla_rocm_plugin.so", install: "jax-rocm7-pjrt" },
  { device: "TPU", file: "libtpu/libtpu.so", install: "libtpu" },
  { device: "CPU", file: "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so", install: "lammps-jax-pjrt-cpu" }
] as const

/** A plugin's file, and what named it. */
export interface Plugin {
  readonly path: string
  readonly from: "--plugin" | "TAPWEIGHT_PJRT_PLUGIN" | "the Python environment"
}

const none =
  "there is no PJRT plugin here: 'pip install lammps-jax-pjrt-cpu' brings XLA's own for the CPU (no Python runs; docs/engines.md " +
  "lists those of other devices), and --plugin FILE or TAPWEIGHT_PJRT_PLUGIN names one that lies elsewhere"

const folders = (folder: string): ReadonlyArray<string> => (existsSync(folder) ? readdirSync(folder) : [])

/** Folders of Python packages at hand: of an active environment, of the interpreters on the path, and the user's own. */
const sitePackages = (): ReadonlyArray<string> => {
  const interpreters = (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => existsSync(join(folder, "python3")))
    // What stands in pyenv's folder starts one of its versions.
    .flatMap((folder) => {
      const versions = join(dirname(folder), "versions")
      return basename(folder) === "shims" ? folders(versions).map((name) => join(versions, name)) : [dirname(folder)]
    })
  const roots = [process.env["VIRTUAL_ENV"], process.env["CONDA_PREFIX"], ...interpreters, join(homedir(), ".local")]
  return [...new Set(roots.filter((root) => root !== undefined && root !== ""))].flatMap((root) => {
    const lib = join(root!, "lib")
    const versions = folders(lib).filter((name) => /^python3\.\d+$/.test(name))
    return versions.flatMap((name) => ["site-packages", "dist-packages"].map((last) => join(lib, name, last)))
  })
}

/** Plugins of JAX in a folder of Python packages that are not among the known ones. */
const others = (folder: string): ReadonlyArray<string> =>
  folders(join(folder, "jax_plugins")).flatMap((name) =>
    folders(join(folder, "jax_plugins", name))
      .filter((file) => /(pjrt|plugin).*\.(so|dylib|dll)$/.test(file))
      .map((file) => join(folder, "jax_plugins", name, file))
  )

/** The first plugin in the Python environment at hand. */
const installed = (): string | undefined => {
  const all = sitePackages()
  const known = all.flatMap((folder) => packages.map(({ file }) => join(folder, file)))
  return known.find((file) => existsSync(file)) ?? all.flatMap(others)[0]
}

/** The plugin to use: the one given, else the one that `TAPWEIGHT_PJRT_PLUGIN` names, else one in the Python environment at hand. */
export const find = (given: string | undefined): Effect.Effect<Plugin, EngineError> =>
  Effect.suspend(() => {
    const named = process.env["TAPWEIGHT_PJRT_PLUGIN"]
    const plugin: Plugin | undefined =
      given !== undefined
        ? { path: given, from: "--plugin" }
        : named !== undefined && named !== ""
          ? { path: named, from: "TAPWEIGHT_PJRT_PLUGIN" }
          : undefined
    const path = plugin?.path ?? installed()
    if (path === undefined) return Effect.fail(refuse(none))
    // Of a name alone the loader would look in folders of its own.
    const found: Plugin = { path: resolve(path), from: plugin?.from ?? "the Python environment" }
    const reason = PluginFile.refusal(path)
    if (reason === undefined) return Effect.succeed(found)
    return Effect.fail(refuse(`${path}, named by ${found.from}, is no PJRT plugin: ${reason}`))
  })

/** The npm package `koffi`, which calls C functions. */
export const foreign: Effect.Effect<Koffi, EngineError> = Effect.tryPromise({
  try: async () => ((await import("koffi")) as unknown as { readonly default: Koffi }).default,
  catch: () => refuse("it needs the npm package koffi: npm install koffi@3.3.4")
})
