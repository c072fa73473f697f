/** A sweep of very cheap runs in a folder of its own, the processes that work on it, and what must hold of what they leave. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert } from "vitest"
import type { Server } from "./postgres.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const main = join(root, "src/cli/main.ts")

/**
 * Forty ticks, each of which is written down with the process and a clock that all processes share. A file `pace` says how many
 * milliseconds a tick takes, once there is a checkpoint; `broken` makes runs fail; `deadly` makes a run kill whoever started it.
 */
const program = `
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Config, Dataset, Init, Level, Optimizer, Problem, Program, Var } from "tapweight"
const x = Var.make("x", Init.ones([2]))
const level = (rate) => Level.minimize(x, { name: "lower", data: Dataset.none, optimizer: Optimizer.sgd(rate),
  objective: ({ x }) => tf.sum(tf.square(x)) })
const happens = (what, { rate, seed }) =>
  appendFileSync("events", [what, rate + "/" + seed, process.pid, process.hrtime.bigint() / 1000000n].join(" ") + "\\n")
const pace = () => existsSync("pace") ? Number(readFileSync("pace", "utf8")) : 0
// Whoever adopts a process whose runner is gone is none.
const endRunner = () => {
  const parent = process.ppid
  if (readFileSync("/proc/" + parent + "/cmdline", "utf8").split("\0").includes("runner")) process.kill(parent, "SIGKILL")
}
export default Program.make({
  name: "swept", description: "",
  config: Config.make({
    schema: Schema.Struct({ ...Program.common, rate: Schema.Finite }),
    defaults: { seed: 0, ticks: 40, rate: 0.1 }
  }),
  prepare: () => Effect.void,
  problems: (_, { rate }) => ({ only: Problem.close(level(rate)) }),
  run: (session, { problems, settings }) => Effect.gen(function* () {
    const { rate, seed, ticks } = settings
    happens("start", settings)
    if (existsSync("broken")) return yield* Effect.die(new Error("it broke"))
    // It would else be done before it hears that its runner is gone.
    if (existsSync("deadly")) return yield* Effect.andThen(Effect.sync(endRunner), Effect.never)
    const { vars } = yield* session.trial("", { problem: problems.only, ticks, seed, checkpointEvery: 5, validation: { every: 1,
      rows: 1, score: ({ index }) => Effect.gen(function* () {
        happens("tick", settings)
        if (index > 6) yield* Effect.sleep(pace())
        return { loss: 1 }
      }) } })
    happens("end", settings)
    const last = vars.x.data[0]
    return { result: { last }, text: "", scores: [
      { method: "sgd", task: "toy", seed, metric: "loss", split: "validation", better: "less", value: last + seed }] }
  })
})
`

const sweep = (seeds: number) => `
import { Sweep } from "tapweight"
export default Sweep.make({ name: "rates", program: "./program.ts", grid: { rate: [0.1, 0.2] }, seeds: Sweep.seeds(${seeds}) })
`

/** Moves the clock of a process by an hour. */
const skew = `data:text/javascript,${encodeURIComponent(
  `const Real = Date; const shift = 3600000
   globalThis.Date = class extends Real {
     constructor(...args) { args.length === 0 ? super(Real.now() + shift) : super(...args) }
     static now() { return Real.now() + shift } }`
)}`

/** A row of the database. */
export interface Row {
  readonly id: string
  readonly settings: { readonly rate: number }
  readonly seed: number
  readonly state: string
  readonly claim: number
  readonly losses: number
  readonly failures: number
  readonly stops: number
  readonly runner: string | null
  readonly note: string | null
}

interface Event {
  readonly what: string
  readonly run: string
  readonly pid: number
  readonly at: number
}

/** Waits for something that happens. */
export const until = async (what: () => boolean): Promise<void> => {
  while (!what()) await new Promise((wake) => setTimeout(wake, 50))
}

/** A runner's process. */
export interface Running {
  readonly child: ChildProcess
  /** All that it has said. */
  readonly said: () => string
  readonly end: () => Promise<number | null>
}

let made = 0

