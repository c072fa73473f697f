/** Checks of where runs are kept: whether the disk has room and knows locks, and what state the runs there are in. */
import { existsSync, mkdtempSync, rmSync, statfsSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as FolderLock from "./FolderLock.ts"
import * as Manifest from "./Manifest.ts"
import * as RunFolder from "./RunFolder.ts"
import * as Status from "./Status.ts"

/** What was looked at, in the form of the command `doctor`. */
export interface Check {
  readonly name: string
  readonly status: "ok" | "absent" | "fault"
  readonly says: string
  readonly remedy: string | null
}

/** Bytes below which a checkpoint may not find room. */
const scarce = 2 ** 28

/** A lock that is taken and let go, on the disk that runs are on. */
const locks = Effect.fnUntraced(
  function* (root: string) {
    const folder = yield* Effect.acquireRelease(
      Effect.try(() => mkdtempSync(join(root, ".tmp-doctor-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    yield* FolderLock.hold(folder, { milliseconds: 0 })
    const held = yield* FolderLock.isHeld(folder)
    return held ? undefined : "a lock that was taken is not seen"
  },
  Effect.scoped,
  Effect.catch((error) => Effect.succeed(error._tag === "FolderLockError" ? error.reason : `${error.cause}`))
)

/** The checks of a folder of run folders; none where it is not there yet. */
export const checks = Effect.fnUntraced(function* (root: string) {
  if (!existsSync(root)) return []
  const broken = yield* locks(root)
  const lock: Check =
    broken === undefined
      ? { name: "run locks", status: "ok", says: "a folder can be held for one process", remedy: null }
      : {
          name: "run locks",
          status: "fault",
          says: broken,
          remedy: "keep runs on a disk that knows locks and may be written: name a folder there in TAPWEIGHT_RUNS"
        }
  const { bavail, bsize } = statfsSync(root)
  const free = bavail * bsize
  const room: Check = {
    name: "room for runs",
    status: free < scarce ? "fault" : "ok",
    says: `${(free / 2 ** 30).toFixed(1)} GiB free`,
    remedy: free < scarce ? "make room, or name a folder on another disk in TAPWEIGHT_RUNS" : null
  }
  const folders = yield* RunFolder.list(root)
  const counts = new Map<string, number>()
  const unreadable: Array<string> = []
  for (const folder of folders) {
    const manifest = yield* Effect.result(Manifest.read(folder))
    const status = yield* Effect.result(Status.read(folder))
    if (Result.isFailure(manifest)) unreadable.push(folder.id)
    const state = Result.isFailure(status) ? "not begun" : status.success.state
    counts.set(state, (counts.get(state) ?? 0) + 1)
  }
  const counted = [...counts].map(([state, count]) => `${count} ${state}`).join(", ")
  const lost = counts.has("lost") ? "; what is lost goes on with tapweight resume" : ""
  const runs: Check = {
    name: "runs",
    status: unreadable.length > 0 ? "fault" : "ok",
    says:
      unreadable.length > 0
        ? `${unreadable.length} of ${folders.length} cannot be read: ${unreadable.slice(0, 5).join(", ")}`
        : `${counted === "" ? "none" : counted}${lost}`,
    remedy: unreadable.length > 0 ? "see why with tapweight show; restore their manifest.json, or move them away" : null
  }
  return [lock, room, runs]
})
