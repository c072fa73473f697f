/** The end of a run's records, read from where its files end: a long run's are not all read for a few. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Records from "./Records.ts"
import type { RunFolder } from "./RunFolder.ts"

/** Bytes that are read at first. */
const window = 2 ** 16

/** The last whole lines of a file that are records, `n` of them where there are so many, and where the last one ends. */
const ofFile = (file: string, n: number): { readonly records: ReadonlyArray<Records.Record>; readonly end: number } => {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stat = fstatSync(descriptor)
    // A pipe has no end.
    const size = stat.isFile() ? stat.size : 0
    for (let length = Math.min(window, size); ; length = Math.min(4 * length, size)) {
      const bytes = new Uint8Array(length)
      const read = bytes.subarray(0, readSync(descriptor, bytes, 0, length, size - length))
      const last = read.lastIndexOf(10)
      const records: Array<Records.Record> = []
      for (let end = last; end > 0 && records.length < n;) {
        const before = read.lastIndexOf(10, end - 1)
        // What it begins with may be half a line.
        if (before === -1 && length < size) break
        const parsed = Records.parse(read.subarray(before + 1, end))
        if (Result.isSuccess(parsed) && parsed.success !== undefined) records.unshift(parsed.success)
        end = before
      }
      if (records.length < n && length < size) continue
      return { records, end: size - length + last + 1 }
    }
  } finally {
    closeSync(descriptor)
  }
}

/** The last `n` records of a run as its files hold them, and where each attempt's file ended by then. */
export const read = Effect.fnUntraced(function* (folder: RunFolder, n: number) {
  const path = yield* Path.Path
  const [ends, parts] = [new Map<number, number>(), [] as Array<ReadonlyArray<Records.Record>>]
  let left = n
  for (const attempt of (yield* Records.attempts(folder)).toReversed()) {
    const { end, records } = ofFile(path.join(folder.path, `metrics-${attempt}.ndjson`), left)
    ends.set(attempt, end)
    parts.unshift(records)
    left -= records.length
  }
  return { records: parts.flat(), ends }
})
