/** A sweep's runs on this machine, some at a time, each a process of its own. */
import { spawn } from "node:child_process"
import { closeSync, mkdirSync, openSync } from "node:fs"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import type { RunFolder } from "../../runs/folder/RunFolder.ts"
import * as Sweep from "../../runs/sweep/Sweep.ts"
import * as SweepFolder from "../../runs/sweep/SweepFolder.ts"

/** What a run of a sweep is started with, beside its settings. */
export interface Start {
  readonly program: string
  /** Further arguments of `run`, such as the engine. */
  readonly args: ReadonlyArray<string>
}

/** How a run's process ended. */
type Exit = number | null

/**
 * `tapweight run` as a process, tied to this one: it stops with a checkpoint where this one is gone, or where it is interrupted. What it
 * prints goes to `log.txt` in its folder.
 */
const child = (folder: RunFolder, { args, program }: Start, entry: SweepFolder.Entry): Effect.Effect<Exit> =>
  Effect.callback<Exit>((resume) => {
    mkdirSync(folder.path, { recursive: true })
    const log = openSync(`${folder.path}/log.txt`, "a")
    const settings = [...Object.entries(entry.settings).map(Sweep.override), `seed=${entry.seed}`]
    const running = spawn(
      process.execPath,
      [
        ...process.execArgv,
        process.argv[1]!,
        "run",
        program,
        "--into",
        folder.path,
        "--tied",
        "--quiet",
        ...settings.flatMap((each) => ["-s", each]),
        ...args
      ],
      // A group of its own: Ctrl-C is this process's to answer, which then stops it.
      { stdio: ["pipe", log, log], detached: true }
    )
    closeSync(log)
    running.stdin?.on("error", () => {})
    running.once("error", () => resume(Effect.succeed(null)))
    running.once("exit", (code) => resume(Effect.succeed(code)))
    return Effect.callback<void>((stopped) => {
      if (running.exitCode !== null || running.signalCode !== null) return stopped(Effect.void)
      running.once("exit", () => stopped(Effect.void))
      running.kill("SIGTERM")
    })
  })

/** Waits until a run is told to stop. */
const cancelled = (sweep: string, folder: RunFolder): Effect.Effect<void> =>
  Effect.suspend(() =>
    SweepFolder.isCancelled(sweep, folder)
      ? Effect.void
      : Effect.flatMap(Effect.sleep("500 millis"), () => cancelled(sweep, folder))
  )

/** Tries one run until it is done, given up, cancelled, or found to be another process's. */
export const runEntry = Effect.fnUntraced(function* (
  sweep: string,
  file: Pick<SweepFolder.SweepFile, "name">,
  start: Start,
  entry: SweepFolder.Entry
) {
  const folder = SweepFolder.runFolder(sweep, file, entry)
  for (;;) {
    const state = yield* SweepFolder.stateOf(sweep, folder)
    if (state !== "queued") return state
    const exit = yield* Effect.raceFirst(
      child(folder, start, entry),
      Effect.as(cancelled(sweep, folder), "cancelled" as const)
    )
    if (exit === "cancelled") continue
    // Another process was there first: what becomes of the run is its to say.
    if (exit === ExitCode.live) return "running" as const
    SweepFolder.note(folder, exit)
    if (exit !== 0)
      yield* Console.error(`${entry.id}  ended with ${exit ?? "a signal"}; its words are in ${folder.path}/log.txt`)
  }
})

/** Runs what is queued, `slots` at a time, and waits for what other processes run, until nothing is left to do. */
export const run = Effect.fnUntraced(function* (
  sweep: string,
  file: Pick<SweepFolder.SweepFile, "name">,
  start: Start,
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
