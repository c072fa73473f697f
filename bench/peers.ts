// Our engines beside PyTorch with Betty, the same under torch.compile, and JAX under jit: the same workloads from the same
// numbers, each round in a process of its own, medians of rounds that take turns. Tables in Markdown, and JSON of it.
//   npm run bench:peers [-- <workload> ... --rounds=3 --threads=2 --sides=onnx,xla,jax --clock=wall --json=peers.json]
// The Python side is installed by `sh bench/peers/setup.sh`; XLA's plugin is found as for `--engine xla`. What cannot run is a dash
// with its reason below the tables. `--clock=cpu` compares processors' work, for a machine that has other things to do.
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Safetensors from "../src/files/tensors/Safetensors.ts"
import * as Report from "./peers/Report.ts"
import * as Side from "./peers/Side.ts"
import { workloads } from "./peers/workloads.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    sides: { type: "string" },
    clock: { type: "string", default: "wall" },
    json: { type: "string" }
  }
})

const python = join(import.meta.dirname, ".venv", "bin", "python")
const installed = existsSync(python)

/** What a command prints, or nothing where it is not to be had. */
const said = (command: string, args: ReadonlyArray<string>): string | undefined => {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  } catch {
    return undefined
  }
}

const number = (name: "rounds" | "threads"): Effect.Effect<number, string> =>
  /^[1-9]\d*$/.test(values[name])
    ? Effect.succeed(Number(values[name]))
    : Effect.fail(`--${name} is '${values[name]}': give a number from 1`)

/** What was asked for, or why it cannot be. */
const asked = Effect.gen(function* () {
  const threads = yield* number("threads")
  const rounds = yield* number("rounds")
  const { clock } = values
  if (clock !== "wall" && clock !== "cpu") return yield* Effect.fail(`--clock is '${clock}': give wall or cpu`)
  const names = positionals.length > 0 ? positionals : Object.keys(workloads).filter((name) => name !== "roberta")
  const none = names.find((name) => !Object.hasOwn(workloads, name))
  if (none !== undefined) {
    return yield* Effect.fail(`no workload '${none}': there are ${Object.keys(workloads).join(", ")}`)
  }
  const wanted = values.sides?.split(",")
  const known = Side.sides.map(({ name }) => name)
  const absent = wanted?.find((name) => !known.includes(name))
  if (absent !== undefined) return yield* Effect.fail(`no side '${absent}': there are ${known.join(", ")}`)
  const sides = Side.sides.filter(({ name, optional }) => wanted?.includes(name) ?? optional !== true)
  return { clock, names, rounds, sides, threads } as const
})

/** Measures one workload. */
const measure = Effect.fnUntraced(function* (
  name: string,
  folder: string,
  { rounds, sides, threads }: { rounds: number; sides: ReadonlyArray<Side.Side>; threads: number }
) {
  const workload = workloads[name]!()
  const { exact, peer, settling, steps, targets, tensors, title, tolerance } = workload
  const file = join(folder, `${peer}.safetensors`)
  writeFileSync(file, Safetensors.encode(tensors))
  const caches = join(folder, `caches-${name}`)
  const pins = threads < cpus().length && said("taskset", ["--version"]) !== undefined
  const task = { workload: name, peer, exact: exact === true, settling, steps, file, threads, pins, python, caches }
  const measured = new Map<string, { rounds: Array<Side.Round>; failure?: string }>(
    sides.map(({ name }) => [name, { rounds: [] }])
  )
  for (let i = 0; i < rounds; i++) {
    for (const side of sides) {
      const found = measured.get(side.name)!
      if (found.failure !== undefined) continue
      const round =
        !side.ours && !installed
          ? Effect.fail("not installed: sh bench/peers/setup.sh")
          : Side.round(side, { ...task, caches: join(caches, side.name) })
      const result = yield* Effect.result(round)
      if (result._tag === "Failure") found.failure = result.failure
      else found.rounds.push(result.success)
      const step = result._tag === "Failure" ? result.failure : `${result.success.step.wall.toFixed(2)} ms a step`
      yield* Console.error(`${name}, round ${i + 1} of ${rounds}, ${side.name}: ${step}`)
    }
  }
  return { name, title, targets, tolerance, sides: Object.fromEntries(measured) } satisfies Report.Row as Report.Row
})

const main = Effect.acquireUseRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tapweight-peers-"))),
  (folder) =>
    Effect.gen(function* () {
      const given = yield* asked
      const versions = said(python, [
        "-c",
        "import jax, torch; print('PyTorch', torch.__version__ + ', JAX', jax.__version__)"
      ])
      const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node}, ${versions ?? "no Python side"}; ${given.threads} threads a side, ${given.rounds} rounds`
      const rows: Array<Report.Row> = []
      for (const name of given.names) rows.push(yield* measure(name, folder, given))
      yield* Console.log(`${machine}.\n\n${Report.text(rows, given.sides, given.clock)}`)
      if (values.json === undefined) return
      const summaries = rows.map((row) => ({ ...row, ...Report.summary(row, given.sides, given.clock) }))
      writeFileSync(values.json, `${JSON.stringify({ machine, clock: given.clock, workloads: summaries }, null, 2)}\n`)
    }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

NodeRuntime.runMain(main)
