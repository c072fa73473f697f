/** What happens to the process from outside of its fibers: signals, errors that nothing awaits, streams that nobody reads. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import * as Printable from "../../files/Printable.ts"
import { codeOf, codes } from "./Exit.ts"

/** An error that was thrown where nothing awaits it: in a timer, or in a promise that nobody holds. */
export class StrayError extends Schema.TaggedError<StrayError>()("StrayError", {
  reason: Schema.String,
  cause: Schema.Defect()
}) {
  override get [errorExitCode](): number {
    return ExitCode.failed
  }
  override get message(): string {
    return `${this.reason} (thrown where nothing awaits it)`
  }
}

const guards: Array<Deferred.Deferred<never, StrayError>> = []

/** Fails with a stray error that comes while this runs; the innermost of several fails. */
export const guarded = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StrayError, R> =>
  Effect.suspend(() => {
    const guard = Deferred.makeUnsafe<never, StrayError>()
    guards.push(guard)
    const leave = Effect.sync(() => void guards.splice(guards.indexOf(guard), 1))
    return Effect.ensuring(Effect.raceFirst(effect, Deferred.await(guard)), leave)
  })

const stray = (cause: unknown): void => {
  const error = new StrayError({ reason: Sentence.of(cause), cause })
  const guard = guards.at(-1)
  if (guard !== undefined) return void Deferred.doneUnsafe(guard, Exit.fail(error))
  process.stderr.write(Printable.lines(`error  ${error.message}\n`))
  process.exit(codes.failed)
}

// HUP comes where the terminal is closed: there is as much time to save as after TERM.
const stopping = ["SIGINT", "SIGTERM", "SIGHUP"] as const
type Signal = (typeof stopping)[number]

/** The signal that the process was asked to stop by, and when. */
let first: { readonly signal: Signal; readonly at: number } | undefined

/** The exit code of a finished command. */
export const codeOfExit = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return codes.done
  if (Cause.hasInterruptsOnly(exit.cause))
    return first === undefined || first.signal === "SIGINT" ? codes.interrupted : codes.terminated
  return codeOf(Cause.squash(exit.cause))
}

// npm hands a signal on that the terminal has sent to its children as well.
const echo = 300

/**
 * Runs a command as the process, which ends with its exit code. The first signal interrupts it, so that a run saves a
 * checkpoint; a second one ends the process at once, whatever its engine is doing.
 */
export const main = (command: Effect.Effect<void, unknown>): void => {
  // A stream whose reader is gone, or whose disk is full, stops nothing.
  let unwritten: NodeJS.ErrnoException | undefined
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE" && error.code !== "EIO") unwritten = error
  })
  process.stderr.on("error", () => {})
  process.on("uncaughtException", stray)
  process.on("unhandledRejection", stray)
  /** From here on the operating system ends the process, which takes no turn of JavaScript. */
  const surrender = () => {
    for (const signal of stopping) process.removeAllListeners(signal)
  }
  Runtime.makeRunMain(({ fiber, teardown }) => {
    for (const signal of stopping) {
      process.on(signal, () => {
        if (first === undefined) {
          first = { signal, at: performance.now() }
          setTimeout(surrender, echo).unref()
          fiber.interruptUnsafe(fiber.id)
        } else if (performance.now() - first.at > echo) {
          surrender()
          process.kill(process.pid, signal)
        }
      })
    }
    fiber.addObserver((exit) => {
      surrender()
      // A turn later, when it is known whether what was printed could be.
      setImmediate(() =>
        teardown(exit, (code) => {
          if (code !== 0 || first !== undefined) process.exit(code)
        })
      )
    })
  })(guarded(command), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => {
      if (!Exit.isSuccess(exit) || unwritten === undefined) return onExit(codeOfExit(exit))
      process.stderr.write(`error  the result could not be written to standard output: ${unwritten.message}\n`)
      onExit(codes.failed)
    }
  })
}
