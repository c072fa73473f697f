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

/** Bytes that grow as they are written. */
class Bytes {
  #bytes = new Uint8Array(2 ** 12)
  #view = new DataView(this.#bytes.buffer)
  length = 0

  /** Makes room for so many more. */
  room(more: number): void {
    if (this.length + more <= this.#bytes.length) return
    const wider = new Uint8Array(2 * (this.length + more))
    wider.set(this.#bytes.subarray(0, this.length))
    this.#bytes = wider
    this.#view = new DataView(wider.buffer)
  }
  byte(value: number): void {
    this.#bytes[this.length++] = value
  }
  varint(value: number): void {
    let rest = value
    for (; rest > 127; rest = Math.floor(rest / 128)) this.byte((rest % 128) | 128)
    this.byte(rest)
  }
  double(value: number): void {
    this.#view.setFloat64(this.length, value, true)
    this.length += 8
  }
  float(value: number): void {
    this.#view.setFloat32(this.length, value, true)
    this.length += 4
  }
  all(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.length)
    this.length += bytes.length
  }
  /** Writes a number at a place that is written already. */
  uint32(at: number, value: number): void {
    this.#view.setUint32(at, value, true)
  }
  slice(from: number, to: number): Uint8Array {
    return this.#bytes.subarray(from, to)
  }
}

const sizeOf = (varint: number): number => (varint < 128 ? 1 : 1 + sizeOf(Math.floor(varint / 128)))

// Event: wall_time 1, step 2, file_version 3, summary 5; Summary: value 1; Value: tag 1, simple_value 2.
const [double, varint, text, float] = [1, 0, 2, 5]
const key = (field: number, kind: number): number => (field << 3) | kind

/**
 * The event file of one level, as it grows: its numbers on its own count of updates (or the run's steps, where a number has no such
 * count), the time that of the attempt's beginning, in seconds since 1970, and the seconds since.
 */
export class EventFile {
  readonly #began: number
  readonly #out = new Bytes()
  readonly #names = new Map<string, Uint8Array>()

  constructor(began: number) {
    this.#began = began
    const version = this.#utf8("brain.Event:2")
    this.#record(began, version.length + 2, () => {
      this.#out.byte(key(3, text))
      this.#out.varint(version.length)
      this.#out.all(version)
    })
  }

  /** Adds a number. */
  add({ name, seconds, step, tick, value }: Value): void {
    const [out, tag] = [this.#out, this.#utf8(name)]
    const inner = 1 + sizeOf(tag.length) + tag.length + 5
    const outer = 1 + sizeOf(inner) + inner
    const at = tick ?? step
    const size = 1 + sizeOf(at) + 1 + sizeOf(outer) + outer
    this.#record(this.#began + (seconds ?? 0), size, () => {
      out.byte(key(2, varint))
      out.varint(at)
      out.byte(key(5, text))
      out.varint(outer)
      out.byte(key(1, text))
      out.varint(inner)
      out.byte(key(1, text))
      out.varint(tag.length)
      out.all(tag)
      out.byte(key(2, float))
      out.float(value)
    })
  }

  /** What the file holds. */
  bytes(): Uint8Array {
    return this.#out.slice(0, this.#out.length)
  }

  #utf8(name: string): Uint8Array {
    const known = this.#names.get(name) ?? new TextEncoder().encode(name)
    this.#names.set(name, known)
    return known
  }

  /** A record of an event: its time, and what `write` writes, which has so many bytes. */
  #record(time: number, size: number, write: () => void): void {
    const out = this.#out
    const [begin, length] = [out.length, 9 + size]
    out.room(length + 16)
    out.length += 12
    out.uint32(begin, length)
    out.uint32(begin + 4, 0)
    out.uint32(begin + 8, masked(out.slice(begin, begin + 8)))
    out.byte(key(1, double))
    out.double(time)
    write()
    out.uint32(out.length, masked(out.slice(begin + 12, out.length)))
    out.length += 4
  }
}
