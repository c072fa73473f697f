/**
 * A file that has arrived in part: `FILE.part`, and beside it `FILE.part.json`, which says where it comes from and which
 * version of it. The names can be guessed, and whatever else bears them is never written through: a link goes, not what it
 * points to.
 */
import { randomUUID } from "node:crypto"
import { constants } from "node:fs"
import { type FileHandle, lstat, mkdir, open as openFile, rename, rm } from "node:fs/promises"
import { dirname } from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { FileHash, JsonFile } from "tapweight"

/** What is known of a file that has arrived in part. */
const Note = Schema.Struct({
  url: Schema.String,
  /** The server's name for this version of the file; without one the rest cannot be trusted to belong to the beginning. */
  version: Schema.String
})

/** Bytes of a note, at most: what is longer is none. */
const longestNote = 65_536

/** The part of a file that has arrived. */
export interface PartFile {
  /** Bytes that have arrived, and the version that they belong to; 0 and undefined where nothing can be gone on from. */
  readonly bytes: number
  readonly version: string | undefined
  readonly handle: FileHandle
}

const partOf = (file: string): string => `${file}.part`
const noteOf = (file: string): string => `${file}.part.json`

const readNote = Effect.fnUntraced(function* (file: string, url: string) {
  const name = noteOf(file)
  // A fifo in its place would be waited for, a device read for ever.
  const regular = yield* Effect.promise(() =>
    lstat(name).then(
      (stats) => stats.isFile() && stats.size <= longestNote,
      () => false
    )
  )
  if (!regular) return undefined
  // A note that was torn says nothing: the file begins anew.
  const note = Option.getOrUndefined(yield* Effect.option(JsonFile.read(name, Note)))
  return note?.url === url ? note.version : undefined
})

/** Opens the part that is there, if it is a file of its own. */
const openOwn = async (name: string): Promise<FileHandle | undefined> => {
  const handle = await openFile(name, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => undefined
  )
  const stats = await handle?.stat()
  // A second name of the same bytes is somebody else's.
  if (stats?.isFile() === true && stats.nlink === 1) return handle
  await handle?.close()
  return undefined
}

/** A new empty part in place of whatever bears its name. */
const create = async (name: string): Promise<FileHandle> => {
  await mkdir(dirname(name), { recursive: true })
  const own = `${name}.${randomUUID()}`
  const handle = await openFile(own, "wx+")
  try {
    await rename(own, name)
    return handle
  } catch (error) {
    await Promise.all([handle.close(), rm(own, { force: true })])
    throw error
  }
}

/** The part of a file from this address, open until the scope ends: what has arrived before, or nothing. */
export const open = Effect.fnUntraced(function* (file: string, url: string) {
  const name = partOf(file)
  const version = yield* readNote(file, url)
  const handle = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => (version === undefined ? undefined : await openOwn(name)) ?? (await create(name)),
      catch: (error) => JsonFile.because(name)(error as Error)
    }),
    (handle) => Effect.promise(() => handle.close())
  )
  const bytes = (yield* Effect.promise(() => handle.stat())).size
  return { bytes, version: bytes > 0 ? version : undefined, handle } satisfies PartFile
})

/** Notes which version of the file arrives; undefined where it has no name, and cannot be gone on with. */
export const note = (file: string, url: string, version: string | undefined) =>
  version === undefined
    ? Effect.promise(() => rm(noteOf(file), { force: true }))
    : JsonFile.write(noteOf(file), Note, { url, version })

/** Throws what has arrived away. */
export const discard = (file: string) =>
  Effect.promise(() =>
    Promise.all([partOf(file), noteOf(file)].map((name) => rm(name, { force: true, recursive: true })))
  )

/** The hash of what has arrived, or undefined where another process has put its own in the place of it. */
export const hash = async (file: string, { handle }: PartFile): Promise<string | undefined> => {
  await handle.sync()
  const name = partOf(file)
  const sha256 = await FileHash.sha256(name).catch(() => undefined)
  const [own, there] = [await handle.stat(), await lstat(name).catch(() => undefined)]
  return own.ino === there?.ino && own.dev === there.dev ? sha256 : undefined
}

/** Gives a complete part its name. */
export const complete = async (file: string): Promise<void> => {
  await rename(partOf(file), file)
  await rm(noteOf(file), { force: true })
}
