// What bench/gpu/run.sh runs: each part in processes of their own under a time limit, and one JSON of all, written after each part.
// A part that fails, or takes too long, is written down with its reason and stops no other.
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as Safetensors from "../../src/files/tensors/Safetensors.ts"
import { workloads } from "../peers/workloads.ts"

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "card.json" },
    minutes: { type: "string", default: "8" },
    python: { type: "string", default: "python3" },
    rehearse: { type: "boolean", default: false }
  }
})
const { rehearse } = values
const end = performance.now() + 60_000 * Number(values.minutes)
const here = import.meta.dirname
const folder = mkdtempSync(join(tmpdir(), "tapweight-card-"))

/** How a part went. */
interface Part {
  readonly part: string
  readonly workload?: string
  readonly side?: string
  readonly precision?: string
  readonly status: "done" | "failed" | "too long" | "skipped"
  readonly seconds: number
  readonly reason?: string
  /** What it printed last, where that is JSON. */
  readonly result?: unknown
}
const parts: Array<Part> = []
const machine = { cpus: `${cpus().length} × ${cpus()[0]?.model.trim()}`, node: process.versions.node }
const write = (): void =>
  writeFileSync(
    values.out,
    `${JSON.stringify({ rehearsal: rehearse, when: new Date().toISOString(), machine, parts }, null, 2)}\n`
  )

/** What a process says last that reads like a reason. */
const reasonOf = (text: string): string => {
  const lines = text.split("\n").map((line) => line.trim())
  const words = lines.filter((line) => line !== "" && !line.startsWith("at "))
  return (words.findLast((line) => /error|refused/i.test(line)) ?? words.at(-1) ?? "it said nothing").slice(0, 400)
}

const json = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Runs a command as a part, at most so many seconds and no longer than there is time. */
const run = async (
  what: Pick<Part, "part" | "workload" | "side" | "precision">,
  limit: number,
  command: ReadonlyArray<string>,
  env: { readonly [name: string]: string } = {}
): Promise<void> => {
  const left = Math.min(limit, (end - performance.now()) / 1000)
  const add = (part: Omit<Part, "part">) => {
    parts.push({ ...what, ...part })
    write()
    process.stderr.write(`${Object.values(what).join(" ")}: ${part.status} in ${part.seconds} s ${part.reason ?? ""}\n`)
  }
  if (left < 5) return add({ status: "skipped", seconds: 0, reason: "no time was left" })
  const begun = performance.now()
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    env: {
      ...process.env,
      TORCHINDUCTOR_CACHE_DIR: join(folder, "inductor"),
      TAPWEIGHT_CACHE: join(folder, "cache"),
      ...env
    }
  })
  let [out, err, late] = ["", "", false]
  child.stdout.on("data", (bytes) => (out += String(bytes)))
  child.stderr.on("data", (bytes) => (err += String(bytes)))
  // With all that it started: compilers run in processes of their own.
  const timer = setTimeout(() => {
    late = true
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
  }, 1000 * left)
  const code = await new Promise<number | null>((resolve) => {
    child.on("error", (error) => {
      err += `error: ${error.message}`
      resolve(-1)
    })
    child.on("close", resolve)
  })
  clearTimeout(timer)
  const seconds = Number(((performance.now() - begun) / 1000).toFixed(1))
  if (late) return add({ status: "too long", seconds, reason: `it took longer than ${left.toFixed(0)} s` })
  if (code !== 0) return add({ status: "failed", seconds, reason: reasonOf(`${out}\n${err}`) })
  add({ status: "done", seconds, result: json(out.trim()) ?? json(out.trim().split("\n").at(-1)!) ?? out.trim() })
}

const node = [process.execPath, ...process.execArgv]
const python = [values.python]
const versions = `
import importlib.metadata as m, json
names = ["torch", "jax", "jaxlib", "jax-cuda13-pjrt", "betty-ml", "triton"]
def version(name):
    try: return m.version(name)
    except m.PackageNotFoundError: return None
print(json.dumps({name: version(name) for name in names}))
`

const main = async (): Promise<void> => {
  write()
  await run({ part: "card" }, 15, [
    "nvidia-smi",
    "--query-gpu=name,driver_version,memory.total",
    "--format=csv,noheader"
  ])
  await run({ part: "python" }, 15, [...python, "-c", versions])
  await run({ part: "doctor" }, 60, [...node, join(here, "../../src/cli/main.ts"), "doctor", "--engine", "xla"])
  await run({ part: "laws" }, rehearse ? 240 : 120, [...node, join(here, "laws.ts"), "xla", rehearse ? "1" : "4"])
  const names = rehearse ? ["logistic", "reweighting"] : ["transformer", "roberta", "reweighting", "resnet", "logistic"]
  for (const precision of ["float32", "bfloat16"]) {
    for (const name of names) {
      const { peer, settling, steps, tensors } = workloads[name]!()
      const file = join(folder, `${name}.safetensors`)
      if (!existsSync(file)) writeFileSync(file, Safetensors.encode(tensors))
      const [first, count] = rehearse ? [1, 2] : [settling, name === "roberta" ? 4 : steps]
      const limit = 75
      const what = { part: "workload", workload: name, precision }
      const given = [`${cpus().length}`, `${first}`, `${count}`, file]
      const env = { TAPWEIGHT_BENCH_DEVICE: rehearse ? "cpu" : "cuda", TAPWEIGHT_BENCH_PRECISION: precision }
      const peers = join(here, "../peers")
      const ours = [...node, join(peers, "ours.ts"), name, "xla", `${cpus().length}`]
      await run({ ...what, side: "tapweight" }, limit, [...ours, precision, `${first}`, `${count}`])
      await run(
        { ...what, side: "jax" },
        limit,
        [...python, join(peers, "jax_side.py"), peer, ...given, "difference"],
        env
      )
      await run({ ...what, side: "torch" }, limit, [...python, join(peers, "betty_side.py"), peer, ...given], env)
      await run(
        { ...what, side: "torch.compile" },
        limit,
        [...python, join(peers, "betty_side.py"), peer, ...given, "compiled"],
        env
      )
    }
  }
}

mkdirSync(join(folder, "inductor"))
main().finally(() => {
  rmSync(folder, { recursive: true, force: true })
  process.stderr.write(`written: ${values.out}\n`)
})
