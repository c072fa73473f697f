/** One start of one run of a sweep: the command `run` as a process. Whoever hands runs out, this is how they are run. */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import type { RunFolder } from "../../runs/folder/RunFolder.ts"
import * as Sweep from "../../runs/sweep/Sweep.ts"
import type { Entry } from "../../runs/sweep/SweepFolder.ts"
import * as Tie from "../launch/Tie.ts"

/** What a run of a sweep is started with, beside its settings. */
export interface Start {
  readonly program: string
  /** Further arguments of `run`, such as the engine. */
  readonly args: ReadonlyArray<string>
}

/** The right to run something, which has to be asked for again and again. */
export interface Lease {
  /** The claim that the process makes on its folder, and the seconds after which it stops where no beat comes. */
  readonly claim: Option.Option<{ readonly number: number; readonly seconds: number }>
  /** Whether the run is still this process's, was cancelled, or is another's; undefined where nobody answers. */
  readonly beat: Effect.Effect<"kept" | "cancelled" | "cancelled at once" | "lost" | undefined>
  readonly every: Duration.Input
}

/** How it ended: done; stopped, with a checkpoint; failed, with a code or by a signal; or not begun, and why. */
export type Ended =
  | { readonly _tag: "Done" }
  | { readonly _tag: "Stopped"; readonly exit: number | null }
  | { readonly _tag: "Failed"; readonly exit: number | null }
  | { readonly _tag: "Elsewhere" }
  | { readonly _tag: "OtherProgram" }

/** The exit code that says the same; undefined of a run that is another process's. */
export const exitOf = (how: Ended): number | null | undefined => {
  if (how._tag === "Done") return ExitCode.done
  if (how._tag === "OtherProgram") return ExitCode.other
  if (how._tag === "Elsewhere") return undefined
  // The signal that told it to stop may have come before it could answer.
  return how._tag === "Stopped" ? (how.exit ?? ExitCode.terminated) : how.exit
}

const argumentsOf = (folder: RunFolder, { args, program }: Start, entry: Entry, { claim }: Lease) => [
  ...process.execArgv,
  process.argv[1]!,
  "run",
  program,
  "--into",
  folder.path,
  "--tied",
  "--quiet",
  ...Option.match(claim, {
    onNone: () => [],
    onSome: ({ number, seconds }) => ["--claim", `${number}`, "--beats", `${seconds}`]
  }),
  ...(entry.levels === undefined ? [] : ["--expect", entry.levels]),
  ...[...Object.entries(entry.settings).map(Sweep.override), `seed=${entry.seed}`].flatMap((each) => ["-s", each]),
  ...args
]

/** Its environment: all of this process's but how the database is reached, which no run needs to know. */
const environment = (): NodeJS.ProcessEnv => {
  const { TAPWEIGHT_DB: _, ...others } = process.env
  return others
}

interface Running {
  readonly child: ChildProcess
  readonly exit: Deferred.Deferred<number | null>
}

const begin = (folder: RunFolder, args: ReadonlyArray<string>): Running => {
  mkdirSync(folder.path, { recursive: true })
  const log = openSync(`${folder.path}/log.txt`, "a")
  // A group of its own: Ctrl-C is this process's to answer, which then stops it.
  const child = spawn(process.execPath, args, { stdio: ["pipe", log, log], detached: true, env: environment() })
  closeSync(log)
  const exit = Deferred.makeUnsafe<number | null>()
  child.stdin?.on("error", () => {})
  child.once("error", () => Deferred.doneUnsafe(exit, Effect.succeed(null)))
  child.once("exit", (code) => Deferred.doneUnsafe(exit, Effect.succeed(code)))
  return { child, exit }
}

/** Beats for as long as the run goes on, and stops it where it was cancelled or is another's. */
const beating = Effect.fnUntraced(function* (
  { child }: Running,
  { beat, every }: Lease,
  stop: (signal: "SIGTERM" | "SIGKILL") => void
) {
  for (;;) {
    // Before it is asked: the answer may take its time.
    const at = Tie.now()
    const answer = yield* beat
    if (answer === "lost") child.kill("SIGKILL")
    else if (answer !== undefined && child.stdin !== null) Tie.beat(child.stdin, at)
    if (answer === "cancelled") stop("SIGTERM")
    if (answer === "cancelled at once") stop("SIGKILL")
    yield* Effect.sleep(every)
  }
})

/** What an exit means; `asked` says that it was told to stop. */
const endedBy = (folder: RunFolder, exit: number | null, asked: boolean): Ended => {
  if (existsSync(`${folder.path}/result.json`)) return { _tag: "Done" }
  if (exit === ExitCode.live) return { _tag: "Elsewhere" }
  if (exit === ExitCode.other) return { _tag: "OtherProgram" }
  const stopped = exit === ExitCode.terminated || exit === ExitCode.interrupted || (asked && exit === null)
  return { _tag: stopped ? "Stopped" : "Failed", exit }
}

/**
 * Runs an entry in its folder until that process ends. It is tied to this one: it stops with a checkpoint where this one is gone, is
 * interrupted, or can no longer show that the run is its own. What it prints goes to `log.txt`. An interruption waits for the process's
 * end, and `ended` is told of that end in any case.
 */
export const attempt = <E, R>(
  folder: RunFolder,
  start: Start,
  entry: Entry,
  lease: Lease,
  ended: (how: Ended) => Effect.Effect<void, E, R>
): Effect.Effect<void, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const running = begin(folder, argumentsOf(folder, start, entry, lease))
      let asked: NodeJS.Signals | undefined
      const stop = (signal: NodeJS.Signals) => {
        if (asked === signal || asked === "SIGKILL") return
        asked = signal
        running.child.kill(signal)
      }
      const exited = Deferred.await(running.exit)
      const beats = beating(running, lease, stop)
      const outcome = yield* Effect.exit(restore(Effect.raceFirst(exited, beats)))
      if (outcome._tag === "Failure") stop("SIGTERM")
      // What is being saved is still this process's to save.
      const exit = yield* outcome._tag === "Success"
        ? Effect.succeed(outcome.value)
        : Effect.raceFirst(exited, Effect.interruptible(beats))
      yield* ended(endedBy(folder, exit, asked !== undefined))
      if (outcome._tag === "Failure") return yield* Effect.failCause(outcome.cause)
    })
  )
