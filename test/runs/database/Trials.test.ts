import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { errorExitCode } from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as SweepDatabase from "../../../src/cli/doctor/SweepDatabase.ts"
import * as Database from "../../../src/runs/database/Database.ts"
import { because } from "../../../src/runs/database/DatabaseError.ts"
import * as Leases from "../../../src/runs/database/Leases.ts"
import * as Tables from "../../../src/runs/database/Tables.ts"
import * as Trials from "../../../src/runs/database/Trials.ts"
import type * as SweepFolder from "../../../src/runs/sweep/SweepFolder.ts"
import { installed, server, type Server } from "../../support/postgres.ts"

describe.skipIf(!installed)("a sweep in a database", () => {
  let postgres: Server
  let made = 0
  beforeAll(async () => void (postgres = await server()), 120_000)
  afterAll(() => postgres?.remove(), 120_000)

  const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.runPromise(Effect.scoped(effect))
  /** A connection to a database of its own. */
  const fresh = Effect.suspend(() =>
    Database.connect(Redacted.make(postgres.database(`trials${made++}`)), { lease: 5 })
  )
  const entry = (seed: number, rate = 0.1, id = `r${rate}s${seed}`): SweepFolder.Entry => ({
    id,
    settings: { rate, "model.name": "é'\"\\ $1" },
    seed,
    levels: `0:${"0".repeat(20)}`
  })
  const asked = (entries: ReadonlyArray<SweepFolder.Entry>, pool = "default"): Trials.Asked => ({
    file: { version: 1, name: "rates", program: "program.ts", entries },
    args: ["--engine", "cpu"],
    pool
  })
  const claimant = { runner: "a:1", seconds: 5, folder: "a:/runs", above: 0 }
  const item = (id: string, round = 0): Database.Item => ({ sweep: "rates", id, round })
  const taken = Effect.fnUntraced(function* (database: Database.Database, id: string, round = 0, who = claimant) {
    const claimed = yield* Leases.claim(database, item(id, round), who)
    if (typeof claimed === "string") throw new Error(claimed)
    return claimed
  })
  /** Lets the claims of all runs lapse. */
  const lapse = ({ sql }: Database.Database) =>
    sql`UPDATE tapweight_trial SET until = clock_timestamp() - interval '1 second'`
  const states = (database: Database.Database) =>
    Effect.map(Trials.rows(database, "rates"), (rows) => rows.map(({ state }) => state))

  it("makes its tables once, whoever else does at the same time, and has what it was given", () =>
    run(
      Effect.gen(function* () {
        const url = Redacted.make(postgres.database("together"))
        assert.strictEqual((yield* Database.inspect(url)).tables, 0)
        const all = yield* Effect.forEach([1, 2, 3, 4], () => Database.connect(url), { concurrency: "unbounded" })
        assert.strictEqual((yield* Database.inspect(url)).tables, Tables.version)
        const entries = [entry(0), entry(-3), entry(2 ** 40)]
        const fresh = yield* Effect.forEach(all, (each) => Trials.add(each, asked(entries)), { concurrency: 4 })
        assert.deepStrictEqual(fresh.toSorted(), [0, 0, 0, 3])
        assert.deepStrictEqual((yield* Trials.rows(all[0]!, "rates")).map(Trials.entryOf), entries)
        assert.deepStrictEqual(yield* Trials.sweep(all[0]!, "rates"), {
          program: "program.ts",
          args: ["--engine", "cpu"],
          pool: "default"
        })
      })
    ))

  it("gives a run to one of those that claim it, until it ends or they fall silent", () =>
    run(
      Effect.gen(function* () {
        const database = yield* fresh
        yield* Trials.add(database, asked([entry(0)]))
        const both = yield* Effect.forEach([1, 2, 3], () => Leases.claim(database, item("r0.1s0"), claimant), {
          concurrency: "unbounded"
        })
        const [first] = both.filter((each) => typeof each !== "string")
        assert.deepStrictEqual(
          both.filter((each) => each !== first),
          ["Held", "Held"]
        )
        assert.deepInclude(first, { claim: 1, program: "program.ts", args: ["--engine", "cpu"], entry: entry(0) })
        assert.strictEqual(yield* Leases.beat(database, first!, 5), "kept")
        yield* lapse(database)
        assert.isTrue((yield* Trials.rows(database, "rates"))[0]!.lost)
        // A beat that comes late is none the worse, as long as nobody else has come.
        assert.strictEqual(yield* Leases.beat(database, first!, 5), "kept")
        yield* lapse(database)
        const second = yield* taken(database, "r0.1s0", 0, { ...claimant, above: 6 })
        assert.strictEqual(second.claim, 7)
        const before = yield* Trials.rows(database, "rates")
        assert.strictEqual(yield* Leases.beat(database, first!, 5), "lost")
        for (const end of ["done", "failed", "stopped", "untouched"] as const)
          assert.strictEqual(yield* Leases.settle(database, first!, { end }), "stale")
        assert.deepStrictEqual(yield* Trials.rows(database, "rates"), before)
        assert.strictEqual(yield* Leases.settle(database, second, { end: "done", summary: { loss: 0.5 } }), "done")
        assert.strictEqual(yield* Leases.settle(database, second, { end: "failed" }), "stale")
        assert.strictEqual(yield* Leases.claim(database, item("r0.1s0"), claimant), "Nothing")
        const [row] = yield* Trials.rows(database, "rates")
        assert.deepInclude(row, { state: "done", losses: 1, failures: 0, claim: 7, summary: { loss: 0.5 } })
        assert.strictEqual(yield* Trials.left(database, "default"), 0)
      })
    ))

  it("gives up what fails three times, what cannot be mended by trying, and what ends its runners", () =>
    run(
      Effect.gen(function* () {
        const database = yield* fresh
        yield* Trials.add(database, asked([entry(0), entry(1), entry(2)]))
        const tried: Array<string> = []
        for (let i = 0; i < 3; i++) {
          const claimed = yield* taken(database, "r0.1s0")
          tried.push(yield* Leases.settle(database, claimed, { end: "failed", note: "it broke" }))
          if (i < 2) yield* Leases.settle(database, yield* taken(database, "r0.1s0"), { end: "stopped" })
        }
        assert.deepStrictEqual(tried, ["queued", "queued", "failed"])
        const hopeless = yield* taken(database, "r0.1s1")
        assert.strictEqual(yield* Leases.settle(database, hopeless, { end: "failed", hopeless: true }), "failed")
        let claims = 0
        while (typeof (yield* Leases.claim(database, item("r0.1s2"), claimant)) !== "string") {
          claims++
          yield* lapse(database)
        }
        assert.strictEqual(claims, Leases.patience)
        const rows = yield* Trials.rows(database, "rates")
        assert.deepStrictEqual(
          rows.map(({ failures, losses, state, stops }) => [state, failures, losses, stops]),
          [
            ["failed", 3, 0, 2],
            ["failed", 1, 0, 0],
            ["failed", 0, 5, 0]
          ]
        )
        assert.deepStrictEqual(
          rows.map(({ note }) => note?.slice(0, 10)),
          ["it broke", undefined, "its runner"]
        )
        assert.strictEqual(yield* Trials.retry(database, "rates", "default"), 3)
        assert.deepStrictEqual(yield* states(database), ["queued", "queued", "queued"])
        // What its queue still holds of the round before is of no use.
        assert.strictEqual(yield* Leases.claim(database, item("r0.1s0", 0), claimant), "Nothing")
        assert.strictEqual((yield* taken(database, "r0.1s0", 1)).failures, 0)
      })
    ))

  it("makes tables of the first version what they are now, with what is in them", () =>
    run(
      Effect.gen(function* () {
        const url = Redacted.make(postgres.database("older"))
        const before = yield* Database.connect(url)
        yield* Trials.add(before, asked([entry(0)]))
        yield* before.sql`ALTER TABLE tapweight_trial DROP COLUMN at_once`
        yield* before.sql`DELETE FROM tapweight_migrations WHERE migration_id > 1`
        assert.strictEqual((yield* Database.inspect(url)).tables, 1)
        const now = yield* Database.connect(url)
        assert.strictEqual((yield* Database.inspect(url)).tables, Tables.version)
        assert.deepStrictEqual(yield* states(now), ["queued"])
        assert.strictEqual(yield* Leases.beat(now, yield* taken(now, "r0.1s0"), 5), "kept")
      })
    ))

  it("cancels what is queued at once, what runs when it says so, and nothing that is done", () =>
    run(
      Effect.gen(function* () {
        const database = yield* fresh
        const entries = [0, 1, 2, 3, 4].map((seed) => entry(seed))
        yield* Trials.add(database, asked(entries))
        const [stops, ends, silent] = [
          yield* taken(database, "r0.1s0"),
          yield* taken(database, "r0.1s1"),
          yield* taken(database, "r0.1s2")
        ]
        yield* Leases.settle(database, yield* taken(database, "r0.1s3"), { end: "done" })
        yield* lapse(database)
        for (const claimed of [stops, ends]) yield* Leases.beat(database, claimed, 5)
        assert.deepStrictEqual(yield* Trials.cancel(database, "rates", "r0.1s4"), { cancelled: 1, stopping: 0 })
        assert.deepStrictEqual(yield* Trials.cancel(database, "rates", undefined), { cancelled: 1, stopping: 2 })
        assert.strictEqual(yield* Leases.beat(database, stops, 5), "cancelled")
        yield* Trials.cancel(database, "rates", undefined, true)
        // Whoever is told to stop at once is not told afterwards that there is time.
        yield* Trials.cancel(database, "rates", undefined)
        assert.strictEqual(yield* Leases.beat(database, stops, 5), "cancelled at once")
        assert.strictEqual(yield* Leases.settle(database, stops, { end: "stopped" }), "cancelled")
        assert.strictEqual(yield* Leases.settle(database, ends, { end: "done" }), "done")
        assert.strictEqual(yield* Leases.settle(database, silent, { end: "done" }), "stale")
        assert.deepStrictEqual(yield* states(database), ["cancelled", "done", "cancelled", "done", "cancelled"])
        for (const seed of [0, 2, 4])
          assert.strictEqual(yield* Leases.claim(database, item(`r0.1s${seed}`), claimant), "Nothing")
        // Started again, it goes on.
        assert.strictEqual(yield* Trials.add(database, asked(entries)), 0)
        assert.deepStrictEqual(yield* states(database), ["queued", "done", "queued", "done", "queued"])
        const again = yield* taken(database, "r0.1s0", 1)
        assert.isAbove(again.claim, stops.claim)
        assert.strictEqual(yield* Leases.beat(database, again, 5), "kept")
        yield* Trials.cancel(database, "rates", undefined)
        assert.strictEqual(yield* Leases.beat(database, again, 5), "cancelled")
      })
    ))

  it("takes what is added alone, drops what was of another program, and moves what waits to another pool", () =>
    run(
      Effect.gen(function* () {
        const database = yield* fresh
        yield* Trials.add(database, asked([entry(0), entry(1), entry(2)]))
        yield* Leases.settle(database, yield* taken(database, "r0.1s0"), { end: "done" })
        const running = yield* taken(database, "r0.1s1")
        assert.strictEqual(yield* Trials.add(database, asked([entry(3), entry(0)])), 1)
        assert.deepStrictEqual(yield* states(database), ["done", "running", "queued", "queued"])
        const changed = [0, 1, 2].map((seed) => entry(seed, 0.1, `other${seed}`))
        assert.strictEqual(yield* Trials.add(database, asked(changed, "gpu")), 3)
        const rows = yield* Trials.rows(database, "rates")
        assert.deepStrictEqual(
          rows.map(({ id, state }) => `${id} ${state}`),
          ["r0.1s1 running", "r0.1s3 queued", "other0 queued", "other1 queued", "other2 queued"]
        )
        assert.strictEqual(yield* Leases.settle(database, running, { end: "done" }), "done")
        const waiting = yield* database.queue("gpu")
        const taking = waiting.take(({ id, round }) => Effect.succeed(`${id} ${round}`))
        const handed = yield* Effect.all([taking, taking, taking, taking])
        assert.sameMembers(handed, ["r0.1s3 1", "other0 0", "other1 0", "other2 0"])
      })
    ))

  it("hands out an item once while it is worked on for longer than a lease, and again when it is given back", () =>
    run(
      Effect.gen(function* () {
        const url = Redacted.make(postgres.database("long"))
        const [one, other] = [yield* Database.connect(url, { lease: 3 }), yield* Database.connect(url, { lease: 3 })]
        yield* Trials.add(one, asked([entry(0)]))
        let [now, most, handed] = [0, 0, 0]
        const taking = ({ queue }: Database.Database, end: Effect.Effect<void, string>) =>
          Effect.flatMap(queue("default"), (items) =>
            items.take(() =>
              Effect.suspend(() => {
                handed++
                most = Math.max(most, ++now)
                return Effect.andThen(Effect.sleep(handed === 1 ? "5 seconds" : "0 seconds"), end)
              }).pipe(Effect.ensuring(Effect.sync(() => void now--)))
            )
          )
        const late = Effect.delay(taking(other, Effect.void), "1 second")
        yield* Effect.all([Effect.ignore(taking(one, Effect.fail("given back"))), late], { concurrency: 2 })
        assert.deepStrictEqual([most, handed], [1, 2])
      })
    ))

  it("is made again from what folders show, and queues anew what nobody holds", () =>
    run(
      Effect.gen(function* () {
        const database = yield* fresh
        const entries = [0, 1, 2, 3].map((seed) => entry(seed))
        const shown = (states: ReadonlyArray<SweepFolder.State>) =>
          states.map((state, i) => ({ entry: entries[i]!, state, folder: `a:/runs/${i}` }))
        const spec = asked(entries)
        const made = yield* Trials.rebuild(database, spec, shown(["done", "failed", "cancelled", "queued"]))
        assert.deepStrictEqual(made, { made: 4, queued: 1 })
        assert.deepStrictEqual(yield* states(database), ["done", "failed", "cancelled", "queued"])
        const there = { ...claimant, folder: "a:/runs/3" }
        yield* Leases.settle(database, yield* taken(database, "r0.1s3", 1, there), { end: "done" })
        // One has been done by hand since, the result of another is gone; that of a third is another machine's to know.
        const later = yield* Trials.rebuild(database, spec, shown(["queued", "done", "done", "queued"]))
        assert.deepStrictEqual(later, { made: 0, queued: 1 })
        assert.deepStrictEqual(yield* states(database), ["done", "done", "done", "queued"])
        yield* taken(database, "r0.1s3", 2)
        yield* lapse(database)
        yield* Trials.rebuild(database, spec, shown(["done", "done", "done", "running"]))
        assert.strictEqual((yield* taken(database, "r0.1s3", 3)).claim, 3)
      })
    ))

  it("is refused where it is a later version's, or cannot be had, and no error tells a secret", () =>
    run(
      Effect.gen(function* () {
        const name = "later"
        const url = Redacted.make(postgres.database(name))
        yield* Database.connect(url)
        postgres.ask(name, "INSERT INTO tapweight_migrations VALUES (99, now(), 'later')")
        const failing = (text: string) => Effect.flip(Database.connect(Redacted.make(text)))
        const later = yield* Effect.flip(Database.connect(url))
        assert.deepStrictEqual([later.kind, later[errorExitCode]], ["Later", 2])
        assert.include(later.message, `database owner@127.0.0.1`)
        const silent = yield* failing("postgresql://me:geheim%20nis@127.0.0.1:1/x?password=geheim%20nis")
        assert.deepStrictEqual([silent.kind, silent[errorExitCode]], ["Unreachable", 1])
        const none = yield* failing(Redacted.value(url).replace(/[a-z]+$/, "nobody"))
        const odd = yield* failing("mysql://me:geheim@127.0.0.1/x")
        const worse = yield* failing("postgresql://me:geheim nis@[/x")
        for (const { message } of [later, silent, none, odd, worse]) assert.notMatch(message, /geheim|nis|secret/)
        const quoted = because(Redacted.make("postgresql://me:a%24b@host/x"), "Refused")(new Error("no a$b, nor a%24b"))
        assert.strictEqual(quoted.message, "database me@host/x: no …, nor …")
      })
    ))

  it("is told of by doctor, which makes nothing in it", () =>
    run(
      Effect.gen(function* () {
        const url = postgres.database("visited")
        const check = (text: string) => SweepDatabase.check(Option.some({ url: Redacted.make(text), flag: true }))
        const empty = yield* check(url)
        assert.deepInclude(empty, { status: "ok", remedy: null })
        assert.match(empty.says, /^owner@127\.0\.0\.1:\d+\/visited: PostgreSQL \d+.*, no sweep yet/)
        assert.strictEqual(postgres.ask("visited", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0")
        yield* Database.connect(Redacted.make(url))
        assert.include((yield* check(url)).says, `, tables of version ${Tables.version}`)
        postgres.ask("visited", "INSERT INTO tapweight_migrations VALUES (99, now(), 'later')")
        const nobody = yield* check("postgresql://me:geheim@127.0.0.1:1/x")
        for (const one of [yield* check(url), nobody, yield* check("nothing")]) {
          assert.strictEqual(one.status, "fault")
          assert.isNotNull(one.remedy)
          assert.notMatch(one.says, /geheim|secret/)
        }
        assert.strictEqual((yield* SweepDatabase.check(Option.none())).status, "absent")
      })
    ))

  it("says of a thousand runs what they are in less than a second", () =>
    run(
      Effect.gen(function* () {
        const database = yield* fresh
        const entries = Array.from({ length: 1000 }, (_, seed) => entry(seed))
        assert.strictEqual(yield* Trials.add(database, asked(entries)), 1000)
        const rates: Array<number> = []
        for (let i = 0; i < 5; i++) {
          const before = performance.now()
          assert.strictEqual((yield* Trials.rows(database, "rates")).length, 1000)
          rates.push(performance.now() - before)
        }
        assert.isBelow(Math.min(...rates), 1000)
      })
    ))
})
