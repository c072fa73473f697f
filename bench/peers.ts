// This engine, compiled and eager on wasm, beside PyTorch with Betty and JAX under jit: the same workloads from the same numbers,
// each round in a process of its own, medians of rounds that take turns.
//   npm run bench:peers [-- <workload> ... --rounds=3 --threads=2 --spinning]
// The Python side is installed by `sh bench/peers/setup.sh`; without it only this engine is measured.
import { execFile, execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs, promisify } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Safetensors from "../src/files/Safetensors.ts"
import type { Workload } from "./peers/Workload.ts"
import { workloads } from "./peers/workloads.ts"

/** What one process measured: milliseconds, MiB, and the losses of each level at the first steps. */
interface Round {
  readonly step: number
  readonly start: number
  readonly peak: number
  readonly losses: ReadonlyArray<ReadonlyArray<number>>
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    spinning: { type: "boolean", default: false }
  }
})
/** Workloads that are stated in JAX too. */
const bilevel = new Set(["logistic", "reweighting"])

const here = import.meta.dirname
const python = join(here, ".venv", "bin", "python")
const installed = existsSync(python)

const run = (command: string, args: ReadonlyArray<string>): Effect.Effect<Round, unknown> =>
  Effect.map(
    Effect.tryPromise(() => promisify(execFile)(command, [...args])),
    ({ stdout }) => JSON.parse(stdout.trim().split("\n").at(-1)!) as Round
  )

const median = (rounds: ReadonlyArray<Round>, of: (round: Round) => number): number =>
  rounds.map(of).toSorted((a, b) => a - b)[rounds.length >> 1]!

/** The largest relative difference between the losses of the two sides. */
const apart = (a: Round, b: Round): number =>
  Math.max(...a.losses.flat().map((x, i) => Math.abs(x - b.losses.flat()[i]!) / Math.max(Math.abs(x), 1e-6)))

const columns = [
  ["workload", 14],
  ["ours ms", 8],
  ["betty ms", 8],
  ["ratio", 5],
  ["target", 6],
  ["reached", 7],
  ["jax ms", 7],
  ["wasm ms", 8],
  ["ours start", 10],
  ["betty start", 11],
  ["ours MiB", 8],
  ["betty MiB", 9],
  ["losses apart", 12]
] as const

const line = (cells: ReadonlyArray<string>) =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(columns[0][1]) : cell.padStart(columns[i]![1]))).join("  ")

/** Measures one workload and prints its row; the result is what is said of it below the table. */
const measure = (
  name: string,
  { compiledOnly, peer, settling, steps, target, tensors, title }: Workload,
  folder: string
) =>
  Effect.gen(function* () {
    const file = join(folder, `${peer}.safetensors`)
    writeFileSync(file, Safetensors.encode(tensors))
    const given = [values.threads, `${settling}`, `${steps}`, file]
    const beside = (script: string) => run(python, [join(here, "peers", script), peer, ...given])
    const own = (engine: string) =>
      run(process.execPath, [join(here, "peers", "ours.ts"), name, engine, values.threads])
    const [ours, betty, jax, wasm]: ReadonlyArray<Array<Round>> = [[], [], [], []]
    for (let round = 0; round < Number(values.rounds); round++) {
      ours!.push(yield* own(values.spinning ? "spinning" : "compiled"))
      if (!installed) continue
      betty!.push(yield* beside("betty_side.py"))
      if (bilevel.has(peer)) jax!.push(yield* beside("jax_side.py"))
    }
    // An order of magnitude needs no median.
    if (compiledOnly !== true) wasm!.push(yield* own("wasm"))
    const times = (rounds: ReadonlyArray<Round>) => rounds.map(({ step }) => step.toFixed(2)).join(" ")
    const middle = (rounds: ReadonlyArray<Round>, of: (round: Round) => number, digits = 0) =>
      rounds.length === 0 ? "-" : median(rounds, of).toFixed(digits)
    const step = (round: Round) => round.step
    const ratio = installed ? median(betty!, step) / median(ours!, step) : undefined
    yield* Console.log(
      line([
        name,
        middle(ours!, step, 2),
        middle(betty!, step, 2),
        ratio?.toFixed(2) ?? "-",
        `≥ ${target}`,
        ratio === undefined ? "-" : ratio >= target ? "yes" : "no",
        middle(jax!, step, 2),
        middle(wasm!, step, 2),
        middle(ours!, (r) => r.start),
        middle(betty!, (r) => r.start),
        middle(ours!, (r) => r.peak),
        middle(betty!, (r) => r.peak),
        installed ? apart(ours![0]!, betty![0]!).toExponential(0) : "-"
      ])
    )
    const rounds = [
      ["ours", ours!],
      ["betty", betty!],
      ["jax", jax!]
    ] as const
    return [
      `${name}: ${title}`,
      `  rounds: ${rounds.flatMap(([side, found]) => (found.length === 0 ? [] : [`${side} ${times(found)}`])).join(", ")}`
    ]
  })

const main = Effect.acquireUseRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tapweight-peers-"))),
  (folder) =>
    Effect.gen(function* () {
      const beside = installed
        ? execFileSync(
            python,
            ["-c", "import jax, torch; print('PyTorch', torch.__version__, 'JAX', jax.__version__)"],
            { encoding: "utf8" }
          ).trim()
        : "PyTorch, Betty and JAX are not installed, so only our engines are measured: sh bench/peers/setup.sh"
      const waiting = values.spinning ? "spinning" : "waiting (its default)"
      yield* Console.log(
        `${cpus().length} × ${cpus()[0]?.model}; ${values.threads} threads on each side, ours ${waiting}; ${beside}`
      )
      yield* Console.log(
        "Milliseconds a step, medians of rounds that take turns; start in ms; peak memory of a process.\n"
      )
      yield* Console.log(line(columns.map(([heading]) => heading)))
      const said: Array<string> = []
      for (const name of positionals.length > 0 ? positionals : Object.keys(workloads)) {
        const make = workloads[name]
        if (make === undefined) {
          return yield* Effect.fail(`no workload '${name}': there are ${Object.keys(workloads).join(", ")}`)
        }
        said.push(...(yield* measure(name, make(), folder)))
      }
      yield* Console.log(`\n${said.join("\n")}`)
    }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

NodeRuntime.runMain(main)
