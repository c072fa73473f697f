import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, assert, beforeEach, describe, it } from "vitest"
import { long } from "../support/long.ts"
import { resident } from "../support/resident.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const main = join(root, "src/cli/main.ts")
let scratch = ""
const env = { ...process.env, TAPWEIGHT_RUNS: "runs" }

/** Starts runs, as a process of its own. */
const spawned = (...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [main, ...args], {
    cwd: scratch,
    encoding: "utf8",
    env
  })
  return { code: status, out: stdout, err: stderr }
}
const cli = resident()
const tapweight = (...args: ReadonlyArray<string>) => cli.run(scratch, args, { TAPWEIGHT_RUNS: "runs" })

/**
 * A run writes what it started and ended into `events`. A file `broken` makes it fail, and one named `slow` makes
 * it last minutes.
 */
const program = `
import { appendFileSync, existsSync } from "node:fs"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Config, Dataset, Init, Level, Optimizer, Problem, Program, Var } from "tapweight"
const x = Var.make("x", Init.ones([2]))
const level = (rate) => Level.minimize(x, { name: "lower", data: Dataset.none, optimizer: Optimizer.sgd(rate),
  objective: ({ x }) => tf.sum(tf.square(x)) })
export default Program.make({
  name: "swept", description: "",
  config: Config.make({
    schema: Schema.Struct({ ...Program.common, rate: Schema.Finite}),
    defaults: { seed: 0, ticks: 600, rate: 0.1 }
  }),
  prepare: () => Effect.void,
  problems: (_, { rate }) => ({ only: Problem.close(level(rate)) }),
  run: (session, { problems, settings }) => Effect.gen(function* () {
    const { rate, seed, ticks } = settings
    appendFileSync("events", rate + "/" + seed + " start\\n")
    if (existsSync("broken") && rate === 0.2) return yield* Effect.die(new Error("it broke"))
    const outcome = yield* session.trial("", { problem: problems.only, ticks, seed, checkpointEvery: 100, validation: { every: 1,
      rows: 1, score: () => Effect.gen(function* () {
        if (existsSync("slow")) yield* Effect.sleep(200)
        return { loss: 1 }
      }) } })
    appendFileSync("events", rate + "/" + seed + " end\\n")
    return { result: null, text: "", scores: [
      { method: "sgd", task: "toy", seed, metric: "loss", split: "validation", better: "less", value: rate + seed / 100 }] }
  })
})
`
const sweep = (seeds: number) => `
import { Sweep } from "tapweight"
export default Sweep.make({ name: "rates", program: "./program.ts", grid: { rate: [0.1, 0.2] }, seeds: Sweep.seeds(${seeds}) })
`
const write = (name: string, text: string) => writeFileSync(join(scratch, name), text)
const events = () =>
  existsSync(join(scratch, "events")) ? readFileSync(join(scratch, "events"), "utf8").trim().split("\n") : []
const starts = () => events().filter((event) => event.endsWith("start")).length
const states = (): ReadonlyArray<{ entry: { id: string; settings: { rate: number }; seed: number }; state: string }> =>
  JSON.parse(tapweight("sweep", "status", "rates", "--format", "json").out)
const folder = (id: string) => join(scratch, "runs/sweeps/rates", id)
const start = ["sweep", "start", "sweep.ts", "--engine", "cpu", "--local", "2"]
const until = async (what: () => boolean) => {
  while (!what()) await new Promise((wake) => setTimeout(wake, 50))
}

beforeEach(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), "tapweight-sweep-")))
  symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"))
  write("program.ts", program)
  write("sweep.ts", sweep(1))
})
afterEach(() => rmSync(scratch, { recursive: true, force: true }))
afterAll(cli.end)

