/**
 * Records on disk, found by content: a file's name is the hash of what it was worked out from. Longer lists that begin
 * alike share their files, a run that was stopped goes on where it was, and nothing is ever out of date.
 */
import { createHash } from "node:crypto"
import { closeSync, openSync, readSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { crc32 } from "node:zlib"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Disk } from "tapweight"
import { Chemistry, type ChemistryError } from "./Chemistry.ts"
import * as Records from "./Records.ts"
import * as Shard from "./Shard.ts"

/** A cache that cannot be read or written. What it holds already stays good: the same command goes on from there. */
export class CacheError extends Schema.TaggedError<CacheError>()("CacheError", {
  file: Schema.String,
  problem: Schema.Literals(["disk full", "unreadable", "unwritable", "damaged"]),
  reason: Schema.String
}) {
  override get message(): string {
    return `cache ${this.file}: ${this.reason}`
  }
}

/** Where the cache is unless said otherwise: $TAPWEIGHT_CACHE, or $XDG_CACHE_HOME/tapweight, or ~/.cache/tapweight. */
export const defaultFolder = (): string =>
  process.env["TAPWEIGHT_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tapweight")

/** Molecules a file. */
export const rowsPerFile = 512

/** How far a list is. */
export interface Progress {
  readonly kind: string
  /** Molecules that are done, those found in the cache included. */
  readonly done: number
  readonly total: number
  /** Molecules a second worked out since this began; 0 where all were found. */
  readonly rate: number
}

/** The records of a list of molecules, read one at a time. */
export interface Stored {
  readonly count: number
  /** Whether RDKit refused this molecule. */
  readonly refused: (row: number) => boolean
  /** The record of one molecule. Throws a {@link CacheError} where its file was changed or removed since it was checked. */
  readonly record: (row: number) => Uint8Array
}

const unwritable = (file: string) => (error: PlatformError) =>
  Disk.isFull(error)
    ? new CacheError({
        file,
        problem: "disk full",
        reason: "the disk is full. Free some space or choose another folder; what is done is kept, run the same again"
      })
    : new CacheError({
        file,
        problem: "unwritable",
        reason: `it cannot be written (${Disk.said(error)}): choose another folder by TAPWEIGHT_CACHE`
      })

/** Writes a file at once: under its name there is all of it or nothing. */
export const write = Effect.fnUntraced(function* (file: string, bytes: Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  const temporary = `${file}.${(yield* Random.nextIntBetween(0, 2 ** 40)).toString(36)}.part`
  const written = Effect.scoped(
    Effect.gen(function* () {
      const handle = yield* fs.open(temporary, { flag: "wx" })
      yield* handle.writeAll(bytes)
      yield* handle.sync
    })
  )
  yield* Effect.andThen(written, fs.rename(temporary, file)).pipe(
    Effect.onError(() => Effect.ignore(fs.remove(temporary, { force: true }))),
    Effect.mapError(unwritable(file))
  )
})

/** A file's content, or undefined where there is none. */
export const read = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.readFile(file).pipe(
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      () => Effect.void
    ),
    Effect.mapError((error) => new CacheError({ file, problem: "unreadable", reason: error.message }))
  )
})

/** Makes a folder, and those above it, if it is not there. */
export const makeFolder = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), unwritable(folder))
})

/** The hash that names what was worked out from these. */
export const keyOf = (...parts: ReadonlyArray<string | Uint8Array>): string => {
  const hash = createHash("sha256").update(Records.version)
  for (const part of parts) hash.update(`\n${part.length}\n`).update(part)
  return hash.digest("hex").slice(0, 40)
}

/** Files that are held open at one time. */
const openFiles = 64

