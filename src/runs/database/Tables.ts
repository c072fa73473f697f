/** The tables that a sweep's runs have in a database, and the version of them. All of it can be made again from run folders. */
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"

/** The version that this one writes, and the latest that it reads. */
export const version = 2

const table = "tapweight_migrations"

const first = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE tapweight_sweep (
    name text PRIMARY KEY,
    program text NOT NULL,
    args json NOT NULL,
    pool text NOT NULL
  )`
  // until: when the claim lapses, by the database's clock, which is the only one that is ever asked.
  yield* sql`CREATE TABLE tapweight_trial (
    sweep text NOT NULL REFERENCES tapweight_sweep (name) ON DELETE CASCADE,
    id text NOT NULL,
    ordinal integer NOT NULL,
    settings json NOT NULL,
    seed bigint NOT NULL,
    levels text,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    cancel boolean NOT NULL DEFAULT false,
    round integer NOT NULL DEFAULT 0,
    claim integer NOT NULL DEFAULT 0,
    losses integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    stops integer NOT NULL DEFAULT 0,
    runner text,
    folder text,
    until timestamptz,
    note text,
    summary json,
    PRIMARY KEY (sweep, id)
  )`
})

/** Whether what runs is to stop without a checkpoint. */
const second = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE tapweight_trial ADD COLUMN at_once boolean NOT NULL DEFAULT false`
})

/** Makes the tables, or makes them what this version writes. */
export const migrate = Migrator.make({})({
  loader: Migrator.fromRecord({ "0001_sweeps": first, "0002_at_once": second }),
  table
})

/** The version of the tables that are there; 0 where there are none. */
export const present = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const [row] = yield* sql<{ readonly there: boolean }>`SELECT to_regclass(${table}) IS NOT NULL AS there`
  if (row?.there !== true) return 0
  const [latest] = yield* sql<{ readonly version: number | null }>`
    SELECT max(migration_id) AS version FROM ${sql(table)}`
  return latest?.version ?? 0
})
