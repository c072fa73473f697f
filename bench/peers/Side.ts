/** What is measured beside each other: our engines and their peers, each in processes of its own. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"

/** Milliseconds by the wall, and of processors' work. */
export interface Clocks {
  readonly wall: number
  readonly cpu: number
}

/** What one process measured. */
export interface Round {
  /** One step, in the mean of those after the settling ones. */
  readonly step: Clocks
  /** From the program as it stands to the end of the first step: planning, initial values, tracing, compiling. */
  readonly start: Clocks
  /** Most memory that the process held, in MiB. */
  readonly peak: number
  /** Of each level at the first steps. */
  readonly losses: ReadonlyArray<ReadonlyArray<number>>
}

/** One side of the comparison. */
export interface Side {
  readonly name: string
  /** A way of ours, whose best stands for us. */
  readonly ours: boolean
  /** Left out unless it is asked for. */
  readonly optional?: true
  /** What it runs: one of our engines, or a script with the form it is asked for. */
  readonly runs:
    | { readonly engine: string }
    | { readonly script: string; readonly form?: string; readonly exact?: string }
}

/** The sides by name, in the order of the table's columns. */
export const sides: ReadonlyArray<Side> = [
  { name: "onnx", ours: true, runs: { engine: "onnx" } },
  { name: "xla", ours: true, runs: { engine: "xla" } },
  { name: "webassembly", ours: true, runs: { engine: "webassembly" } },
  { name: "onnx-spinning", ours: true, optional: true, runs: { engine: "spinning" } },
  { name: "eager-wasm", ours: true, optional: true, runs: { engine: "wasm" } },
  { name: "betty", ours: false, runs: { script: "betty_side.py" } },
  { name: "torch.compile", ours: false, runs: { script: "betty_side.py", form: "compiled" } },
  { name: "jax", ours: false, runs: { script: "jax_side.py", form: "difference", exact: "exact" } }
]

/** What a process is started with. */
export interface Task {
  readonly workload: string
  /** What the Python side calls the workload. */
  readonly peer: string
  /** Whether products are exact, not differences. */
  readonly exact: boolean
  readonly settling: number
  readonly steps: number
  /** The file of initial values and batches. */
  readonly file: string
  readonly threads: number
  /** Whether the system keeps a process to some of its processors (`taskset`). */
  readonly pins: boolean
  readonly python: string
  /** Where compilers keep what they compiled: empty before the first round. */
  readonly caches: string
}

const minutes = 10

/** What a process said last before it failed. */
const reasonOf = (cause: unknown): string => {
  const { killed, message, stderr, stdout } = cause as Partial<Record<"message" | "stderr" | "stdout", string>> & {
    readonly killed?: boolean
  }
  if (killed === true) return `it took longer than ${minutes} minutes`
  const lines = [stdout, stderr].flatMap((text) => (text ?? "").split("\n").map((line) => line.trim()))
  const words = lines.filter((line) => line !== "" && !line.startsWith("at "))
  const reason = words.findLast((line) => /error|refused/i.test(line)) ?? words.at(-1) ?? message ?? String(cause)
  return reason.replace(/^\[[\d:.]+\] ERROR \(#\d+\): /, "")
}

/** Runs one round of a side; fails with the reason in one line. */
export const round = ({ runs }: Side, task: Task): Effect.Effect<Round, string> => {
  const { caches, exact, file, peer, pins, python, settling, steps, threads, workload } = task
  const form = "script" in runs ? ((exact ? runs.exact : undefined) ?? runs.form) : undefined
  const command =
    "engine" in runs
      ? [process.execPath, ...process.execArgv, join(import.meta.dirname, "ours.ts"), workload, runs.engine]
      : [python, join(import.meta.dirname, runs.script), peer]
  const given =
    "engine" in runs
      ? [`${threads}`]
      : [`${threads}`, `${settling}`, `${steps}`, file, ...(form === undefined ? [] : [form])]
  const all = [...(pins ? ["taskset", "-c", `0-${threads - 1}`] : []), ...command, ...given]
  return Effect.map(
    Effect.tryPromise({
      try: () =>
        promisify(execFile)(all[0]!, all.slice(1), {
          timeout: minutes * 60_000,
          maxBuffer: 1 << 26,
          env: { ...process.env, TORCHINDUCTOR_CACHE_DIR: join(caches, "inductor"), XDG_CACHE_HOME: caches }
        }),
      catch: reasonOf
    }),
    ({ stdout }) => JSON.parse(stdout.trim().split("\n").at(-1)!) as Round
  )
}