const reader = (files: ReadonlyArray<string>, indices: ReadonlyArray<Shard.Index>, count: number) =>
  Effect.acquireRelease(
    Effect.sync((): Stored & { readonly close: () => void } => {
      const handles = new Map<number, number>()
      const handle = (shard: number): number => {
        let found = handles.get(shard)
        if (found === undefined) {
          const [oldest] = handles
          if (oldest !== undefined && handles.size >= openFiles) {
            closeSync(oldest[1])
            handles.delete(oldest[0])
          }
          found = openSync(files[shard]!, "r")
        }
        // Last used last.
        handles.delete(shard)
        handles.set(shard, found)
        return found
      }
      const place = (row: number) => {
        if (!Number.isInteger(row) || row < 0 || row >= count) {
          throw new RangeError(`Cache: row ${row} of ${count} molecules`)
        }
        const [shard, at] = [Math.floor(row / rowsPerFile), row % rowsPerFile]
        const { offsets, sums } = indices[shard]!
        return { shard, from: offsets[at]!, length: offsets[at + 1]! - offsets[at]!, sum: sums[at]! }
      }
      return {
        count,
        refused: (row) => place(row).length === 0,
        record: (row) => {
          const { from, length, shard, sum } = place(row)
          const bytes = new Uint8Array(length)
          const file = files[shard]!
          try {
            readSync(handle(shard), bytes, 0, length, from)
          } catch (error) {
            throw new CacheError({ file, problem: "unreadable", reason: (error as Error).message })
          }
          if (crc32(bytes) === sum) return bytes
          const reason = `record ${row % rowsPerFile} has changed since it was checked: start again, and it is worked out anew`
          throw new CacheError({ file, problem: "damaged", reason })
        },
        close: () => {
          for (const open of handles.values()) closeSync(open)
          handles.clear()
        }
      }
    }),
    ({ close }) => Effect.sync(close)
  )

/**
 * The records of these molecules, worked out where the cache lacks them or holds a damaged file (which is said in a
 * warning). Each file is written as soon as it is done.
 */
export const records = Effect.fnUntraced(function* (
  folder: string,
  kind: Records.Kind,
  smiles: ReadonlyArray<string>,
  options: { readonly onProgress?: (progress: Progress) => Effect.Effect<void> } = {}
): Effect.fn.Return<Stored, CacheError | ChemistryError, Chemistry | FileSystem.FileSystem | Scope.Scope> {
  const chemistry = yield* Chemistry
  const home = join(folder, "molecules", Records.label(kind))
  yield* makeFolder(home)
  const shards = Array.from({ length: Math.ceil(smiles.length / rowsPerFile) }, (_, i) => {
    const rows = smiles.slice(i * rowsPerFile, (i + 1) * rowsPerFile)
    return { rows, file: join(home, `${keyOf(Records.label(kind), JSON.stringify(rows))}.rec`) }
  })
  const begun = performance.now()
  let [done, fresh] = [0, 0]
  const indices = yield* Effect.forEach(
    shards,
    Effect.fnUntraced(function* ({ file, rows }) {
      const found = yield* read(file)
      let index = found === undefined ? "it is not there" : Shard.check(found, rows.length)
      if (typeof index === "string") {
        if (found !== undefined) yield* Effect.logWarning(`cache ${file}: ${index}; it is worked out again`)
        const bytes = Shard.encode(yield* chemistry.records(kind, rows))
        // What has been worked out is kept, also where another file fails or the run is stopped meanwhile.
        yield* Effect.uninterruptible(write(file, bytes))
        fresh += rows.length
        index = Shard.check(bytes, rows.length)
      }
      done += rows.length
      const seconds = (performance.now() - begun) / 1000
      const progress = { kind: Records.label(kind), done, total: smiles.length, rate: fresh / seconds }
      yield* options.onProgress?.(progress) ?? Effect.void
      return index as Shard.Index
    }),
    // One more than there are threads, so that none waits for a file to be written.
    { concurrency: chemistry.workers + 1 }
  )
  const files = shards.map(({ file }) => file)
  return yield* reader(files, indices, smiles.length)
})
