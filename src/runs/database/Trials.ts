/** A sweep in a database: its runs are queued, cancelled, queued again, and looked at. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SweepFolder from "../sweep/SweepFolder.ts"
import type { Database } from "./Database.ts"

/** How a sweep's runs are started, wherever they are. */
export interface Asked {
  /** The program and all entries. A program's path begins at the folder in which runners are started. */
  readonly file: SweepFolder.SweepFile
  readonly args: ReadonlyArray<string>
  readonly pool: string
}

/** What a database knows of one run. */
export const Row = Schema.Struct({
  id: Schema.String,
  settings: Schema.JsonObject,
  seed: Schema.Int,
  levels: Schema.NullOr(Schema.String),
  state: Schema.Literals(["queued", "running", "done", "failed", "cancelled"]),
  /** Whether it is to stop, and whether the runner that has it is silent for longer than its claim lasts. */
  cancel: Schema.Boolean,
  lost: Schema.Boolean,
  claim: Schema.Int,
  losses: Schema.Int,
  failures: Schema.Int,
  stops: Schema.Int,
  runner: Schema.NullOr(Schema.String),
  folder: Schema.NullOr(Schema.String),
  note: Schema.NullOr(Schema.String),
  summary: Schema.NullOr(Schema.Json)
})
export type Row = typeof Row.Type

/** An entry as a sweep's file has it. */
export const entryOf = ({ id, levels, seed, settings }: Pick<Row, "id" | "levels" | "seed" | "settings">) =>
  ({ id, settings, seed, ...(levels === null ? {} : { levels }) }) satisfies SweepFolder.Entry as SweepFolder.Entry

const decode = Schema.decodeUnknownEffect(Schema.Array(Row))

/** What is known of a sweep's runs, in order; none of a sweep that is not there. */
export const rows = ({ asked, sql }: Database, sweep: string) =>
  asked(
    Effect.flatMap(
      sql`SELECT id, settings, seed::float8 AS seed, levels, state, cancel, claim, losses, failures, stops, runner, folder, note,
            summary, coalesce(state = 'running' AND until < clock_timestamp(), false) AS lost
          FROM tapweight_trial WHERE sweep = ${sweep} ORDER BY ordinal`,
      decode
    )
  )

/** How a sweep's runs are started; undefined of a sweep that is not there. */
export const sweep = ({ asked, sql }: Database, name: string) =>
  asked(
    Effect.map(
      sql<{ readonly program: string; readonly args: ReadonlyArray<string>; readonly pool: string }>`
        SELECT program, args, pool FROM tapweight_sweep WHERE name = ${name}`,
      ([row]) => row
    )
  )

/** How many runs of a pool are neither over nor cancelled. */
export const left = ({ asked, sql }: Database, pool: string) =>
  asked(
    Effect.map(
      sql<{ readonly left: number }>`SELECT count(*)::integer AS left
        FROM tapweight_trial t JOIN tapweight_sweep s ON s.name = t.sweep
        WHERE s.pool = ${pool} AND t.state IN ('queued', 'running')`,
      ([row]) => row!.left
    )
  )

/** The names of all sweeps. */
export const names = ({ asked, sql }: Database) =>
  asked(
    Effect.map(sql<{ readonly name: string }>`SELECT name FROM tapweight_sweep ORDER BY name`, (all) =>
      all.map(({ name }) => name)
    )
  )

/** Puts items into a queue, within the transaction that makes their rows what they are. */
const offer = Effect.fnUntraced(function* (
  database: Database,
  pool: string,
  sweep: string,
  queued: ReadonlyArray<{ readonly id: string; readonly round: number }>
) {
  const queue = yield* database.queue(pool)
  for (const { id, round } of queued) yield* queue.offer({ sweep, id, round }, { id: `${sweep}/${id}/${round}` })
})

/** These ids, as a table. */
const ids = ({ sql }: Database, entries: ReadonlyArray<{ readonly id: string }>) =>
  sql`(SELECT json_array_elements_text(${JSON.stringify(entries.map(({ id }) => id))}::text::json))`

type Queued = { readonly id: string; readonly round: number }

/** Writes down how a sweep is started, and gives what was written there before: one that does waits for another that does. */
const begin = Effect.fnUntraced(function* ({ sql }: Database, { args, file, pool }: Asked) {
  const [before] = yield* sql<{ readonly pool: string }>`SELECT pool FROM tapweight_sweep WHERE name = ${file.name}`
  yield* sql`INSERT INTO tapweight_sweep (name, program, args, pool)
    VALUES (${file.name}, ${file.program}, ${JSON.stringify(args)}::text::json, ${pool})
    ON CONFLICT (name) DO UPDATE SET program = EXCLUDED.program, args = EXCLUDED.args, pool = EXCLUDED.pool`
  return before?.pool
})

/** Inserts rows for entries that have none, in their order, and gives these. */
const insert = ({ sql }: Database, sweep: string, entries: ReadonlyArray<SweepFolder.Entry>) =>
  sql<Queued>`INSERT INTO tapweight_trial (sweep, id, ordinal, settings, seed, levels)
    SELECT ${sweep}, given.id, (SELECT coalesce(max(ordinal), 0) FROM tapweight_trial WHERE sweep = ${sweep}) + given.place,
      given.settings, given.seed, given.levels
    FROM json_to_recordset(${JSON.stringify(entries.map((entry, place) => ({ ...entry, place: place + 1 })))}::text::json)
      AS given (id text, place integer, settings json, seed bigint, levels text)
    ON CONFLICT (sweep, id) DO NOTHING RETURNING id, round`

