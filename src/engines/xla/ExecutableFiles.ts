/**
 * Executables on the disk, by what they are compiled from and for, so that a second run of a program starts at once. Changes no
 * result: an executable that is read back is the one that was written, and whatever else stands in its file is compiled anew.
 */
import { createHash, randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises"
import { availableParallelism, cpus, homedir } from "node:os"
import { join } from "node:path"

/** Bytes of all files together; those that were not read for the longest time go first. */
const most = 2 ** 30
/** Milliseconds after which a file that was begun belongs to nobody any more. */
const abandoned = 3_600_000

/** First bytes of a file; then follow the SHA-256 of the executable, and the executable. */
const magic = Buffer.from("tapweight executable 1\n")
const start = magic.length + 32

export interface ExecutableFiles {
  /** The executable of a program, if it is there whole. */
  readonly read: (program: string) => Promise<Uint8Array | undefined>
  /** Writes an executable, where the disk takes it: a run goes on without. */
  readonly write: (program: string, executable: Uint8Array) => Promise<void>
  /** Removes what turned out to be of no use. */
  readonly discard: (program: string) => Promise<void>
}

/** Where executables are unless said otherwise: in $TAPWEIGHT_CACHE, or $XDG_CACHE_HOME/tapweight, or ~/.cache/tapweight. */
export const folder = (): string => {
  const caches = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache")
  return join(process.env["TAPWEIGHT_CACHE"] || join(caches, "tapweight"), "executables")
}

/** What the processor can do: its instructions where the system tells them, and how many threads share the work. */
export const processor = (): string => {
  let features: string | undefined
  try {
    features = /^(?:flags|Features)\s*:.*$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[0]
  } catch {
    // Elsewhere than on Linux the model says it.
  }
  return [process.platform, process.arch, cpus()[0]?.model, features, availableParallelism()].join("\n")
}

const digest = (...parts: ReadonlyArray<string | Uint8Array>): Buffer => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(`${part.length}\n`).update(part)
  return hash.digest()
}

const quietly = (work: Promise<unknown>): Promise<void> =>
  work.then(
    () => undefined,
    () => undefined
  )

/** Removes what was begun and not ended, and the oldest files until the rest has room. */
const prune = async (within: string, most: number): Promise<void> => {
  const files = await Promise.all(
    (await readdir(within)).map(async (name) => {
      const { mtimeMs, size } = await stat(join(within, name))
      return { path: join(within, name), mtimeMs, size }
    })
  )
  let total = 0
  for (const { mtimeMs, path, size } of files.toSorted((a, b) => b.mtimeMs - a.mtimeMs)) {
    total += size
    if (total > most || (!path.endsWith(".xla") && Date.now() - mtimeMs > abandoned)) await rm(path, { force: true })
  }
}

/** Files in a folder, of executables that are made by and for what `makers` say: other makers find nothing of these. */
export const make = (within: string, makers: ReadonlyArray<string | Uint8Array>, bound = most): ExecutableFiles => {
  const fileOf = (program: string): string => join(within, `${digest(...makers, program).toString("hex")}.xla`)
  const discard = (program: string) => quietly(rm(fileOf(program), { force: true }))
  return {
    read: async (program) => {
      const file = fileOf(program)
      let bytes: Buffer
      try {
        bytes = await readFile(file)
      } catch {
        return undefined
      }
      const executable = bytes.subarray(start)
      const whole =
        bytes.subarray(0, magic.length).equals(magic) && bytes.subarray(magic.length, start).equals(digest(executable))
      if (!whole) {
        await discard(program)
        return undefined
      }
      const now = new Date()
      await quietly(utimes(file, now, now))
      return executable
    },
    write: (program, executable) =>
      quietly(
        (async () => {
          // What lies there is run: nobody else is to write it.
          await mkdir(within, { recursive: true, mode: 0o700 })
          const begun = join(within, `${randomUUID()}.begun`)
          try {
            await writeFile(begun, Buffer.concat([magic, digest(executable), executable]), { mode: 0o600 })
            await rename(begun, fileOf(program))
          } catch (cause) {
            await rm(begun, { force: true })
            throw cause
          }
          await prune(within, bound)
        })()
      ),
    discard
  }
}
