// Effect's file system knows neither locks nor links.
import { lstatSync, statSync } from "node:fs"
import type * as Sqlite from "node:sqlite"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import { RunFileError } from "../../files/JsonFile.ts"
import type { ClaimError } from "./Claim.ts"
import { quietly } from "./Quietly.ts"

/** A run folder that cannot be had: another process works in it (`Held`), it is gone, or its disk knows no locks. */
export class FolderLockError extends Schema.TaggedError<FolderLockError>()("FolderLockError", {
  kind: Schema.Literals(["Held", "Gone", "Unlockable"]),
  folder: Schema.String,
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    return `${this.folder}: ${this.reason}`
  }
}

/** A run folder that belongs to this process. */
export interface FolderLock {
  /** Fails where the folder has been moved or deleted since, or its lock has, or where a later claim was given out. */
  readonly intact: Effect.Effect<void, RunFileError | ClaimError>
}

const name = "run.lock"
const busy = 5

/** SQLite as Node has it: nothing is stored with it. */
const sqlite = (): typeof Sqlite => quietly(() => process.getBuiltinModule("node:sqlite"))

/** An exclusive lock on a file, of the kernel's: it ends with the process, and lasts while that is only stopped. */
const lock = (folder: string, file: string, milliseconds: number) => {
  const failing = (kind: FolderLockError["kind"], reason: string) => new FolderLockError({ kind, folder, reason })
  return Effect.try({
    try: () => {
      const there = lstatSync(file, { throwIfNoEntry: false })
      if (there !== undefined && (!there.isFile() || there.size > 0)) {
        throw failing("Unlockable", `its ${name} is no lock: remove it`)
      }
      const database = new (sqlite().DatabaseSync)(file, { timeout: milliseconds })
      try {
        // In memory, or the transaction would begin by writing a journal.
        database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
      } catch (cause) {
        database.close()
        throw cause
      }
      return database
    },
    catch: (cause) => {
      if (cause instanceof FolderLockError) return cause
      const { errcode, message } = cause as { readonly errcode?: number; readonly message: string }
      if (errcode === busy) return failing("Held", "another process works in it")
      if (statSync(folder, { throwIfNoEntry: false }) === undefined) return failing("Gone", "there is no such folder")
      return failing(
        "Unlockable",
        `it cannot be locked (${message}): use a folder on a local disk, which one may write`
      )
    }
  })
}

const identity = (file: string): string | undefined => {
  const found = statSync(file, { throwIfNoEntry: false, bigint: true })
  return found === undefined ? undefined : `${found.dev}:${found.ino}`
}

// A lock goes with its database, which must not be collected as garbage where nothing else refers to whoever holds it.
const databases = new Set<Sqlite.DatabaseSync>()

/**
 * Holds a run folder for this process until the scope ends. `renamed` is where the folder goes while it is held. Waits for a
 * moment by default, because whoever asks whether it is held holds it so long.
 */
export const hold = Effect.fnUntraced(function* (
  path: string,
  { milliseconds = 500, renamed = path }: { readonly milliseconds?: number; readonly renamed?: string } = {}
) {
  const { join } = yield* Path.Path
  const file = join(path, name)
  yield* Effect.acquireRelease(
    Effect.map(lock(path, file, milliseconds), (database) => (databases.add(database), database)),
    (database) =>
      Effect.sync(() => {
        database.close()
        databases.delete(database)
      })
  )
  const own = identity(file)
  const intact = Effect.suspend(() => {
    if (identity(join(renamed, name)) === own) return Effect.void
    const reason = "the run's folder was moved or deleted while it ran, or its run.lock was: what came after is lost"
    return Effect.fail(new RunFileError({ file: renamed, reason }))
  })
  return { intact } satisfies FolderLock as FolderLock
})

/** Whether a process works in a run folder, even one that is stopped. */
export const isHeld = Effect.fnUntraced(function* (folder: string) {
  const file = (yield* Path.Path).join(folder, name)
  if (identity(file) === undefined) return false
  return yield* lock(folder, file, 0).pipe(
    Effect.map((database) => {
      database.close()
      return false
    }),
    Effect.catchTag("FolderLockError", ({ kind }) => Effect.succeed(kind === "Held"))
  )
})
