/** Where the files of a zip archive lie, so that each is read at its place: archives of weights are larger than memory should be. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as FileRange from "../FileRange.ts"
import { RunFileError } from "../RunFileError.ts"

/** A file of an archive, stored as it is: from which byte of the archive on, and how many. */
export interface Entry {
  readonly name: string
  readonly begin: number
  readonly size: number
}

const longestDirectory = 2 ** 26
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

/** A number of the directory that does not fit 32 bits stands in an extra field, those that do not fit one after another. */
const extended = (extra: DataView, values: ReadonlyArray<number>): ReadonlyArray<number> => {
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) !== 1) continue
    let next = at + 4
    return values.map((value) => {
      if (value !== 0xffff_ffff || next + 8 > extra.byteLength) return value
      next += 8
      return Number(extra.getBigUint64(next - 8, true))
    })
  }
  return values
}

/** The entries of a zip archive of `size` bytes. Fails with a `RunFileError` where it is none, is cut short, or is compressed. */
export const read = Effect.fnUntraced(function* (handle: FileSystem.File, file: string, size: number) {
  const refuse = (reason: string) => new RunFileError({ file, reason })
  const bytesAt = (from: number, length: number) =>
    from >= 0 && length >= 0 && from + length <= size
      ? FileRange.read(handle, file, from, from + length)
      : Effect.fail(refuse("it is a zip archive that is cut short or damaged: fetch it again"))
  const from = Math.max(0, size - 65_557)
  const tail = viewOf(yield* bytesAt(from, size - from))
  let end = tail.byteLength - 22
  while (end >= 0 && tail.getUint32(end, true) !== 0x0605_4b50) end--
  if (end < 0) return yield* refuse("it is no zip archive, or is cut short: fetch it again")
  let [count, length, start] = [
    tail.getUint16(end + 10, true),
    tail.getUint32(end + 12, true),
    tail.getUint32(end + 16, true)
  ]
  if (end >= 20 && tail.getUint32(end - 20, true) === 0x0706_4b50) {
    const record = viewOf(yield* bytesAt(Number(tail.getBigUint64(end - 12, true)), 56))
    ;[count, length, start] = [32, 40, 48].map((at) => Number(record.getBigUint64(at, true))) as [
      number,
      number,
      number
    ]
  }
  if (length > longestDirectory)
    return yield* refuse(`its directory has ${length} bytes, expected at most ${longestDirectory}`)
  const bytes = yield* bytesAt(start, length)
  const view = viewOf(bytes)
  const entries: Array<Entry> = []
  for (let at = 0, i = 0; i < count; i++) {
    if (at + 46 > length || view.getUint32(at, true) !== 0x0201_4b50)
      return yield* refuse("its directory is damaged: fetch it again")
    const [named, extra, comment] = [28, 30, 32].map((n) => view.getUint16(at + n, true)) as [number, number, number]
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + named))
    const [whole, packed, local] = extended(
      viewOf(bytes.subarray(at + 46 + named, at + 46 + named + extra)),
      [24, 20, 42].map((n) => view.getUint32(at + n, true))
    ) as [number, number, number]
    if (view.getUint16(at + 10, true) !== 0 || whole !== packed) {
      return yield* refuse(`'${name}' in it is compressed, which PyTorch's files are not: save it with torch.save`)
    }
    const header = viewOf(yield* bytesAt(local, 30))
    const begin = local + 30 + header.getUint16(26, true) + header.getUint16(28, true)
    if (begin + whole > size) return yield* refuse(`'${name}' in it is cut short: fetch it again`)
    entries.push({ name, begin, size: whole })
    at += 46 + named + extra + comment
  }
  return entries
})
