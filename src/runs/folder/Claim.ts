/**
 * The fence of a run folder that is given to one process after another, perhaps on other machines: each has a number, and writes only
 * while nobody has a higher one. The lock of the kernel keeps two apart on one machine; this keeps the late one from writing on a disk
 * whose locks do not reach so far.
 */
import { readdirSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as JsonFile from "../../files/JsonFile.ts"

/** A run that was given to another process since. */
export class ClaimError extends Schema.TaggedError<ClaimError>()("ClaimError", {
  folder: Schema.String,
  claim: Schema.Int,
  later: Schema.Int
}) {
  override get [errorExitCode](): number {
    return ExitCode.live
  }
  override get message(): string {
    return `${this.folder}: it was given to another process as claim ${this.later}, and this one has claim ${this.claim}: it writes nothing more`
  }
}

const directory = (folder: string): string => `${folder}/claims`

/** The highest number that a folder was given out with; 0 of one that never was. */
export const highest = (folder: string): number => {
  try {
    return Math.max(0, ...readdirSync(directory(folder)).flatMap((name) => (/^\d{1,15}$/.test(name) ? [+name] : [])))
  } catch {
    return 0
  }
}

/** Fails once a higher number was given out. */
export const current = (folder: string, claim: number): Effect.Effect<void, ClaimError> =>
  Effect.suspend(() => {
    const later = highest(folder)
    return later > claim ? Effect.fail(new ClaimError({ folder, claim, later })) : Effect.void
  })

/** Takes a folder under a number, from which on those with lower ones write nothing. */
export const take = Effect.fnUntraced(function* (folder: string, claim: number) {
  const fs = yield* FileSystem.FileSystem
  const write = fs
    .makeDirectory(directory(folder), { recursive: true })
    .pipe(Effect.andThen(fs.writeFileString(`${directory(folder)}/${claim}`, "")))
  yield* Effect.mapError(write, JsonFile.because(directory(folder)))
  yield* current(folder, claim)
})
