import { hash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
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

/** Writes a file beside its place, whole, and then puts it there. */
const place = Effect.fnUntraced(function* <A>(
  file: string,
  bytes: Uint8Array,
  put: (fs: FileSystem.FileSystem, temporary: string) => Effect.Effect<A, PlatformError>
) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  // Two processes may believe that the file is theirs (one of them wrongly): each needs its own temporary.
  const suffix = (yield* Random.nextIntBetween(0, 2 ** 40)).toString(36)
  const temporary = path.join(path.dirname(file), `.tmp-${path.basename(file)}-${suffix}`)
  return yield* Effect.andThen(syncWritten(temporary, bytes), put(fs, temporary)).pipe(
    Effect.ensuring(Effect.ignore(fs.remove(temporary, { force: true }))),
    Effect.tap(() => syncDirectory(path.dirname(file))),
    Effect.mapError(because(file))
  )
})

/** Replaces a file at once: readers see the old text or the new, also after a power cut, never a part. */
export const replace = (file: string, bytes: Uint8Array) =>
  place(file, bytes, (fs, temporary) => fs.rename(temporary, file))

/** Creates a file at once, as {@link replace} replaces one; false where there is one, which stays. */
export const create = (file: string, bytes: Uint8Array) =>
  place(file, bytes, (fs, temporary) =>
    Effect.matchEffect(fs.link(temporary, file), {
      onSuccess: () => Effect.succeed(true),
      onFailure: ({ reason }) =>
        reason._tag === "AlreadyExists"
          ? Effect.succeed(false)
          : // A disk that knows no links, on which a look has to do before the leap.
            Effect.flatMap(fs.exists(file), (exists) =>
              exists ? Effect.succeed(false) : Effect.as(fs.rename(temporary, file), true)
            )
    })
  )

const toJson = <A>(file: string, schema: Schema.ConstraintCodec<A>, value: A) =>
  Effect.mapError(Schema.encodeEffect(Schema.toCodecJson(schema))(value), because(file))

const bytesOf = (json: unknown) => new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`)

/** Writes a value as indented JSON, as {@link replace} does; NaN and infinities become strings. */
export const write = Effect.fnUntraced(function* <A>(file: string, schema: Schema.ConstraintCodec<A>, value: A) {
  yield* replace(file, bytesOf(yield* toJson(file, schema, value)))
})

const sealOf = (json: unknown): string => hash("sha256", JSON.stringify(json))

const sealed = Effect.fnUntraced(function* <A>(file: string, schema: Schema.ConstraintCodec<A>, value: A) {
  const json = (yield* toJson(file, schema, value)) as object
  return bytesOf({ ...json, sha256: sealOf(json) })
})

/** Writes a value as {@link write} does, and its hash with it. The value is an object without a field `sha256`. */
export const writeSealed = Effect.fnUntraced(function* <A>(file: string, schema: Schema.ConstraintCodec<A>, value: A) {
  yield* replace(file, yield* sealed(file, schema, value))
})

/** Writes a value as {@link writeSealed} does, where there is no such file yet: false where there is one, which stays. */
export const createSealed = Effect.fnUntraced(function* <A>(file: string, schema: Schema.ConstraintCodec<A>, value: A) {
  return yield* create(file, yield* sealed(file, schema, value))
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
