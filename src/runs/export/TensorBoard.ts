/**
 * TensorBoard's event files: each record is its length, that length's checksum, a protocol buffer `Event`, and its checksum
 * (tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto).
 */
import type { Value } from "./Values.ts"

const table = Uint32Array.from({ length: 256 }, (_, i) => {
  let c = i
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
  return c
})

/** CRC-32C (Castagnoli), masked as the record format wants it. */
const masked = (bytes: Uint8Array): number => {
  let c = 0xffffffff
  for (const byte of bytes) c = table[(c ^ byte) & 0xff]! ^ (c >>> 8)
  c = (c ^ 0xffffffff) >>> 0
  return (((c >>> 15) | (c << 17)) + 0xa282ead8) >>> 0
}

const varint = (value: number): ReadonlyArray<number> => {
  const out: Array<number> = []
  let rest = value
  while (rest > 127) {
    out.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  return [...out, rest]
}
const field = (number: number, bytes: ArrayLike<number>): ReadonlyArray<number> => [
  (number << 3) | 2,
  ...varint(bytes.length),
  ...Array.from(bytes)
]
const double = (number: number, value: number): ReadonlyArray<number> => [
  (number << 3) | 1,
  ...new Uint8Array(new Float64Array([value]).buffer)
]
const float = (number: number, value: number): ReadonlyArray<number> => [
  (number << 3) | 5,
  ...new Uint8Array(new Float32Array([value]).buffer)
]
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const record = (event: ReadonlyArray<number>): Uint8Array => {
  const out = new Uint8Array(event.length + 16)
  const view = new DataView(out.buffer)
  view.setBigUint64(0, BigInt(event.length), true)
  view.setUint32(8, masked(out.subarray(0, 8)), true)
  out.set(event, 12)
  view.setUint32(12 + event.length, masked(out.subarray(12, 12 + event.length)), true)
  return out
}

/**
 * The event file of one level, as it grows: its numbers on its own count of updates (or the run's steps, where a number has no such
 * count), the time that of the attempt's beginning, in seconds since 1970, and the seconds since.
 */
export class EventFile {
  readonly #began: number
  #bytes = new Uint8Array(2 ** 12)
  #length = 0

  constructor(began: number) {
    this.#began = began
    // Event: wall_time 1, step 2, file_version 3, summary 5; Summary: value 1; Value: tag 1, simple_value 2.
    this.#add(record([...double(1, began), ...field(3, utf8("brain.Event:2"))]))
  }

  /** Adds a number. */
  add({ name, seconds, step, tick, value }: Value): void {
    this.#add(
      record([
        ...double(1, this.#began + (seconds ?? 0)),
        (2 << 3) | 0,
        ...varint(tick ?? step),
        ...field(5, field(1, [...field(1, utf8(name)), ...float(2, value)]))
      ])
    )
  }

  /** What the file holds. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #add(event: Uint8Array): void {
    if (this.#length + event.length > this.#bytes.length) {
      const wider = new Uint8Array(2 * (this.#length + event.length))
      wider.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = wider
    }
    this.#bytes.set(event, this.#length)
    this.#length += event.length
  }
}
