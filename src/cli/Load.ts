import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { control } from "../experiments/brown/Control.ts"
import { brown } from "../experiments/brown/Program.ts"
import { landscape } from "../experiments/molecules/Landscape.ts"
import { molecules } from "../experiments/molecules/Program.ts"
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

/** Programs that come with the package, by name. */
export const builtIn: { readonly [name: string]: Program.Program } = {
  brown,
  "brown-control": control,
  molecules,
  "molecules-landscape": landscape
}

/** A program with where it came from: a built-in's name, or a file's path and SHA-256. */
export interface Loaded {
  readonly program: Program.Program
  readonly source: string
  readonly sha256: string
}

const looksLikeFile = (source: string): boolean => /[/\\]|\.[cm]?[jt]s$/.test(source)

/** A built-in program by name, or the program that a file exports by default. */
export const load = Effect.fnUntraced(function* (source: string) {
  const found = Object.hasOwn(builtIn, source) ? builtIn[source] : undefined
  if (found !== undefined) return { program: found, source, sha256: "" } satisfies Loaded as Loaded
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = Object.keys(builtIn).join(", ")
  if (!looksLikeFile(source)) {
    return yield* new ProgramError({
      program: source,
      reason: `there is no built-in of this name (there is ${names}), and a file is named by its path`
    })
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