/** Queues what a sweep asks for and is neither queued nor done: what is new, and what was cancelled. Gives how many are new. */
export const add = (database: Database, spec: Asked) => {
  const { asked, sql } = database
  const { file, pool } = spec
  return asked(
    sql.withTransaction(
      Effect.gen(function* () {
        const poolBefore = yield* begin(database, spec)
        const before = (yield* rows(database, file.name)).map(entryOf)
        const kept = new Set(SweepFolder.merged(before, file.entries).map(({ id }) => id))
        const obsolete = before.filter(({ id }) => !kept.has(id))
        yield* sql`DELETE FROM tapweight_trial
          WHERE sweep = ${file.name} AND state <> 'running' AND id IN ${ids(database, obsolete)}`
        const fresh = yield* insert(database, file.name, file.entries)
        yield* sql`UPDATE tapweight_trial SET cancel = false, at_once = false
          WHERE sweep = ${file.name} AND state = 'running' AND cancel AND id IN ${ids(database, file.entries)}`
        // What waits in the queue of another pool is of no use there from now on.
        const moved = poolBefore !== undefined && poolBefore !== pool
        const again = yield* sql<Queued>`UPDATE tapweight_trial
          SET state = 'queued', cancel = false, at_once = false, note = NULL, round = round + 1
          WHERE sweep = ${file.name} AND (
            (state = 'cancelled' AND id IN ${ids(database, file.entries)})
            OR (${moved} AND state = 'queued' AND id NOT IN ${ids(database, fresh)}))
          RETURNING id, round`
        yield* offer(database, pool, file.name, [...fresh, ...again])
        return fresh.length
      })
    )
  )
}

/**
 * Cancels what is queued, and tells what runs to stop, `atOnce` without a checkpoint. Gives how many of each; of all of a sweep, or
 * one run.
 */
export const cancel = ({ asked, sql }: Database, sweep: string, id: string | undefined, atOnce = false) =>
  asked(
    Effect.map(
      sql<{ readonly state: string }>`UPDATE tapweight_trial SET cancel = true, at_once = at_once OR ${atOnce},
          state = CASE WHEN state = 'queued' OR until < clock_timestamp() THEN 'cancelled' ELSE state END
        WHERE sweep = ${sweep} AND state IN ('queued', 'running') AND (${id === undefined} OR id = ${id ?? ""})
        RETURNING state`,
      (changed) => ({
        cancelled: changed.filter(({ state }) => state === "cancelled").length,
        stopping: changed.filter(({ state }) => state === "running").length
      })
    )
  )

/** Queues again what failed. Gives how many. */
export const retry = (database: Database, name: string, pool: string) => {
  const { asked, sql } = database
  return asked(
    sql.withTransaction(
      Effect.gen(function* () {
        const again = yield* sql<Queued>`UPDATE tapweight_trial
          SET state = 'queued', cancel = false, at_once = false, note = NULL, failures = 0, losses = 0, round = round + 1
          WHERE sweep = ${name} AND state = 'failed' RETURNING id, round`
        yield* offer(database, pool, name, again)
        return again.length
      })
    )
  )
}

/** What the folders of a machine show of a sweep. */
export interface Shown {
  readonly entry: SweepFolder.Entry
  readonly state: SweepFolder.State
  /** The folder, as {@link Row} names it. */
  readonly folder: string
}

/**
 * Makes the rows of a sweep what its run folders show: those that are missing are made, what has a result is done, what was done in one
 * of these folders and has no result there is queued again. Whatever is queued is put into the queue anew, and so is what a runner has
 * fallen silent over.
 */
export const rebuild = (database: Database, spec: Asked, shown: ReadonlyArray<Shown>) => {
  const { asked, sql } = database
  const { file, pool } = spec
  const of = (...states: ReadonlyArray<SweepFolder.State>) =>
    ids(
      database,
      shown.flatMap(({ entry, state }) => (states.includes(state) ? [entry] : []))
    )
  return asked(
    sql.withTransaction(
      Effect.gen(function* () {
        yield* begin(database, spec)
        const fresh = yield* insert(database, file.name, file.entries)
        for (const state of ["failed", "cancelled"] as const) {
          yield* sql`UPDATE tapweight_trial SET state = ${state}
            WHERE sweep = ${file.name} AND id IN ${ids(database, fresh)} AND id IN ${of(state)}`
        }
        yield* sql`UPDATE tapweight_trial SET state = 'done', until = NULL, note = NULL
          WHERE sweep = ${file.name} AND state <> 'done' AND id IN ${of("done")}`
        const gone = `${JSON.stringify(shown.filter(({ state }) => state !== "done").map(({ folder }) => folder))}`
        const again = yield* sql<Queued>`UPDATE tapweight_trial SET state = 'queued', until = NULL, round = round + 1
          WHERE sweep = ${file.name} AND (state = 'queued'
            OR (state = 'running' AND until < clock_timestamp())
            OR (state = 'done' AND folder IN (SELECT json_array_elements_text(${gone}::text::json))))
          RETURNING id, round`
        yield* offer(database, pool, file.name, again)
        return { made: fresh.length, queued: again.length }
      })
    )
  )
}
