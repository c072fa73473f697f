import { hash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Random from "effect/Random"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as JsonText from "./JsonText.ts"
import * as RegularFile from "./RegularFile.ts"
import { because, RunFileError } from "./RunFileError.ts"

export { because, RunFileError }

/** No JSON that is read here is longer: 64 MiB. */
const longest = 2 ** 26

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
    Effect.mapError(because(file))
  )
})

const toJson = <A>(file: string, schema: Schema.ConstraintCodec<A>, value: A) =>
  Effect.mapError(Schema.encodeEffect(Schema.toCodecJson(schema))(value), because(file))

const writeJson = (file: string, json: unknown) =>
  replace(file, new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`))

/** Writes a value as indented JSON, as {@link replace} does; NaN and infinities become strings. */
export const write = Effect.fnUntraced(function* <A>(file: string, schema: Schema.ConstraintCodec<A>, value: A) {
  yield* writeJson(file, yield* toJson(file, schema, value))
})

const sealOf = (json: unknown): string => hash("sha256", JSON.stringify(json))

/** Writes a value as {@link write} does, and its hash with it. The value is an object without a field `sha256`. */
export const writeSealed = Effect.fnUntraced(function* <A>(file: string, schema: Schema.ConstraintCodec<A>, value: A) {
  const json = (yield* toJson(file, schema, value)) as object
  yield* writeJson(file, { ...json, sha256: sealOf(json) })
})

/** Reads JSON that others have written, whatever it holds. */
export const readJson = Effect.fnUntraced(function* (file: string) {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(yield* RegularFile.read(file, longest))
  return yield* Effect.fromResult(Result.mapError(JsonText.parse(text), (reason) => new RunFileError({ file, reason })))
})

const decode = <A>(
  file: string,
  schema: Schema.ConstraintCodec<A>,
  json: unknown,
  options: SchemaAST.ParseOptions = {}
): Effect.Effect<A, RunFileError> =>
  Effect.mapError(Schema.decodeUnknownEffect(Schema.toCodecJson(schema), options)(json), because(file))

/** Reads what {@link write} has written, or what people write who know the schema. */
export const read = Effect.fnUntraced(function* <A>(
  file: string,
  schema: Schema.ConstraintCodec<A>,
  options: SchemaAST.ParseOptions = {}
) {
  return yield* decode(file, schema, yield* readJson(file), options)
})

/** Reads what {@link writeSealed} has written; a file that has changed since is refused. */
export const readSealed = Effect.fnUntraced(function* <A>(file: string, schema: Schema.ConstraintCodec<A>) {
  const found = yield* readJson(file)
  const { sha256, ...json } = Predicate.isObject(found) ? found : {}
  if (sha256 !== sealOf(json)) {
    const reason = "it is damaged, or was changed by hand: its content has not the SHA-256 that it was written with"
    return yield* new RunFileError({ file, reason })
  }
  return yield* decode(file, schema, json)
})
