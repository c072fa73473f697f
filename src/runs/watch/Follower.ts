/** What files of records gain, from where they were read last: another process may write them, here or on a shared disk. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs"
import * as Result from "effect/Result"
import * as Records from "../folder/Records.ts"

/** No more is read at a time: 16 MiB. */
const most = 2 ** 24

/** One file, read as it grows. A line that has no end yet waits for it. */
export class Follower {
  readonly #file: string
  #at = 0
  constructor(file: string) {
    this.#file = file
  }
  /** Whole lines since the last call, as records; those that are none, or of a kind that is not known, are passed over. */
  next(): ReadonlyArray<Records.Record> {
    let descriptor: number
    try {
      descriptor = openSync(this.#file, "r")
    } catch {
      return []
    }
    try {
      const { size } = fstatSync(descriptor)
      const bytes = new Uint8Array(Math.max(0, Math.min(most, size - this.#at)))
      const read = readSync(descriptor, bytes, 0, bytes.length, this.#at)
      const out: Array<Records.Record> = []
      let start = 0
      for (let end = bytes.indexOf(10); end !== -1 && end < read; end = bytes.indexOf(10, start)) {
        const parsed = Records.parse(bytes.subarray(start, end))
        if (Result.isSuccess(parsed) && parsed.success !== undefined) out.push(parsed.success)
        start = end + 1
      }
      // A line that is longer than what is read at a time would never end.
      this.#at += start === 0 && read === most ? most : start
      return out
    } finally {
      closeSync(descriptor)
    }
  }
}
