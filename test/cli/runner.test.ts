import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "vitest"
import { long } from "../support/long.ts"
import { installed, server, type Server } from "../support/postgres.ts"
import { type Row, until, workplace, type Workplace } from "../support/sweeping.ts"

/** Seconds that a loaded machine does not keep a runner from its beats for: where none is to be lost. */
const lease = 30

describe.skipIf(!installed)("a sweep that runners of a database have", { timeout: 600_000 }, () => {
  let postgres: Server
  let place: Workplace
  let undisturbed: ReturnType<Workplace["outcome"]>
  beforeAll(async () => {
    postgres = await server()
    if (!long) return
    const quiet = workplace()
    quiet.seeds(2)
    const { code, err } = quiet.tapweight("sweep", "start", "sweep.ts", "--engine", "cpu", "--local", "2")
    assert.strictEqual(code, 0, err)
    undisturbed = quiet.outcome(quiet.folders())
    await quiet.remove()
  }, 300_000)
  afterAll(() => postgres?.remove(), 120_000)
  beforeEach(() => void (place = workplace(postgres)))
  afterEach(() => place.remove(), 120_000)

  /** What runs leave is what they leave where nobody disturbs them. */
  const equal = (found: ReadonlyArray<Row>) => assert.deepInclude(undisturbed, place.outcome(found))
  const states = (found: ReadonlyArray<Row>) => found.map(({ state }) => state)
  /** Waits until so many runs have had more than six ticks, and so have a checkpoint. */
  const started = (n: number) =>
    until(() => {
      const ticks = place.events().filter(({ what }) => what === "tick")
      const runs = [...new Set(ticks.map(({ run }) => run))]
      return runs.filter((run) => ticks.filter((tick) => tick.run === run).length > 6).length >= n
    })
  /** The processes of runs that a runner has begun. */
  const childrenOf = (pid: number) => {
    const { stdout } = spawnSync("ps", ["-o", "pid=", "--ppid", `${pid}`], { encoding: "utf8" })
    return stdout.trim().split(/\s+/).filter(Boolean).map(Number)
  }

  it("runs each run once, whichever of two runners has it, one of them killed and another with a clock of its own", async () => {
    place.write("pace", "1000")
    place.start()
    const first = place.runner()
    await started(2)
    first.child.kill("SIGKILL")
    place.write("pace", "0")
    const second = place.runner({ skewed: true })
    assert.strictEqual(await second.end(), 0, second.said())
    const found = place.holds(2)
    assert.deepStrictEqual(states(found), ["done", "done"])
    assert.deepStrictEqual(
      found.map(({ losses }) => losses),
      [1, 1]
    )
    assert.strictEqual(place.starts().length, 4)
    // They went on from checkpoints.
    for (const { id } of found)
      assert.isAbove(JSON.parse(place.read(id, "metrics-2.ndjson").toString().split("\n")[0]!).from, 0)
    assert.notInclude(second.said(), "secret")
    if (long) equal(found)
  })

  it.skipIf(!long)(
    "takes seeds that are added alone, by two runners at once, after it was started twice at once",
    async () => {
      const both = [0, 1].map(() => place.begin(["sweep", "start", "sweep.ts", "--engine", "cpu"]))
      assert.deepStrictEqual(await Promise.all(both.map((each) => each.end())), [0, 0])
      const runners = async () => {
        const pair = [place.runner({ lease }), place.runner({ lease })]
        assert.deepStrictEqual(await Promise.all(pair.map((each) => each.end())), [0, 0])
      }
      await runners()
      const before = place.outcome(place.holds(2))
      assert.strictEqual(place.starts().length, 2)
      place.seeds(2)
      place.start()
      await runners()
      const found = place.holds(4)
      assert.strictEqual(place.starts().length, 4)
      assert.deepInclude(place.outcome(found), before)
      equal(found)
      // Both of what a report needs are there, whoever ran what.
      const { code, out } = place.tapweight("sweep", "report", "rates")
      assert.strictEqual(code, 0)
      assert.include(out, "sgd (rate=0.2)")
    }
  )

  it.skipIf(!long)(
    "tries again what was killed, as often as it has patience, and again when that is asked for",
    async () => {
      place.write("pace", "1000")
      place.start()
      const runner = place.runner({ lease })
      await started(2)
      for (const pid of childrenOf(runner.child.pid!)) process.kill(pid, "SIGKILL")
      place.write("pace", "0")
      assert.strictEqual(await runner.end(), 0, runner.said())
      const found = place.holds(2)
      assert.deepStrictEqual(
        found.map(({ failures, losses, state }) => [state, failures, losses]),
        [
          ["done", 1, 0],
          ["done", 1, 0]
        ]
      )
      equal(found)
      place.seeds(2)
      place.write("broken", "")
      place.start()
      assert.strictEqual(await place.runner({ lease }).end(), 0)
      assert.deepStrictEqual(states(place.holds(4)), ["done", "done", "failed", "failed"])
      assert.include(place.tapweight("sweep", "status", "rates").out, "failed: it ended with 1; its words are in ")
      rmSync(join(place.scratch, "broken"))
      assert.include(place.tapweight("sweep", "retry", "rates").out, "2 failed runs are queued again")
      assert.strictEqual(await place.runner({ lease }).end(), 0)
      const all = place.rows()
      assert.deepStrictEqual(states(all), ["done", "done", "done", "done"])
      equal(all)
    }
  )

  it.skipIf(!long)("loses no run by an answer that was lost on its way", async () => {
    place.write("pace", "1000")
    place.start()
    const runner = place.runner()
    await started(2)
    // As a runner leaves it that gave its runs back and did not hear so.
    postgres.ask(place.database, "UPDATE tapweight_trial SET state = 'queued'")
    place.write("pace", "0")
    assert.strictEqual(await runner.end(), 0, runner.said())
    const found = place.rows()
    assert.deepStrictEqual(states(found), ["done", "done"])
    equal(found)
  })

  it.skipIf(!long)("gives up what ends its runners", async () => {
    place.write("deadly", "")
    place.start()
    let runners = 0
    for (let end: number | null = null; end === null; runners++) end = await place.runner({ slots: 2 }).end()
    const found = place.holds(2)
    assert.deepStrictEqual(states(found), ["failed", "failed"])
    assert.deepStrictEqual(
      found.map(({ losses }) => losses),
      [5, 5]
    )
    assert.isAtLeast(runners, 5)
  })

  it.skipIf(!long)(
    "a runner that was stopped for longer than its lease finds its runs stopped, and says nothing of them",
    async () => {
      place.write("pace", "1000")
      place.start()
      const zombie = place.runner()
      await started(2)
      const pids = childrenOf(zombie.child.pid!)
      zombie.child.kill("SIGSTOP")
      const heir = place.runner()
      await until(() => place.starts().length === 4)
      // They had ended before anybody else began: they were no longer told that they are anybody's. (A zombie waits for its parent.)
      const alive = pids.filter((pid) => !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8")))
      assert.deepStrictEqual(alive, [])
      zombie.child.kill("SIGCONT")
      place.write("pace", "0")
      assert.deepStrictEqual(await Promise.all([zombie.end(), heir.end()]), [0, 0])
      const found = place.holds(2)
      assert.deepStrictEqual(states(found), ["done", "done"])
      assert.include(zombie.said(), "no longer this runner's to speak of")
      equal(found)
    }
  )

  it.skipIf(!long)(
    "a whole machine that was stopped for longer than its lease has its folders until it stops, and no run twice",
    async () => {
      place.write("pace", "1000")
      place.start()
      const frozen = place.runner()
      await started(2)
      const pids = childrenOf(frozen.child.pid!)
      for (const pid of [frozen.child.pid!, ...pids]) process.kill(pid, "SIGSTOP")
      const heir = place.runner()
      await until(() => heir.said().includes("another process works in its folder"))
      assert.strictEqual(place.starts().length, 2)
      for (const pid of [...pids, frozen.child.pid!]) process.kill(pid, "SIGCONT")
      place.write("pace", "0")
      assert.deepStrictEqual(await Promise.all([frozen.end(), heir.end()]), [0, 0])
      const found = place.holds(2)
      assert.deepStrictEqual(states(found), ["done", "done"])
      equal(found)
    }
  )

  it.skipIf(!long).each([
    ["frozen", 20_000],
    ["frozen", 2_000],
    ["crashed", 12_000]
  ] as const)("goes on where the server was %s for %d ms, and does nothing twice", async (how, milliseconds) => {
    place.write("pace", "1000")
    place.start()
    const runners = [0, 1].map(() => place.runner({ slots: 1, lease: milliseconds > 4000 ? 6 : lease }))
    await started(2)
    if (how === "frozen") postgres.freeze()
    else await postgres.crash()
    await new Promise((wake) => setTimeout(wake, milliseconds))
    if (how === "frozen") postgres.thaw()
    else await postgres.start()
    place.write("pace", "0")
    assert.deepStrictEqual(await Promise.all(runners.map((each) => each.end())), [0, 0])
    const found = place.holds(2)
    assert.deepStrictEqual(states(found), ["done", "done"])
    if (milliseconds > 4000) assert.include(runners.map((each) => each.said()).join(), "the database answers again")
    // A silence that is shorter than what runs wait for disturbs none of them.
    else assert.strictEqual(place.starts().length, 2)
    equal(found)
  })

  it.skipIf(!long)("told to end, a runner saves what it runs and gives it back, which is no failure", async () => {
    place.write("pace", "1000")
    place.start()
    const first = place.runner({ lease })
    await started(2)
    first.child.kill("SIGTERM")
    assert.strictEqual(await first.end(), 75, first.said())
    assert.strictEqual(place.count("queued"), 2)
    place.write("pace", "0")
    assert.strictEqual(await place.runner({ lease }).end(), 0)
    const found = place.holds(2)
    assert.deepStrictEqual(
      found.map(({ failures, losses, state, stops }) => [state, failures, losses, stops]),
      [
        ["done", 0, 0, 1],
        ["done", 0, 0, 1]
      ]
    )
    equal(found)
  })

  it.skipIf(!long)(
    "cancelled, it stops with checkpoints what runs and begins nothing, and goes on when it is started",
    async () => {
      place.seeds(2)
      place.write("pace", "1000")
      place.start()
      const runner = place.runner({ lease })
      await started(2)
      const queued = place.rows().find(({ state }) => state === "queued")!
      assert.include(
        place.tapweight("sweep", "cancel", "rates", "--trial", queued.id.slice(0, 6)).out,
        "1 cancelled, 0 told"
      )
      assert.include(place.tapweight("sweep", "cancel", "rates").out, "1 cancelled, 2 told to save")
      assert.strictEqual(await runner.end(), 0, runner.said())
      assert.deepStrictEqual(states(place.holds(4)), ["cancelled", "cancelled", "cancelled", "cancelled"])
      assert.strictEqual(place.starts().length, 2)
      place.write("pace", "0")
      place.start()
      assert.strictEqual(await place.runner({ lease }).end(), 0)
      const found = place.holds(4)
      assert.deepStrictEqual(states(found), ["done", "done", "done", "done"])
      assert.strictEqual(place.starts().length, 6)
      equal(found)
    }
  )

  it.skipIf(!long)("cancelled at once, what runs is killed, and goes on from its last checkpoint", async () => {
    place.write("pace", "1000")
    place.start()
    const runner = place.runner({ lease })
    await started(2)
    assert.include(place.tapweight("sweep", "cancel", "rates", "--now").out, "0 cancelled, 2 to be killed")
    assert.strictEqual(await runner.end(), 0, runner.said())
    const killed = place.holds(2)
    assert.deepStrictEqual(states(killed), ["cancelled", "cancelled"])
    for (const { id } of killed) assert.notInclude(place.read(id, "metrics-1.ndjson").toString(), '"end"')
    place.write("pace", "0")
    place.start()
    const watch = place.begin(["sweep", "status", "rates", "--watch"])
    assert.strictEqual(await place.runner({ lease }).end(), 0)
    assert.strictEqual(await watch.end(), 0)
    const found = place.holds(2)
    assert.deepStrictEqual(states(found), ["done", "done"])
    equal(found)
  })

  it.skipIf(!long)(
    "is not run by a machine whose program is another one, or that has none, which says so",
    async () => {
      place.start()
      const other = join(place.scratch, "other")
      const none = join(place.scratch, "none")
      for (const folder of [other, none]) {
        mkdirSync(folder)
        symlinkSync(join(place.scratch, "node_modules"), join(folder, "node_modules"))
      }
      const changed = readFileSync(join(place.scratch, "program.ts"), "utf8").replace("tf.square(x)", "tf.abs(x)")
      writeFileSync(join(other, "program.ts"), changed)
      const strangers = [place.runner({ cwd: other, lease }), place.runner({ cwd: none, lease })]
      await until(() => strangers[0]!.said().includes("the program is another one here"))
      await until(() => strangers[1]!.said().includes("program.ts, as seen from"))
      assert.isEmpty(place.starts())
      const right = place.runner({ lease })
      assert.deepStrictEqual(await Promise.all([...strangers, right].map((each) => each.end())), [0, 0, 0])
      const found = place.holds(2)
      assert.deepStrictEqual(states(found), ["done", "done"])
      assert.strictEqual(place.starts().length, 2)
      equal(found)
    }
  )

  it.skipIf(!long)(
    "comes from its folders again where the database is lost, and its file from the database",
    async () => {
      place.start()
      assert.strictEqual(await place.runner({ lease }).end(), 0)
      const before = place.outcome(place.holds(2))
      place.seeds(2)
      place.start()
      const rows = place.rows()
      const rebuild = (...args: ReadonlyArray<string>) => {
        const { code, err, out } = place.tapweight("sweep", "rebuild", "rates", ...args)
        assert.strictEqual(code, 0, err)
        return out
      }
      postgres.ask(place.database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
      assert.include(rebuild(), "4 runs came from the folders, 0 from the database; 2 are queued")
      assert.deepStrictEqual(
        place.rows().map(({ id, state }) => [id, state]),
        rows.map(({ id, state }) => [id, state])
      )
      // Without its file too, what has begun is still there.
      const file = join(place.scratch, "runs/sweeps/rates/sweep.json")
      const written = JSON.parse(readFileSync(file, "utf8"))
      rmSync(file)
      postgres.ask(place.database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
      assert.include(rebuild(), "2 runs came from the folders")
      const entries = JSON.parse(readFileSync(file, "utf8")).entries
      assert.sameDeepMembers(entries, written.entries.slice(0, 2))
      place.start()
      assert.strictEqual(await place.runner({ lease }).end(), 0)
      // Rows that were made again know no claims: a runner asks the folder for those.
      const found = place.rows()
      assert.strictEqual(place.starts().length, 4)
      assert.deepInclude(place.outcome(found), before)
      // On a disk where nothing of it is, the file comes from the rows, and what other machines have done stays done.
      rebuild("--runs", "elsewhere")
      const copied = JSON.parse(readFileSync(join(place.scratch, "elsewhere/sweeps/rates/sweep.json"), "utf8"))
      assert.deepStrictEqual(copied.entries, JSON.parse(readFileSync(file, "utf8")).entries)
      assert.deepStrictEqual(states(place.rows()), ["done", "done", "done", "done"])
      cpSync(join(place.scratch, "runs"), join(place.scratch, "elsewhere"), { recursive: true })
      assert.strictEqual(place.tapweight("sweep", "report", "rates", "--runs", "elsewhere").code, 0)
    }
  )
})
