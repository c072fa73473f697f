import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Program from "../runs/Program.ts"

/** A program that cannot be found or loaded. */
export class ProgramError extends Schema.TaggedError<ProgramError>()("ProgramError", {
  program: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `program '${this.program}': ${this.reason}`
  }
}

/** Programs that a command line knows by name. */
export type Programs = { readonly [name: string]: Program.Program }

/** A program with where it came from: a built-in's name, or a file's path and SHA-256. */
export interface Loaded {
  readonly program: Program.Program
  readonly source: string
  readonly sha256: string
}

const looksLikeFile = (source: string): boolean => /[/\\]|\.[cm]?[jt]s$/.test(source)

/** A program of this name as it stands, which no file holds. */
export const named = (name: string, program: Program.Program): Loaded => ({ program, source: name, sha256: "" })

/** One of `programs` by name, or the program that a file exports by default. */
export const load = Effect.fnUntraced(function* (programs: Programs, source: string) {
  const known = Object.hasOwn(programs, source) ? programs[source] : undefined
  if (known !== undefined) return named(source, known)
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  if (!looksLikeFile(source)) {
    const names = Object.keys(programs).join(", ")
    const reason =
      names === ""
        ? "a program is a file, named by its path: ./program.ts"
        : `there is no program of this name (there is ${names}), and a file is named by its path`
    return yield* new ProgramError({ program: source, reason })
  }
  const file = path.resolve(source)
  const bytes = yield* fs
    .readFile(file)
    .pipe(
      Effect.mapError(
        (error) => new ProgramError({ program: source, reason: `the file cannot be read: ${error.message}` })
      )
    )
  const url = yield* Effect.orDie(path.toFileUrl(file))
  const module = yield* Effect.tryPromise({
    try: () => import(url.href) as Promise<{ readonly default?: unknown }>,
    // What a program throws while it is made (a negative rate, say) is the author's to read as it was said.
    catch: (cause) =>
      new ProgramError({ program: source, reason: cause instanceof Error ? cause.message : String(cause) })
  })
  if (!Program.isProgram(module.default)) {
    const reason = "its default export is no program: export default Program.fromProblem({ … }) or Program.make({ … })"
    return yield* new ProgramError({ program: source, reason })
  }
  const sha256 = createHash("sha256").update(bytes).digest("hex")
  return { program: module.default, source: file, sha256 } satisfies Loaded as Loaded
})
