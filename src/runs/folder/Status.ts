import { hostname } from "node:os"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as JsonFile from "../../files/JsonFile.ts"
import * as FolderLock from "./FolderLock.ts"
import type { RunFolder } from "./RunFolder.ts"

/** What a run can say of itself. */
export const State = Schema.Literals(["running", "done", "failed", "interrupted"])
export type State = typeof State.Type

/** What the run reports: its state, how far it is, and how it ended. */
export const Progress = Schema.Struct({
  state: State,
  tick: Schema.Int,
  attempt: Schema.Int,
  exit: Schema.NullOr(Schema.Int),
  error: Schema.NullOr(Schema.String)
})
export type Progress = typeof Progress.Type

const Status = Schema.Struct({
  ...Progress.fields,
  heartbeat: Schema.DateTimeUtc,
  host: Schema.String,
  pid: Schema.Int
})

/** What `status.json` holds, as a reader sees it: only a reader can tell that a run is `lost`. */
export type Status = Omit<typeof Status.Type, "state"> & { readonly state: State | "lost" }

const fileOf = (folder: RunFolder) => Effect.map(Path.Path, (path) => path.join(folder.path, "status.json"))

/** Replaces the status, heartbeat included: call it every few seconds while the run lives. */
export const write = Effect.fnUntraced(function* (folder: RunFolder, progress: Progress) {
  const beat = { heartbeat: yield* DateTime.now, host: hostname(), pid: process.pid }
  yield* JsonFile.write(yield* fileOf(folder), Status, { ...progress, ...beat })
})

/** Reads the status. A run that calls itself running, yet whose folder no process holds, is `lost`. */
export const read = Effect.fnUntraced(function* (folder: RunFolder) {
  const status = yield* JsonFile.read(yield* fileOf(folder), Status)
  const lost = status.state === "running" && !(yield* FolderLock.isHeld(folder.path))
  return { ...status, state: lost ? "lost" : status.state } satisfies Status as Status
})
