import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Random from "effect/Random"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as Disk from "../../files/Disk.ts"
import * as JsonFile from "../../files/JsonFile.ts"
import * as FolderLock from "./FolderLock.ts"

/** Where one run keeps its files. It may be moved, copied and zipped: nothing in it names its own place. */
export interface RunFolder {
  readonly id: string
  readonly program: string
  readonly path: string
}

/** No run folder can be made, or no single one is meant. `candidates` are the ids to choose from. */
export class RunFolderError extends Schema.TaggedError<RunFolderError>()("RunFolderError", {
  selector: Schema.String,
  reason: Schema.String,
  candidates: Schema.Array(Schema.String)
}) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    const list = this.candidates.map((candidate) => `\n  ${candidate}`)
    return `run '${this.selector}': ${this.reason}${list.join("")}`
  }
}

const programs = /^[a-z0-9-]{1,64}$/
const ids = /^\d{8}-\d{6}-[0-9a-z]{4}$/
// Crockford's base32: no letter that is read as a digit.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const newId = Effect.gen(function* () {
  const time = DateTime.formatIso(yield* DateTime.now)
    .replace(/[-:]|\..*/g, "")
    .replace("T", "-")
  let suffix = ""
  for (let i = 0; i < 4; i++) suffix += alphabet[yield* Random.nextIntBetween(0, 31)]
  return `${time}-${suffix}`
})

const failing = (selector: string, reason: string, candidates: ReadonlyArray<string> = []) =>
  new RunFolderError({ selector, reason, candidates })

const prefix = ".tmp-"

/** Removes what is left of folders that were never finished, for their process was killed; one that is being made is held. */
const sweep = Effect.fnUntraced(function* (directory: string) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const names = yield* Effect.orElseSucceed(fs.readDirectory(directory), (): Array<string> => [])
  for (const name of names) {
    if (!name.startsWith(prefix) || !ids.test(name.slice(prefix.length))) continue
    const left = path.join(directory, name)
    const remove = Effect.andThen(
      FolderLock.hold(left, { milliseconds: 0 }),
      fs.remove(left, { recursive: true, force: true })
    )
    yield* Effect.ignore(Effect.scoped(remove))
  }
})

/** Removes what processes that were killed had begun to write in a run folder, which this one holds. */
export const tidy = Effect.fnUntraced(
  function* (folder: RunFolder) {
    const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
    const names = yield* fs.readDirectory(folder.path, { recursive: true })
    for (const name of names.filter((name) => path.basename(name).startsWith(prefix))) {
      yield* fs.remove(path.join(folder.path, name), { recursive: true, force: true })
    }
  },
  (effect) => Effect.ignore(effect)
)

/** A new run folder, which belongs to this process. */
export interface Created {
  readonly folder: RunFolder
  readonly lock: FolderLock.FolderLock
}

/**
 * Makes the folder of a new run, `root/program/YYYYMMDD-HHMMSS-xxxx`, the time in UTC, with the files that `fill` writes into
 * it: it is there with all of them or not at all, however this ends. It belongs to this process until the scope ends.
 */
export const create = Effect.fnUntraced(function* <E, R>(
  root: string,
  program: string,
  fill: (folder: RunFolder) => Effect.Effect<void, E, R>
) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  if (!programs.test(program)) {
    return yield* failing(program, "a program is named with up to 64 of a-z, 0-9 and '-'")
  }
  const cannot = (error: PlatformError | FolderLock.FolderLockError) =>
    failing(program, `no folder can be made: ${Disk.said(error)}`)
  const directory = path.join(root, program)
  yield* Effect.mapError(fs.makeDirectory(directory, { recursive: true }), cannot)
  yield* sweep(directory)
  // The file system decides who has an id: a counter, or a look before the leap, would give two processes the same.
  const attempt = Effect.gen(function* () {
    const id = yield* newId
    const folder: RunFolder = { id, program, path: path.join(directory, id) }
    const making: RunFolder = { ...folder, path: path.join(directory, `${prefix}${id}`) }
    const discarded = <A, E2, R2>(effect: Effect.Effect<A, E2, R2>) =>
      Effect.onError(effect, () => Effect.ignore(fs.remove(making.path, { recursive: true, force: true })))
    yield* fs.makeDirectory(making.path)
    return yield* Effect.gen(function* () {
      const lock = yield* FolderLock.hold(making.path, { renamed: folder.path })
      // Whoever had this id has given its folder the final name by now.
      if (yield* fs.exists(folder.path))
        return yield* new FolderLock.FolderLockError({ kind: "Held", folder: id, reason: "taken" })
      return { folder, making, lock, discarded }
    }).pipe(discarded)
  })
  const taken = (error: PlatformError | FolderLock.FolderLockError): boolean =>
    error._tag === "PlatformError" ? error.reason._tag === "AlreadyExists" : error.kind !== "Unlockable"
  const { discarded, folder, lock, making } = yield* attempt.pipe(
    Effect.retry({ while: taken, times: 100 }),
    Effect.mapError(cannot)
  )
  yield* fill(making).pipe(Effect.andThen(Effect.mapError(fs.rename(making.path, folder.path), cannot)), discarded)
  yield* Effect.mapError(JsonFile.syncDirectory(directory), cannot)
  return { folder, lock } satisfies Created as Created
})

