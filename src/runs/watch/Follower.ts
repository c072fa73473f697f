/** What files of records gain, from where they were read last: another process may write them, here or on a shared disk. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs"
import * as Result from "effect/Result"
import * as Records from "../folder/Records.ts"

/** Bytes that are read at a time: two of the longest lines that a run may write. */
const most = 2 ** 21

/** One file, read as it grows. A line that has no end yet waits for it. */
export class Follower {
  readonly #file: string
  #at: number
  /** Begins so many bytes in, at a line's end. */
  constructor(file: string, from = 0) {
    this.#file = file
    this.#at = from
  }
  /**
   * Whole lines since the last call, as records, of no more than is read at a time: `more` says whether there is more at hand. Lines that
   * are no records, or of a kind that is not known, are passed over.
   */
  next(): { readonly records: ReadonlyArray<Records.Record>; readonly more: boolean } {
    let descriptor: number
    try {
      descriptor = openSync(this.#file, constants.O_RDONLY | constants.O_NONBLOCK)
    } catch {
      return { records: [], more: false }
    }
    try {
      const stat = fstatSync(descriptor)
      // A pipe would never end.
      const size = stat.isFile() ? stat.size : 0
      const bytes = new Uint8Array(Math.max(0, Math.min(most, size - this.#at)))
      const read = readSync(descriptor, bytes, 0, bytes.length, this.#at)
      const before = this.#at
      const out: Array<Records.Record> = []
      let start = 0
      for (let end = bytes.indexOf(10); end !== -1 && end < read; end = bytes.indexOf(10, start)) {
        const parsed = Records.parse(bytes.subarray(start, end))
        if (Result.isSuccess(parsed) && parsed.success !== undefined) out.push(parsed.success)
        start = end + 1
      }
      // A line that is longer than what is read at a time would never end.
      this.#at += start === 0 && read === most ? most : start
      return { records: out, more: this.#at > before && this.#at < size }
    } finally {
      closeSync(descriptor)
    }
  }
}
