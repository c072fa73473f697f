/** A Postgres database that hands a sweep's runs out to runners: the connection, the tables, the queue. */
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as SqlClient from "effect/sql/SqlClient"
import { because, DatabaseError } from "./DatabaseError.ts"
import * as Tables from "./Tables.ts"

/** What a queue hands out: a run, and how often it was queued anew. An item whose round is not its row's is of no use. */
export const Item = Schema.Struct({ sweep: Schema.String, id: Schema.String, round: Schema.Int })
export type Item = typeof Item.Type

/** A connection, and what is done over it: a statement's error says what the database said, and no secret. */
export interface Database {
  readonly sql: SqlClient.SqlClient
  readonly queue: (pool: string) => Effect.Effect<PersistedQueue.PersistedQueue<Item>>
  readonly asked: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, DatabaseError, R>
}

/** The package that speaks to Postgres, which is installed beside this one by those who need it. */
export const install = "npm install @effect/sql-pg@4.0.5"

const client = (url: Redacted.Redacted): Effect.Effect<typeof PgClient, DatabaseError> =>
  Effect.tryPromise({
    try: () => import("@effect/sql-pg/PgClient"),
    catch: () => because(url, "Missing")(`it takes a package that is not installed: ${install}`)
  })

/** Seconds in which a database that is there answers. */
const patience = 10

/** Opens a database, without a look at its tables. */
const open = Effect.fnUntraced(function* (url: Redacted.Redacted, connections: number) {
  if (!/^postgres(?:ql)?:\/\//.test(Redacted.value(url))) {
    const reason = "its address is none: postgresql://USER:PASSWORD@HOST/NAME"
    return yield* new DatabaseError({ kind: "Refused", address: "that is named", reason })
  }
  const { layer } = yield* client(url)
  const options = { url, maxConnections: connections, applicationName: "tapweight", keepAlive: "30 seconds" } as const
  const context = yield* Effect.mapError(Layer.build(layer(options)), because(url, "Unreachable"))
  const sql = Context.get(context, SqlClient.SqlClient)
  const [row] = yield* sql<{ readonly version: string }>`SELECT current_setting('server_version') AS version`.pipe(
    Effect.timeoutOrElse({
      duration: Duration.seconds(patience),
      orElse: () => Effect.fail(`it does not answer within ${patience} seconds`)
    }),
    Effect.mapError(because(url, "Unreachable"))
  )
  return { sql, server: row!.version }
})

/** Refuses tables that a later version has made. */
const refuseLater = Effect.fnUntraced(function* (url: Redacted.Redacted, tables: number) {
  if (tables <= Tables.version) return
  const reason = `its tables are of version ${tables}, and this TapWeight knows version ${Tables.version}: update it`
  return yield* because(url, "Later")(reason)
})

/** What is there, for whoever only wants to know: the server's version and that of the tables, 0 where there are none. */
export const inspect = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const { server, sql } = yield* open(url, 1)
    const tables = yield* Tables.present.pipe(
      Effect.provideService(SqlClient.SqlClient, sql),
      Effect.mapError(because(url, "Refused"))
    )
    yield* refuseLater(url, tables)
    return { server, tables }
  }).pipe(Effect.scoped)

/** No item is ever given up by its queue: only the row of a run gives up. */
const maxAttempts = 2 ** 31 - 1

/**
 * Opens a database for the scope, with the tables as this version has them. `lease` is how many seconds an item stays with a process
 * that is silent.
 */
export const connect = Effect.fnUntraced(function* (
  url: Redacted.Redacted,
  { connections = 3, lease = 60 }: { readonly connections?: number; readonly lease?: number } = {}
) {
  const { sql } = yield* open(url, connections)
  const asked: Database["asked"] = (work) => Effect.mapError(work, because(url, "Refused"))
  const tables = yield* asked(
    Effect.andThen(Tables.migrate, Tables.present).pipe(Effect.provideService(SqlClient.SqlClient, sql))
  )
  yield* refuseLater(url, tables)
  const store = PersistedQueue.layerStoreSql({
    tableName: "tapweight_queue",
    pollInterval: "1 second",
    lockRefreshInterval: Duration.seconds(lease / 4),
    lockExpiration: Duration.seconds(lease)
  })
  const context = yield* Layer.build(PersistedQueue.layer.pipe(Layer.provide(store))).pipe(
    Effect.provideService(SqlClient.SqlClient, sql),
    // It writes pages of what is no more than a database that is silent for a while, which a runner says in a line.
    Effect.provideService(References.MinimumLogLevel, "Fatal"),
    Effect.mapError(because(url, "Refused")),
    Effect.catchDefect((defect) => Effect.fail(because(url, "Refused")(defect)))
  )
  const factory = Context.get(context, PersistedQueue.PersistedQueueFactory)
  const queue: Database["queue"] = (pool) =>
    factory.make({ name: pool, schema: Item, maxAttempts, retrySchedule: Schedule.spaced("2 seconds") })
  return { asked, queue, sql } satisfies Database as Database
})
