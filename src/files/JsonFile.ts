import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Random from "effect/Random"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as Disk from "./Disk.ts"

/** A file of a run folder that cannot be written, or does not hold what it should. */
export class RunFileError extends Schema.TaggedError<RunFileError>()("RunFileError", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.file}: ${this.reason}`
  }
}

/** A {@link RunFileError} about this file from any error with a message. */
export const because =
  (file: string) =>
  (error: { readonly message: string }): RunFileError =>
    new RunFileError({ file, reason: error.message })

/** A {@link RunFileError} about this file, which could not be read or written. */
export const failed =
  (file: string) =>
  (error: PlatformError): RunFileError =>
    new RunFileError({ file, reason: Disk.said(error) })

const syncWritten = Effect.fnUntraced(function* (file: string, bytes: Uint8Array) {
  const handle = yield* (yield* FileSystem.FileSystem).open(file, { flag: "wx" })
  yield* handle.writeAll(bytes)
  yield* handle.sync
}, Effect.scoped)

/** Makes what was created, renamed or removed in a directory outlast a power cut. */
export const syncDirectory = Effect.fnUntraced(function* (directory: string) {
  yield* (yield* (yield* FileSystem.FileSystem).open(directory)).sync
}, Effect.scoped)

/** Replaces a file at once: readers see the old text or the new, also after a power cut, never a part. */
export const replace = Effect.fnUntraced(function* (file: string, bytes: Uint8Array) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  // Two processes may believe that the file is theirs (one of them wrongly): each needs its own temporary.
  const suffix = (yield* Random.nextIntBetween(0, 2 ** 40)).toString(36)
  const temporary = path.join(path.dirname(file), `.tmp-${path.basename(file)}-${suffix}`)
  yield* Effect.andThen(syncWritten(temporary, bytes), fs.rename(temporary, file)).pipe(
    Effect.onError(() => Effect.ignore(fs.remove(temporary, { force: true }))),
    Effect.andThen(syncDirectory(path.dirname(file))),
    Effect.mapError(failed(file))
  )
})

/** Writes a value as indented JSON, as {@link replace} does; NaN and infinities become strings. */
export const write = Effect.fnUntraced(function* <A>(file: string, schema: Schema.ConstraintCodec<A>, value: A) {
  const json = yield* Effect.mapError(Schema.encodeEffect(Schema.toCodecJson(schema))(value), because(file))
  yield* replace(file, new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`))
})

/** Reads what {@link write} has written, or what people write who know the schema. */
export const read = Effect.fnUntraced(function* <A>(
  file: string,
  schema: Schema.ConstraintCodec<A>,
  options: SchemaAST.ParseOptions = {}
) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(fs.readFileString(file), failed(file))
  const decode = Schema.decodeEffect(Schema.fromJsonString(Schema.toCodecJson(schema)), options)
  return yield* Effect.mapError(decode(text), because(file))
})
