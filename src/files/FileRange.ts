import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import { because, RunFileError } from "./RunFileError.ts"

/** The bytes of an open file from `begin` up to `end`. */
export const read = Effect.fnUntraced(function* (handle: FileSystem.File, file: string, begin: number, end: number) {
  const bytes = new Uint8Array(end - begin)
  for (let at = 0; at < bytes.length;) {
    const count = yield* Effect.mapError(
      handle.read(bytes.subarray(at, at + 2 ** 30), { position: BigInt(begin + at) }),
      because(file)
    )
    if (Number(count) === 0) return yield* new RunFileError({ file, reason: "it was cut short while it was read" })
    at += Number(count)
  }
  return bytes
})
