/** What was worked out, kept in one SQLite file, in which several processes may read and write at once. */
import { mkdirSync, renameSync, statSync } from "node:fs"
import { dirname } from "node:path"
import type * as Sqlite from "node:sqlite"
import { crc32 } from "node:zlib"
import * as Effect from "effect/Effect"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import { ExitCode } from "tapweight"

/** A cache that cannot be read or written. What it has already stays good: the same command goes on from there. */
export class CacheError extends Schema.TaggedError<CacheError>()("CacheError", {
  file: Schema.String,
  problem: Schema.Literals(["disk full", "unusable", "damaged"]),
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
  override get message(): string {
    return `cache ${this.file}: ${this.reason}`
  }
}

/** What is kept of a thing: bytes, one at least; or that there are none, after so many seconds where it was time that was lacking. */
export interface Entry {
  readonly bytes: Uint8Array<ArrayBuffer> | null
  readonly seconds: number | null
}

/** An open file of entries, each known by its kind and key. Its functions throw SQLite's errors. */
export interface Store {
  readonly file: string
  /** An entry; undefined where there is none, "damaged" where it is not what was written. */
  readonly find: (kind: string, key: string) => Entry | "damaged" | undefined
  /** Writes entries, all or none. What has bytes is not replaced by what has none. */
  readonly write: (kind: string, entries: Iterable<readonly [key: string, entry: Entry]>) => void
}

const schema = `
  pragma busy_timeout = 60000;
  create table if not exists entries (
    kind text not null,
    key text not null,
    bytes blob,
    seconds real,
    sum integer not null,
    primary key (kind, key)
  ) strict`

const sumOf = (kind: string, key: string, { bytes, seconds }: Entry): number =>
  crc32(bytes ?? "", crc32(`${kind}\n${key}\n${seconds}\n${bytes === null}`))

/** Node's SQLite. Node 22 calls it experimental in a warning at its first use, which is not for the users of a cache. */
const sqlite = (): typeof Sqlite => {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return process.getBuiltinModule("node:sqlite")
  } finally {
    process.emitWarning = emitWarning
  }
}

const [full, corrupt, notDatabase, busy] = [13, 11, 26, 5]

/** What an error of SQLite says of this file. */
export const errorOf =
  (file: string) =>
  (error: unknown): CacheError => {
    const { errcode = 0, message } = error as Error & { readonly errcode?: number }
    // The low byte is the kind, the others say more.
    const code = errcode & 0xff
    if (code === full || (error as NodeJS.ErrnoException).code === "ENOSPC") {
      const reason =
        "the disk is full. Free some space or choose another folder; what is done is kept, run the same again"
      return new CacheError({ file, problem: "disk full", reason })
    }
    if (code === corrupt || code === notDatabase) return new CacheError({ file, problem: "damaged", reason: message })
    const why = code === busy ? "another process does not let go of it" : message
    const reason = `it cannot be used (${why}): choose another folder by TAPWEIGHT_CACHE`
    return new CacheError({ file, problem: "unusable", reason })
  }

const connect = (file: string): Sqlite.DatabaseSync => {
  mkdirSync(dirname(file), { recursive: true })
  const { DatabaseSync } = sqlite()
  const database = new DatabaseSync(file)
  try {
    database.exec(schema)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

const storeOf = (file: string, database: Sqlite.DatabaseSync): Store => {
  const select = database.prepare("select bytes, seconds, sum from entries where kind = ? and key = ?")
  const insert = database.prepare(`
    insert into entries (kind, key, bytes, seconds, sum) values (?, ?, ?, ?, ?)
    on conflict (kind, key) do update set bytes = excluded.bytes, seconds = excluded.seconds, sum = excluded.sum`)
  const find = (kind: string, key: string) => {
    const row = select.get(kind, key) as (Entry & { readonly sum: number }) | undefined
    if (row === undefined) return undefined
    return row.sum === sumOf(kind, key, row) ? row : "damaged"
  }
  const write: Store["write"] = (kind, entries) => {
    database.exec("begin immediate")
    try {
      for (const [key, entry] of entries) {
        const there = entry.bytes === null ? find(kind, key) : undefined
        // Another process has had more time for it.
        if (typeof there === "object" && there.bytes !== null) continue
        insert.run(kind, key, entry.bytes, entry.seconds, sumOf(kind, key, entry))
      }
      database.exec("commit")
    } catch (error) {
      // A full disk may have ended the transaction already.
      if (database.isTransaction) database.exec("rollback")
      throw error
    }
  }
  return { file, find, write }
}

const inodeOf = (file: string): number | undefined => statSync(file, { throwIfNoEntry: false })?.ino

/**
 * Uses the file, which is made where there is none and stays open until the scope ends. A damaged one is put aside, which a
 * warning says, and what was in it worked out again.
 */
export const use = Effect.fnUntraced(function* <A, E, R>(
  file: string,
  body: (store: Store) => Effect.Effect<A, E | CacheError, R>
) {
  const once = Effect.gen(function* () {
    const database = yield* Effect.acquireRelease(
      Effect.try({ try: () => connect(file), catch: errorOf(file) }),
      (database) => Effect.sync(() => database.close())
    )
    return yield* body(storeOf(file, database))
  })
  const inode = yield* Effect.try({ try: () => inodeOf(file), catch: errorOf(file) })
  return yield* Effect.catchIf(
    once,
    (error): error is CacheError & E => error instanceof CacheError && error.problem === "damaged",
    Effect.fnUntraced(function* ({ reason }) {
      yield* Effect.logWarning(`cache ${file}: it is damaged (${reason}); what was in it is worked out again`)
      // Another process may have put it aside since, and have begun a new one.
      if (inodeOf(file) === inode)
        yield* Effect.try({ try: () => renameSync(file, `${file}.damaged`), catch: errorOf(file) })
      return yield* once
    })
  )
})
