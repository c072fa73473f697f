import { execFile } from "node:child_process"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** What the TypeScript compiler said of generated programs. */
export interface Verdict {
  /** Errors by program name, each with the lines that explain it. */
  readonly errors: (program: string) => ReadonlyArray<string>
  /** Seconds of checking, parsing and start-up left out. */
  readonly checkTime: number
  /** Types instantiated: the same on every machine. */
  readonly instantiations: number
}

/** The head of a program: the language and two tensors' worth of vocabulary. `src` stands for the source folder. */
export const preamble = `
import * as tf from "@tensorflow/tfjs-core"
import * as Dataset from "src/dsl/Dataset.ts"
import * as Level from "src/dsl/Level.ts"
import * as NdArray from "src/dsl/values/NdArray.ts"
import * as Problem from "src/dsl/Problem.ts"
import * as Var from "src/dsl/Var.ts"
import * as Optimizer from "src/levels/Optimizer.ts"
export const optimizer = Optimizer.sgd(0.1)
export const data = Dataset.constant("points", { x: NdArray.float32([2], [1, 2]) })
export const vector = () => NdArray.float32([2], [0, 0])
export const used = [tf, Level, Problem, Var]
`

/** Type-checks programs in a compiler process of their own, under the project's own options. */
export const check = async (programs: { readonly [name: string]: string }): Promise<Verdict> => {
  // Inside node_modules, so that no other compiler run picks the programs up and their imports resolve as ours do.
  const parent = join(root, "node_modules", ".cache", "tapweight-types")
  await mkdir(parent, { recursive: true })
  const folder = await mkdtemp(join(parent, "run-"))
  try {
    const names = Object.keys(programs)
    for (const name of names) {
      const source = programs[name]!.replaceAll('"src/', `"${join(root, "src")}/`)
      await writeFile(join(folder, `${name}.ts`), source)
    }
    const options = { extends: join(root, "tsconfig.json"), include: [], files: names.map((name) => `${name}.ts`) }
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(options))
    const tsc = join(root, "node_modules", ".bin", "tsc")
    const args = ["-p", folder, "--extendedDiagnostics", "--pretty", "false"]
    const { stdout } = await promisify(execFile)(tsc, args, { cwd: folder, maxBuffer: 1 << 26 }).catch(
      (failed: { readonly stdout: string }) => failed
    )
    const figure = (label: string): number => {
      const found = new RegExp(`^${label}:\\s+([\\d.]+)`, "m").exec(stdout)
      if (found === null) throw new Error(`tsc printed no '${label}':\n${stdout}`)
      return Number(found[1])
    }
    // An error is its headline and the indented lines under it.
    const errors = stdout.match(/^\S+\(\d+,\d+\): error .*(\n {2}.*)*/gm) ?? []
    const stray = errors.find((error) => !names.some((name) => error.startsWith(`${name}.ts(`)))
    if (stray !== undefined) throw new Error(`an error outside the programs:\n${stray}`)
    return {
      errors: (program) => errors.filter((error) => error.startsWith(`${program}.ts(`)),
      checkTime: figure("Check time"),
      instantiations: figure("Instantiations")
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