/** The run folder at a path. */
export const open = Effect.fnUntraced(function* (location: string) {
  const path = yield* Path.Path
  const absolute = path.resolve(location)
  const [program, id] = [path.basename(path.dirname(absolute)), path.basename(absolute)]
  if (!(yield* isRun(absolute))) {
    return yield* failing(location, "this is no run folder: it has no manifest.json")
  }
  return { id, program, path: location } satisfies RunFolder
})

const children = Effect.fnUntraced(function* (directory: string, pattern: RegExp) {
  const fs = yield* FileSystem.FileSystem
  const names = yield* Effect.orElseSucceed(fs.readDirectory(directory), (): Array<string> => [])
  return names.filter((name) => pattern.test(name))
})

const isRun = Effect.fnUntraced(function* (folder: string) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  return yield* Effect.orElseSucceed(fs.exists(path.join(folder, "manifest.json")), () => false)
})

/** All run folders under a root, oldest first. A folder without a manifest is none. */
export const list = Effect.fnUntraced(function* (root: string) {
  const path = yield* Path.Path
  const found: Array<RunFolder> = []
  for (const program of yield* children(root, programs)) {
    for (const id of yield* children(path.join(root, program), ids)) {
      const folder = path.join(root, program, id)
      if (yield* isRun(folder)) found.push({ id, program, path: folder })
    }
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1))
})

/**
 * The one run that a selector means: an id, the start or end of one (`k3f9`), `@latest`, `bace@latest`, or a path.
 * Only a selector with a path separator is ever used as a path; the others are looked up among the runs of `root`.
 */
export const resolve = Effect.fnUntraced(function* (root: string, selector: string) {
  const path = yield* Path.Path
  if (selector.includes(path.sep) || selector === ".") return yield* open(selector)
  const all = yield* list(root)
  const latest = /^(.*)@latest$/.exec(selector)
  if (latest !== null) {
    const found = all.findLast(({ program }) => latest[1] === "" || program === latest[1])
    if (found !== undefined) return found
    if (all.length === 0) return yield* failing(selector, `there are no runs in ${root}`)
    return yield* failing(selector, `no run of it in ${root}; there are runs of`, [
      ...new Set(all.map((run) => run.program))
    ])
  }
  const exact = all.filter(({ id }) => id === selector)
  const found = exact.length > 0 ? exact : all.filter(({ id }) => id.startsWith(selector) || id.endsWith(selector))
  if (found.length === 1) return found[0]!
  const names = (runs: ReadonlyArray<RunFolder>) => runs.map(({ id, program }) => `${program}/${id}`)
  return yield* found.length === 0
    ? failing(selector, `none in ${root} begins or ends so; the last ones are`, names(all.slice(-5)))
    : failing(selector, "several begin or end so; give more of one of", names(found))
})

/** The names of a run's trials, in order; none of a run that is one trial itself. */
export const trials = Effect.fnUntraced(function* (folder: RunFolder) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const root = path.join(folder.path, "trials")
  const names = yield* Effect.orElseSucceed(fs.readDirectory(root, { recursive: true }), (): Array<string> => [])
  return [
    ...new Set(names.flatMap((name) => (/^metrics-\d+\.ndjson$/.test(path.basename(name)) ? [path.dirname(name)] : [])))
  ].sort()
})