/** A folder with a program and a sweep, and a database on the server, if there is one. */
export const workplace = (postgres?: Server) => {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), "tapweight-runner-")))
  symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"))
  const write = (name: string, text: string) => writeFileSync(join(scratch, name), text)
  const database = `place${process.pid}x${made++}`
  const env = { ...process.env, TAPWEIGHT_RUNS: "runs", TAPWEIGHT_DB: postgres?.database(database) ?? "" }
  write("program.ts", program)
  write("sweep.ts", sweep(1))

  const tapweight = (...args: ReadonlyArray<string>) => {
    const { status, stderr, stdout } = spawnSync(process.execPath, [main, ...args], {
      cwd: scratch,
      encoding: "utf8",
      env
    })
    return { code: status, out: stdout, err: stderr }
  }
  const all: Array<ChildProcess> = []
  /** A process of the command line. */
  const begin = (args: ReadonlyArray<string>, { cwd = scratch, skewed = false } = {}): Running => {
    const options = skewed ? { NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import ${skew}` } : {}
    const child = spawn(process.execPath, [main, ...args], {
      cwd,
      env: { ...env, ...options },
      stdio: ["pipe", "ignore", "pipe"]
    })
    all.push(child)
    let said = ""
    child.stderr!.on("data", (chunk) => (said += chunk))
    const ended = once(child, "exit")
    return { child, said: () => said, end: async () => ((await ended) as [number | null])[0] }
  }
  /** A runner, of a lease that a test can wait for where it is to be lost. */
  const runner = ({
    lease = 6,
    slots = 2,
    ...options
  }: {
    readonly cwd?: string
    readonly skewed?: boolean
    readonly slots?: number
    readonly lease?: number
  } = {}) => begin(["runner", "--slots", `${slots}`, "--lease", `${lease}`, "--exit-when-empty"], options)
  const start = () => {
    const { code, err } = tapweight("sweep", "start", "sweep.ts", "--engine", "cpu")
    assert.strictEqual(code, 0, err)
  }
  /** What the database has, asked without the command line: that takes its time to start. */
  const rows = (): ReadonlyArray<Row> =>
    JSON.parse(postgres!.ask(database, "SELECT coalesce(json_agg(t ORDER BY ordinal), '[]') FROM tapweight_trial t"))
  /** How many rows are in a state, as the database itself says. */
  const count = (state: string) =>
    Number(postgres!.ask(database, `SELECT count(*) FROM tapweight_trial WHERE state = '${state}'`))
  const events = (): ReadonlyArray<Event> =>
    (existsSync(join(scratch, "events"))
      ? readFileSync(join(scratch, "events"), "utf8").trimEnd().split("\n")
      : []
    ).map((line) => {
      const [what, run, pid, at] = line.split(" ") as [string, string, string, string]
      return { what, run, pid: Number(pid), at: Number(at) }
    })
  const starts = (run?: string) =>
    events().filter((event) => event.what === "start" && (run ?? event.run) === event.run)
  const folder = (id: string) => join(scratch, "runs/sweeps/rates", id)
  const read = (id: string, name: string) => readFileSync(join(folder(id), name))

  /** What must hold once nothing is left to do, whatever has happened before. */
  const holds = (planned: number): ReadonlyArray<Row> => {
    const found = rows()
    assert.strictEqual(found.length, planned)
    const log = events()
    for (const { claim, failures, id, losses, seed, settings, state, stops } of found) {
      const name = `${settings.rate}/${seed}`
      assert.include(["done", "failed", "cancelled"], state, name)
      const own = log.filter(({ run }) => run === name)
      // Each process in its time: from the first that it wrote to the last.
      const times = [...new Set(own.map(({ pid }) => pid))].map((pid) => {
        const at = own.filter((event) => event.pid === pid).map((event) => event.at)
        return [Math.min(...at), Math.max(...at)] as const
      })
      for (const [i, [, end]] of times.entries()) if (i + 1 < times.length) assert.isBelow(end, times[i + 1]![0], name)
      assert.isAtMost(times.length, 1 + losses + failures + stops, `${name}: a start that nothing explains`)
      const claims = existsSync(join(folder(id), "claims")) ? readdirSync(join(folder(id), "claims")).map(Number) : []
      assert.isAtMost(Math.max(0, ...claims), claim)
      assert.isAtLeast(claims.length, times.length)
      assert.strictEqual(existsSync(join(folder(id), "result.json")), state === "done", name)
      assert.deepStrictEqual(
        (existsSync(folder(id)) ? readdirSync(folder(id)) : []).filter((file) => file.startsWith(".tmp-")),
        []
      )
    }
    return found
  }

  /** Results and last values of all done runs, by what they are runs of. */
  const outcome = (found: ReadonlyArray<Pick<Row, "id" | "seed" | "settings">>) =>
    Object.fromEntries(
      found
        .filter(({ id }) => existsSync(join(folder(id), "result.json")))
        .map(({ id, seed, settings }) => [
          `${settings.rate}/${seed}`,
          ["result.json", "final.safetensors"].map((name) => read(id, name).toString("base64"))
        ])
    )

  /** All runs of the sweep's file. */
  const folders = (): ReadonlyArray<Pick<Row, "id" | "seed" | "settings">> =>
    JSON.parse(readFileSync(join(folder("sweep.json")), "utf8")).entries

  const remove = async () => {
    for (const child of all) {
      child.kill("SIGKILL")
      child.kill("SIGCONT")
    }
    // Their runs are tied to them, and have something to save.
    await until(() => {
      const pids = new Set(events().map(({ pid }) => pid))
      return ![...pids].some((pid) => existsSync(`/proc/${pid}`))
    })
    rmSync(scratch, { recursive: true, force: true })
  }
  const seeds = (n: number) => write("sweep.ts", sweep(n))
  return {
    begin,
    count,
    database,
    events,
    folder,
    folders,
    holds,
    outcome,
    read,
    remove,
    rows,
    runner,
    scratch,
    seeds,
    start,
    starts,
    tapweight,
    write
  }
}
export type Workplace = ReturnType<typeof workplace>
