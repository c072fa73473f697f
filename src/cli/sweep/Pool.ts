/** A sweep's runs on this machine, some at a time, each a process of its own. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { RunFolder } from "../../runs/folder/RunFolder.ts"
import * as SweepFolder from "../../runs/sweep/SweepFolder.ts"
import * as Attempt from "./Attempt.ts"

/** Here the folder's own lock is the right to run something, and a mark beside it says that it was cancelled. */
const lease = (sweep: string, folder: RunFolder): Attempt.Lease => ({
  claim: Option.none(),
  beat: Effect.sync(() => SweepFolder.cancellation(sweep, folder) ?? "kept"),
  every: "500 millis"
})

/** Tries one run until it is done, given up, cancelled, or found to be another process's. */
export const runEntry = Effect.fnUntraced(function* (
  sweep: string,
  file: Pick<SweepFolder.SweepFile, "name">,
  start: Attempt.Start,
  entry: SweepFolder.Entry
) {
  const folder = SweepFolder.runFolder(sweep, file, entry)
  let elsewhere = false
  const ended = Effect.fnUntraced(function* (how: Attempt.Ended) {
    // Another process was there first: what becomes of the run is its to say.
    elsewhere = how._tag === "Elsewhere"
    const exit = Attempt.exitOf(how)
    if (exit === undefined) return
    SweepFolder.note(folder, exit)
    if (how._tag !== "Done" && SweepFolder.cancellation(sweep, folder) === undefined)
      yield* Console.error(`${entry.id}  ended with ${exit ?? "a signal"}; its words are in ${folder.path}/log.txt`)
  })
  for (;;) {
    const state = yield* SweepFolder.stateOf(sweep, folder)
    if (state !== "queued") return state
    yield* Attempt.attempt(folder, start, entry, lease(sweep, folder), ended)
    if (elsewhere) return "running" as const
  }
})

/** Runs what is queued, `slots` at a time, and waits for what other processes run, until nothing is left to do. */
export const run = Effect.fnUntraced(function* (
  sweep: string,
  file: Pick<SweepFolder.SweepFile, "name">,
  start: Attempt.Start,
  entries: ReadonlyArray<SweepFolder.Entry>,
  slots: number
) {
  for (;;) {
    const states = yield* Effect.forEach(entries, (entry) => runEntry(sweep, file, start, entry), {
      concurrency: slots
    })
    if (!states.includes("running")) return
    yield* Effect.sleep("1 second")
  }
})
