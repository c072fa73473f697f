/** Checks of what a run needs beside an engine: Node, the machine, folders to write into. */
import { accessSync, constants, existsSync, statSync } from "node:fs"
import { homedir } from "node:os"
import * as os from "node:os"
import { dirname, join, resolve } from "node:path"
import { type Check, fault, ok } from "./Check.ts"

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`

/** Whether a folder can be written into, or made where it is not there yet. */
export const folder = (name: string, path: string, variable: string): Check => {
  let above = resolve(path)
  while (!existsSync(above) && dirname(above) !== above) above = dirname(above)
  const remedy = `name another folder in ${variable}, or make this one writable`
  if (!statSync(above).isDirectory()) return fault(name, `${above} is no folder`, remedy)
  try {
    accessSync(above, constants.W_OK | constants.X_OK)
  } catch {
    return fault(name, `${above} cannot be written into`, remedy)
  }
  return ok(name, above === resolve(path) ? above : `${resolve(path)}, which is made when it is needed`)
}

/** Where what is worked out once is kept: $TAPWEIGHT_CACHE, or $XDG_CACHE_HOME/tapweight, or ~/.cache/tapweight. */
const cache = (): string =>
  process.env["TAPWEIGHT_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tapweight")

/** What is here, whatever computes. */
export const checks = (version: string, runs: string): ReadonlyArray<Check> => [
  ok("TapWeight", version),
  ok("Node", `${process.versions.node}, ${process.platform} on ${process.arch}`),
  ok(
    "machine",
    `${os.availableParallelism()} cores (${os.cpus()[0]?.model.trim() ?? "unknown"}), memory ${gibibytes(os.totalmem())}, ${gibibytes(os.freemem())} free`
  ),
  folder("run folders", runs, "TAPWEIGHT_RUNS"),
  folder("cache", cache(), "TAPWEIGHT_CACHE")
]
