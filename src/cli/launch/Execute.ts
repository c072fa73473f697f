import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Path from "effect/Path"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import { Engine } from "../../engines/Engine.ts"
import * as JsonFile from "../../files/JsonFile.ts"
import type { FolderLock } from "../../runs/folder/FolderLock.ts"
import type * as Program from "../../runs/Program.ts"
import * as ResultFile from "../../runs/folder/ResultFile.ts"
import * as Session from "../../runs/trial/Session.ts"
import type { RunFolder } from "../../runs/folder/RunFolder.ts"
import * as Status from "../../runs/folder/Status.ts"
import * as Process from "./Process.ts"
import type { Display } from "./Progress.ts"

const stateOf = (exit: Exit.Exit<unknown, unknown>): Status.State =>
  Exit.isSuccess(exit) ? "done" : Exit.hasInterrupts(exit) ? "interrupted" : "failed"

const reasonOf = (exit: Exit.Exit<unknown, unknown>): string | null =>
  Exit.isSuccess(exit) || Exit.hasInterrupts(exit) ? null : Sentence.of(Cause.squash(exit.cause))

/**
 * Runs a program in its folder and writes what it says: `status.json` with a heartbeat while it runs, `result.json` and
 * its charts when it is done. A run that is done already gives its stored result.
 */
export const execute = Effect.fnUntraced(function* <E, R>(
  folder: RunFolder,
  lock: FolderLock,
  program: string,
  run: Program.Prepared<E, R>["run"],
  display: Display,
  attempt: number
) {
  const path = yield* Path.Path
  const engine = yield* Engine
  let tick = 0
  const own = Effect.match(lock.intact, { onFailure: ({ _tag }) => _tag !== "ClaimError", onSuccess: () => true })
  // What becomes of a run that another process has now is that one's to say.
  const status = (state: Status.State, exit: number | null = null, error: string | null = null) =>
    Effect.when(Status.write(folder, { state, tick, attempt, exit, error }), own)
  const watch = (now: Session.TrialTick) => {
    tick = now.tick.index
    return display.report(now)
  }
  const session = Session.make(folder, watch, lock.intact)
  const before = yield* engine.live
  const work = Effect.gen(function* () {
    yield* status("running")
    // Ended with the work's scope, so that no beat comes after the run has said how it ended.
    const beat = Effect.ignore(Effect.suspend(() => status("running")))
    yield* Effect.forkScoped(Effect.forever(Effect.delay(beat, Duration.seconds(5))))
    const lost = Effect.forever(Effect.delay(lock.intact, Duration.seconds(5)))
    const said = yield* Process.guarded(Effect.raceFirst(run(session), lost))
    yield* lock.intact
    for (const [name, svg] of Object.entries(said.charts ?? {})) {
      yield* JsonFile.replace(path.join(folder.path, name), new TextEncoder().encode(svg))
    }
    // Last, because a run that has a result is done.
    const { result, scores, tables, text } = said
    const more = { ...(scores === undefined ? {} : { scores }), ...(tables === undefined ? {} : { tables }) }
    yield* ResultFile.write(folder, { program, result, text, ...more })
    return said
  }).pipe(Effect.scoped)
  return yield* work.pipe(
    Effect.onExit((exit) => Effect.ignore(status(stateOf(exit), Process.codeOfExit(exit), reasonOf(exit)))),
    Effect.onExit(() =>
      Effect.flatMap(engine.live, (after) => Effect.logDebug(`tensors the run left behind: ${after - before}`))
    )
  )
})
