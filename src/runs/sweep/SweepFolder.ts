/** Where a sweep keeps its runs, and what state each is in: the folders are the truth, nothing else knows more. */
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as JsonFile from "../../files/JsonFile.ts"
import * as FolderLock from "../folder/FolderLock.ts"
import type { RunFolder } from "../folder/RunFolder.ts"

/** One run of a sweep: `id` is a hash of what it computes, its settings and its seed, and names its folder. */
export const Entry = Schema.Struct({
  id: Schema.String,
  settings: Schema.JsonObject,
  seed: Schema.Int,
  /** What its levels compute, as its process is to find it again. */
  levels: Schema.optionalKey(Schema.String)
})
export type Entry = typeof Entry.Type

/** `sweep.json`: all runs that a sweep was ever asked for. */
export const SweepFile = Schema.Struct({
  version: Schema.Literal(1),
  name: Schema.String,
  program: Schema.String,
  /** What its runs were last started with, beside their settings. */
  args: Schema.optionalKey(Schema.Array(Schema.String)),
  entries: Schema.Array(Entry)
})
export type SweepFile = typeof SweepFile.Type

/** What a run of a sweep is: nothing of it is written down but what its folder shows. */
export type State = "queued" | "running" | "done" | "failed" | "cancelled"

/** The folder of a sweep. */
export const pathOf = (runs: string, name: string) => Effect.map(Path.Path, (path) => path.join(runs, "sweeps", name))

/** The run folder of one entry. */
export const runFolder = (sweep: string, file: Pick<SweepFile, "name">, { id }: Pick<Entry, "id">): RunFolder => ({
  id,
  program: file.name,
  path: `${sweep}/${id}`
})

/** Reads a sweep's file; `undefined` where there is none yet. */
export const read = Effect.fnUntraced(function* (sweep: string) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const file = path.join(sweep, "sweep.json")
  if (!(yield* Effect.mapError(fs.exists(file), JsonFile.because(file)))) return undefined
  return yield* JsonFile.readSealed(file, SweepFile)
})

const point = ({ seed, settings }: Entry): string => JSON.stringify([Object.entries(settings).sort(), seed])

/**
 * Entries that a sweep has, and those that are asked for. Of those it has, one whose settings and seed are asked for under another id is
 * left out: it was of a program that has changed since.
 */
export const merged = (before: ReadonlyArray<Entry>, asked: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const now = new Map(asked.map((entry) => [entry.id, entry]))
  const points = new Set(asked.map(point))
  const known = before.flatMap((entry) => now.get(entry.id) ?? (points.has(point(entry)) ? [] : [entry]))
  const ids = new Set(known.map(({ id }) => id))
  return [...known, ...asked.filter(({ id }) => !ids.has(id))]
}

/** Adds entries to a sweep, which keeps those it has. Gives all of them and how many are new. */
export const add = Effect.fnUntraced(function* (sweep: string, asked: SweepFile) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  yield* Effect.mapError(fs.makeDirectory(sweep, { recursive: true }), JsonFile.because(sweep))
  // Two that add at once would each leave out what the other adds.
  yield* FolderLock.hold(sweep, { milliseconds: 10_000 })
  const written = yield* read(sweep)
  const before = written?.entries ?? []
  const known = new Set(before.map(({ id }) => id))
  const entries = merged(before, asked.entries)
  const next: SweepFile = { ...written, ...asked, entries }
  if (JSON.stringify(next) !== JSON.stringify(written)) {
    yield* JsonFile.writeSealed(path.join(sweep, "sweep.json"), SweepFile, next)
  }
  return { entries, fresh: entries.filter(({ id }) => !known.has(id)).length }
}, Effect.scoped)

/** How a process that ran an entry ended, or that its failures are forgiven. */
const Ending = Schema.Struct({
  exit: Schema.NullOr(Schema.Int),
  at: Schema.String,
  forgiven: Schema.optionalKey(Schema.Boolean)
})
const decodeEnding = Schema.decodeUnknownOption(Schema.fromJsonString(Ending))

const endingsOf = (folder: RunFolder): string => `${folder.path}/endings.ndjson`

/** Notes how a process ended: its exit code, or null where a signal ended it. */
export const note = (folder: RunFolder, exit: number | null, forgiven = false): void =>
  appendFileSync(
    endingsOf(folder),
    `${JSON.stringify({ exit, at: new Date().toISOString(), ...(forgiven ? { forgiven } : {}) })}\n`
  )

/** Failures of the same run after which it is not tried again. */
export const patience = 3

/** Exit codes that trying again does not change: wrong usage, a check, data that cannot be used, another program. */
const hopeless = new Set<number>([ExitCode.usage, ExitCode.check, ExitCode.refused, ExitCode.other])

/** Whether a failure with this code, or by a signal, is one that trying again does not change. */
export const isHopeless = (exit: number | null): boolean => exit !== null && hopeless.has(exit)

/** Exit codes that are no failure: it is done, or was stopped with a checkpoint. */
const undisturbed = new Set<number>([ExitCode.done, ExitCode.terminated, ExitCode.interrupted])

/** What an entry's endings come to since it was last forgiven: how many failures, and whether to give it up. */
export const failures = (folder: RunFolder): { readonly failed: number; readonly given: boolean } => {
  const file = endingsOf(folder)
  if (!existsSync(file)) return { failed: 0, given: false }
  let [failed, given] = [0, false]
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const ending = decodeEnding(line)
    if (ending._tag === "None") continue
    const { exit, forgiven } = ending.value
    if (forgiven === true) [failed, given] = [0, false]
    else if (exit === null || !undisturbed.has(exit)) failed++
    if (isHopeless(exit)) given = true
  }
  return { failed, given: given || failed >= patience }
}

/** The mark by which a sweep, or one of its runs, is told to stop. */
const mark = (folder: string): string => `${folder}/cancelled`

/** What the mark says where there is to be no checkpoint. */
const atOnce = "at once"

/** Whether a sweep's run was cancelled, alone or with the sweep, and is to stop with a checkpoint or at once. */
export const cancellation = (sweep: string, folder: RunFolder): "cancelled" | "cancelled at once" | undefined => {
  const marks = [mark(sweep), mark(folder.path)].filter(existsSync)
  if (marks.length === 0) return undefined
  return marks.some((file) => readFileSync(file, "utf8") === atOnce) ? "cancelled at once" : "cancelled"
}

/** Cancels a sweep, or one of its runs, by its folder: with checkpoints, or at once. */
export const cancel = Effect.fnUntraced(function* (sweep: string, now: boolean) {
  const file = mark(sweep)
  yield* Effect.mapError(
    (yield* FileSystem.FileSystem).makeDirectory(sweep, { recursive: true }),
    JsonFile.because(file)
  )
  yield* JsonFile.replace(file, new TextEncoder().encode(now ? atOnce : ""))
})

/** Takes a cancellation back. */
export const uncancel = Effect.fnUntraced(function* (sweep: string) {
  const file = mark(sweep)
  yield* Effect.mapError((yield* FileSystem.FileSystem).remove(file, { force: true }), JsonFile.because(file))
})

/** The state of one entry. */
export const stateOf = Effect.fnUntraced(function* (sweep: string, folder: RunFolder) {
  const state: State = existsSync(`${folder.path}/result.json`)
    ? "done"
    : (yield* FolderLock.isHeld(folder.path))
      ? "running"
      : failures(folder).given
        ? "failed"
        : cancellation(sweep, folder) !== undefined
          ? "cancelled"
          : "queued"
  // It may have come while the lock was let go.
  return state !== "running" && existsSync(`${folder.path}/result.json`) ? "done" : state
})
