import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import type { NodeServices } from "../../files/NodeServices.ts"
import * as RegularFile from "../../files/RegularFile.ts"
import * as Program from "../../runs/Program.ts"
import * as Place from "./Place.ts"

/** A program that cannot be found or loaded. */
export class ProgramError extends Schema.TaggedError<ProgramError>()("ProgramError", {
  program: Schema.String,
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    return `program '${this.program}': ${this.reason}`
  }
}

/** What a command line gives to programs, beside the engine that was asked for. */
export type Services = NodeServices

/** A program that needs no more than a command line gives. */
export type Runnable = Program.Program.Needing<Services>

/** Programs that a command line knows by name. */
export type Programs = { readonly [name: string]: Runnable }

/** A program with where it came from: a built-in's name, or a file's path and SHA-256. */
export interface Loaded {
  readonly program: Runnable
  readonly source: string
  readonly sha256: string
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** No program is longer: 16 MiB. */
const longest = 2 ** 24

const looksLikeFile = (source: string): boolean => /[/\\]|\.[cm]?[jt]s$/.test(source)

/** A program of this name as it stands, which no file holds. */
export const named = (name: string, program: Runnable): Loaded => ({ program, source: name, sha256: "" })

/** What to do where a file imports a package that no folder above it has: Node looks beside the file, not beside the command. */
const lacking = (cause: unknown): string => {
  const missing = cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"
  return missing && cause.message.startsWith("Cannot find package")
    ? ": install what it imports where it lies (npm install tapweight effect @tensorflow/tfjs-core), or move it below a folder that has it"
    : ""
}

/** One of `programs` by name, or the program that a file exports by default. */
export const load = Effect.fnUntraced(function* (programs: Programs, source: string) {
  const known = Object.hasOwn(programs, source) ? programs[source] : undefined
  if (known !== undefined) return named(source, known)
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
  const bytes = yield* Effect.mapError(
    RegularFile.read(file, longest),
    ({ reason }) => new ProgramError({ program: source, reason: `the file cannot be read: ${reason}` })
  )
  const url = yield* Effect.orDie(path.toFileUrl(file))
  const module = yield* Effect.tryPromise({
    try: () => import(url.href) as Promise<{ readonly default?: unknown }>,
    // What a program throws while it is made (a negative rate, say) is the author's to read as it was said.
    catch: (cause) =>
      Sentence.causedBy(
        new ProgramError({ program: source, reason: `${Sentence.of(cause)}${lacking(cause)}` }),
        Place.syntaxOf(cause, file)
      )
  })
  const program = module.default
  if (!Program.isProgram(program)) {
    const reason = "its default export is no program: export default Program.fromProblem({ … }) or Program.make({ … })"
    return yield* new ProgramError({ program: source, reason })
  }
  // A file may hold a program that needs more, which then fails by the name of what is missing: no type is left to ask.
  return { program: program as Runnable, source: file, sha256: sha256(bytes) } satisfies Loaded as Loaded
})

/** Whether a file lies under a folder, links followed. */
export const within = Effect.fnUntraced(function* (folder: string, file: string) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const [top, real] = [yield* fs.realPath(folder), yield* fs.realPath(file)]
  return real.startsWith(top.endsWith(path.sep) ? top : `${top}${path.sep}`)
})

/**
 * The program that a run's manifest names. A folder may come from anywhere, and does not choose what code runs: only a known
 * name is taken, or a file under the present directory that has the recorded hash.
 */
export const recorded = Effect.fnUntraced(function* (
  programs: Programs,
  run: string,
  files: { readonly [source: string]: string }
) {
  const [source, hash] = Object.entries(files)[0] ?? ["nothing", ""]
  if (Object.hasOwn(programs, source)) return yield* load(programs, source)
  const refuse = (why: string) =>
    new ProgramError({
      program: source,
      reason: `run ${run} names it as its program, but ${why}: a run folder does not choose what code runs, so name it with --program FILE`
    })
  const file = (yield* Path.Path).resolve(source)
  const inside = yield* Effect.orElseSucceed(within(".", file), () => undefined)
  if (inside === undefined) return yield* refuse("there is no such file")
  if (!inside) return yield* refuse("it does not lie under the present directory")
  const bytes = yield* Effect.mapError(RegularFile.read(file, longest), ({ reason }) => refuse(reason))
  if (sha256(bytes) !== hash) return yield* refuse("it is not the file that the run was started with")
  return yield* load(programs, file)
})
