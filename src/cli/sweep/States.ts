/** What the folders of a sweep's runs show. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Status from "../../runs/folder/Status.ts"
import * as SweepFolder from "../../runs/sweep/SweepFolder.ts"

/** Every run's state, and what a failed one said. */
export const statesOf = Effect.fnUntraced(function* (folder: string, file: SweepFolder.SweepFile) {
  return yield* Effect.forEach(file.entries, (entry) =>
    Effect.gen(function* () {
      const run = SweepFolder.runFolder(folder, file, entry)
      const state = yield* SweepFolder.stateOf(folder, run)
      const status = state === "failed" ? yield* Effect.result(Status.read(run)) : undefined
      const note = status !== undefined && Result.isSuccess(status) ? status.success.error : null
      return { entry, state, note }
    })
  )
})
