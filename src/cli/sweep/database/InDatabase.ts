/** What the commands of sweeps do in a database: loaded by those that are given one. */
import { hostname } from "node:os"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import type * as Redacted from "effect/Redacted"
import * as Database from "../../../runs/database/Database.ts"
import { address } from "../../../runs/database/DatabaseError.ts"
import * as Trials from "../../../runs/database/Trials.ts"
import * as SweepFolder from "../../../runs/sweep/SweepFolder.ts"
import * as Launch from "../../launch/Launch.ts"
import { chosen } from "../Chosen.ts"
import * as Following from "../Following.ts"
import { recovered } from "./Recovered.ts"
import { SweepError } from "../SweepError.ts"
import * as SweepText from "../SweepText.ts"

/** A file of a sweep as a database has it: runners find the program from the folder in which they are started. */
const portable = Effect.fnUntraced(function* (file: SweepFolder.SweepFile) {
  const path = yield* Path.Path
  if (!path.isAbsolute(file.program)) return file
  const near = path.relative(process.cwd(), file.program)
  return near.startsWith("..") || path.isAbsolute(near) ? file : { ...file, program: near }
})

/** The way a sweep's program is written in its folder: there it is the whole path. */
const located = Effect.fnUntraced(function* (program: string) {
  const path = yield* Path.Path
  return /[/\\.]/.test(program) ? path.resolve(program) : program
})

/** How a sweep of a database is started; refuses one that is not there. */
const known = Effect.fnUntraced(function* (database: Database.Database, url: Redacted.Redacted, name: string) {
  const sweep = yield* Trials.sweep(database, name)
  if (sweep !== undefined) return sweep
  const names = yield* Trials.names(database)
  const there = names.length === 0 ? "none at all" : names.slice(0, 20).join(", ")
  const reason = `there is none of this name in ${address(url)}: there is ${there}. (Without TAPWEIGHT_DB and --db, run folders are looked at)`
  return yield* new SweepError({ sweep: name, reason, failed: false })
})

/** Queues a sweep's runs, and returns. */
export const start = Effect.fnUntraced(function* (
  url: Redacted.Redacted,
  file: SweepFolder.SweepFile,
  args: ReadonlyArray<string>,
  pool: string,
  format: "text" | "json"
) {
  const database = yield* Database.connect(url)
  const fresh = yield* Trials.add(database, { file: yield* portable(file), args, pool })
  const rows = yield* Trials.rows(database, file.name)
  const text = [
    `sweep ${file.name}: ${file.entries.length} runs, ${fresh} new, in ${address(url)}`,
    SweepText.rows(file.name, rows),
    `on each machine, in the folder that is there as this one is here:  tapweight runner --slots 1${pool === "default" ? "" : ` --pool ${pool}`}`
  ]
  yield* Launch.print(format, text.join("\n"), rows)
}, Effect.scoped)

/** Prints what a sweep's runs are. */
export const status = Effect.fnUntraced(function* (
  url: Redacted.Redacted,
  name: string,
  format: "text" | "json",
  watch: boolean
) {
  const database = yield* Database.connect(url)
  yield* known(database, url, name)
  const look = Effect.map(Trials.rows(database, name), (rows) => ({
    text: SweepText.rows(name, rows),
    json: rows,
    states: rows.map(({ state }) => state)
  }))
  yield* Following.say(look, format, watch)
}, Effect.scoped)

/** Stops a sweep, or one of its runs. */
export const cancel = Effect.fnUntraced(function* (
  url: Redacted.Redacted,
  name: string,
  trial: string | undefined,
  now: boolean,
  format: "text" | "json"
) {
  const database = yield* Database.connect(url)
  yield* known(database, url, name)
  const id = trial === undefined ? undefined : (yield* chosen(name, yield* Trials.rows(database, name), trial)).id
  const { cancelled, stopping } = yield* Trials.cancel(database, name, id, now)
  const told = now ? "to be killed" : "told to save a checkpoint and stop"
  const text = `sweep ${name}: ${cancelled} cancelled, ${stopping} ${told}. Start it to go on`
  yield* Launch.print(format, text, { sweep: name, cancelled, stopping, now })
}, Effect.scoped)

/** Queues again what failed. */
export const retry = Effect.fnUntraced(function* (url: Redacted.Redacted, name: string, format: "text" | "json") {
  const database = yield* Database.connect(url)
  const { pool } = yield* known(database, url, name)
  const count = yield* Trials.retry(database, name, pool)
  yield* Launch.print(format, `sweep ${name}: ${count} failed runs are queued again`, { sweep: name, queued: count })
}, Effect.scoped)

/** Makes of a sweep's folder and of its rows what each of them lacks, and of the rows what the run folders show. */
export const rebuild = Effect.fnUntraced(function* (
  url: Redacted.Redacted,
  name: string,
  runs: string,
  pool: string,
  format: "text" | "json"
) {
  const folder = yield* SweepFolder.pathOf((yield* Path.Path).resolve(runs), name)
  const database = yield* Database.connect(url)
  const [sweep, rows] = [yield* Trials.sweep(database, name), yield* Trials.rows(database, name)]
  const written = (yield* SweepFolder.read(folder)) ?? (yield* recovered(folder, name))
  if (sweep === undefined && written === undefined) {
    const reason = `there is none of this name in ${address(url)}, nor in ${runs}`
    return yield* new SweepError({ sweep: name, reason, failed: false })
  }
  const program = written?.program ?? (yield* located(sweep!.program))
  const entries = SweepFolder.merged(rows.map(Trials.entryOf), written?.entries ?? [])
  const args = sweep?.args ?? written?.args ?? []
  const file: SweepFolder.SweepFile = { version: 1, name, program, args, entries }
  yield* SweepFolder.add(folder, file)
  const shown = yield* Effect.forEach(entries, (entry) => {
    const run = SweepFolder.runFolder(folder, file, entry)
    return Effect.map(SweepFolder.stateOf(folder, run), (state) => ({
      entry,
      state,
      folder: `${hostname()}:${run.path}`
    }))
  })
  const spec = { file: yield* portable(file), args, pool: sweep?.pool ?? pool }
  const { made, queued } = yield* Trials.rebuild(database, spec, shown)
  const now = yield* Trials.rows(database, name)
  const found = entries.length - (written?.entries.length ?? 0)
  const text = [
    `sweep ${name}: ${made} runs came from the folders, ${found} from the database; ${queued} are queued`,
    SweepText.rows(name, now)
  ]
  yield* Launch.print(format, text.join("\n"), { sweep: name, made, found, queued, rows: now })
}, Effect.scoped)

/** What of a database works, in words. */
export const inspect = (url: Redacted.Redacted) =>
  Effect.map(Database.inspect(url), ({ server, tables }) => {
    const made = tables === 0 ? "no sweep yet: the first makes its tables" : `tables of version ${tables}`
    return `${address(url)}: PostgreSQL ${server}, ${made}`
  })
