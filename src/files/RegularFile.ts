/** Files whose kind and size are known before anything of them is read: a pipe never ends, and neither does a device. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { because, RunFileError } from "./RunFileError.ts"

const kinds: { readonly [type in FileSystem.File.Type]: string } = {
  File: "a file",
  Directory: "a folder",
  SymbolicLink: "a link",
  BlockDevice: "a device",
  CharacterDevice: "a device",
  FIFO: "a pipe",
  Socket: "a socket",
  Unknown: "something unknown"
}

/** The bytes of a regular file, of which there are at most `most`. Fails with a `RunFileError` that says what it is instead. */
export const size = Effect.fnUntraced(function* (file: string, most: number = Infinity) {
  const fs = yield* FileSystem.FileSystem
  const { size, type } = yield* Effect.mapError(fs.stat(file), because(file))
  if (type !== "File") {
    return yield* new RunFileError({ file, reason: `it is ${kinds[type]}, and not a file that can be read` })
  }
  if (Number(size) > most) {
    return yield* new RunFileError({ file, reason: `it has ${size} bytes, expected at most ${most}` })
  }
  return Number(size)
})

/** A regular file's bytes. */
export const read = Effect.fnUntraced(function* (file: string, most?: number) {
  yield* size(file, most)
  return yield* Effect.mapError((yield* FileSystem.FileSystem).readFile(file), because(file))
})