describe("a sweep on this machine", { timeout: 180_000 }, () => {
  it("runs each run once, seeds that are added alone, and puts what is done side by side", () => {
    const plan = tapweight("sweep", "plan", "sweep.ts")
    assert.include(plan.out, "sweep rates: 2 runs, 2 settings, 1 seeds")
    assert.include(
      plan.out,
      "1 seeds cannot show a difference: the smallest p of one comparison is 1.000; it takes 6 seeds"
    )
    assert.isEmpty(events())
    const first = spawned(...start)
    assert.strictEqual(first.code, 0, first.err)
    assert.include(first.out, "sweep rates: done 2  running 0  queued 0  failed 0")
    const bytes = states().map(({ entry }) => readFileSync(join(folder(entry.id), "result.json")))
    assert.strictEqual(starts(), 2)
    write("sweep.ts", sweep(2))
    assert.include(spawned(...start).err, "4 runs, 2 new")
    assert.strictEqual(starts(), 4)
    assert.strictEqual(spawned(...start).code, 0)
    assert.strictEqual(starts(), 4)
    const all = states()
    for (const [i, before] of bytes.entries()) {
      assert.isTrue(readFileSync(join(folder(all[i]!.entry.id), "result.json")).equals(before))
    }
    const report = JSON.parse(tapweight("sweep", "report", "rates", "-o", "rates.html", "--format", "json").out)
    const page = readFileSync(join(scratch, "rates.html"), "utf8")
    for (const part of ["sweep rates", "rate=0.1, lower, 2 seeds", "sgd (rate=0.2)"]) assert.include(page, part)
    assert.deepStrictEqual(
      report.tasks[0].standings.map(({ method, values }: { method: string; values: ReadonlyArray<unknown> }) => [
        method,
        values.length
      ]),
      [
        ["sgd (rate=0.1)", 2],
        ["sgd (rate=0.2)", 2]
      ]
    )
  })

  it.skipIf(!long)(
    "gives up what fails three times, goes on with the others, and tries again when that is asked for",
    () => {
      write("broken", "")
      const { code, out } = spawned(...start)
      assert.strictEqual(code, 1)
      assert.include(out, "done 1  running 0  queued 0  failed 1")
      assert.match(out, /rate=0.2 .* it broke/)
      assert.strictEqual(starts(), 4)
      assert.strictEqual(spawned(...start).code, 1)
      assert.strictEqual(starts(), 4)
      rmSync(join(scratch, "broken"))
      assert.include(tapweight("sweep", "retry", "rates").out, "1 failed runs are queued again")
      assert.strictEqual(spawned(...start).code, 0)
      assert.strictEqual(starts(), 5)
    }
  )

  it.skipIf(!long)("gives up a run whose numbers are no longer finite, says so, and goes on with the others", () => {
    write("sweep.ts", sweep(1).replace("[0.1, 0.2]", "[0.1, 1e30]"))
    const { code, out } = tapweight(...start)
    assert.strictEqual(code, 1)
    assert.include(out, "done 1  running 0  queued 0  failed 1")
    assert.match(out, /rate=1e\+30 .*(not finite|NaN|Infinity)/i, out)
  })

  it.skipIf(!long)(
    "killed, its runs stop with a checkpoint; started twice, each run goes on once to the same bytes",
    async () => {
      write("slow", "")
      const pool = spawn(process.execPath, [main, ...start], { cwd: scratch, env, stdio: "ignore" })
      await until(() => starts() === 2)
      const ids = states().map(({ entry }) => entry.id)
      await until(() => ids.every((id) => existsSync(join(folder(id), "metrics-1.ndjson"))))
      pool.kill("SIGKILL")
      await once(pool, "exit")
      await until(() => states().every(({ state }) => state === "queued"))
      rmSync(join(scratch, "slow"))
      const both = [0, 1].map(() => spawn(process.execPath, [main, ...start], { cwd: scratch, env, stdio: "ignore" }))
      const codes = await Promise.all(both.map(async (each) => (await once(each, "exit"))[0] as number))
      assert.deepStrictEqual(codes, [0, 0])
      assert.deepStrictEqual(events().filter((event) => event.endsWith("end")).length, 2)
      const weights = ids.map((id) => readFileSync(join(folder(id), "final.safetensors")))
      const log = readFileSync(join(folder(ids[0]!), "metrics-2.ndjson"), "utf8")
      assert.isAbove(JSON.parse(log.split("\n")[0]!).from, 0)
      // What an undisturbed sweep ends with.
      rmSync(join(scratch, "runs"), { recursive: true })
      assert.strictEqual(spawned(...start).code, 0)
      for (const [i, id] of ids.entries())
        assert.isTrue(readFileSync(join(folder(id), "final.safetensors")).equals(weights[i]!))
    }
  )

  it.skipIf(!long).each([false, true])(
    "cancelled from elsewhere (now: %s), it stops, and goes on from checkpoints when it is started",
    async (now) => {
      write("slow", "")
      const pool = spawn(process.execPath, [main, ...start], { cwd: scratch, env, stdio: "ignore" })
      await until(() => starts() === 2 && existsSync(join(scratch, "runs/sweeps/rates/sweep.json")))
      const ids = states().map(({ entry }) => entry.id)
      const records = (id: string) => readFileSync(join(folder(id), "metrics-1.ndjson"), "utf8")
      await until(() => ids.every((id) => existsSync(join(folder(id), "metrics-1.ndjson"))))
      await until(() => ids.every((id) => records(id).split("\n").length > 4))
      assert.strictEqual(
        tapweight("sweep", "cancel", "rates", ...(now ? ["--now"] : []), "--format", "json").out,
        `${JSON.stringify({ sweep: "rates", trial: null, now })}\n`
      )
      await once(pool, "exit")
      assert.deepStrictEqual(new Set(states().map(({ state }) => state)), new Set(["cancelled"]))
      // One that is killed says nothing more, and saves nothing.
      for (const id of ids) {
        assert.strictEqual(records(id).includes('"interrupted"'), !now)
        assert.strictEqual(existsSync(join(folder(id), "checkpoints")), !now)
      }
      rmSync(join(scratch, "slow"))
      assert.strictEqual(spawned(...start).code, 0)
      assert.deepStrictEqual(new Set(states().map(({ state }) => state)), new Set(["done"]))
    }
  )

  it.skipIf(!long)("status --watch says what becomes of it, until nothing is left to run", async () => {
    write("slow", "")
    const pool = spawn(process.execPath, [main, ...start], { cwd: scratch, env, stdio: "ignore" })
    await until(() => starts() === 2)
    const watch = spawn(process.execPath, [main, "sweep", "status", "rates", "--watch"], {
      cwd: scratch,
      env,
      stdio: ["ignore", "pipe", "inherit"]
    })
    let said = ""
    watch.stdout.on("data", (chunk) => (said += chunk))
    await until(() => said.includes("running 2"))
    rmSync(join(scratch, "slow"))
    const ends = await Promise.all([pool, watch].map(async (each) => (await once(each, "exit"))[0] as number))
    assert.deepStrictEqual(ends, [0, 0])
    assert.match(said.trimEnd().split("\n").at(-1)!, /^sweep rates: done 2 {2}running 0/)
  })

  it.skipIf(!long)("runs one of its runs as a job of an array, and prints such arrays", () => {
    const { code, out } = tapweight("sweep", "exec", "sweep.ts", "--index", "1", "--engine", "cpu", "--format", "json")
    assert.strictEqual(code, 0)
    assert.strictEqual(JSON.parse(out).state, "done")
    assert.deepStrictEqual(
      states().map(({ state }) => state),
      ["queued", "done"]
    )
    assert.strictEqual(tapweight("sweep", "exec", "sweep.ts", "--index", "2", "--engine", "cpu").code, 2)
    const slurm = tapweight("sweep", "start", "sweep.ts", "--slurm", "--engine", "cpu").out
    assert.include(slurm, "#SBATCH --array=0-1")
    assert.include(slurm, "sweep exec sweep.ts --runs runs --engine cpu --index $SLURM_ARRAY_TASK_ID")
    assert.strictEqual(spawnSync("bash", ["-n"], { input: slurm }).status, 0)
    assert.include(tapweight("sweep", "start", "sweep.ts", "--k8s", "img:1").out, "completions: 2")
    assert.strictEqual(starts(), 1)
  })

  it("refuses what is none, before anything runs", () => {
    write("none.ts", "export default 3\n")
    write("wrong.ts", sweep(1).replace("rate: [0.1", "rte: [0.1"))
    write("twice.ts", sweep(1).replace("Sweep.seeds(1)", "[1, 1]"))
    const table: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
      [["plan", "none.ts"], "its default export is no sweep"],
      [["start", "wrong.ts"], "did you mean 'rate'"],
      [["plan", "twice.ts"], "a seed twice"],
      [["status", "nobody"], "there is none of this name"],
      [["status", "../rates"], "there is none of this name"],
      [["report", "nobody"], "there is none of this name"]
    ]
    for (const [args, sentence] of table) {
      const { code, err } = tapweight("sweep", ...args)
      assert.include(err, sentence)
      assert.strictEqual(code, 2, err)
    }
    assert.isFalse(existsSync(join(scratch, "runs")))
  })
})
