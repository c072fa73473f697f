/**
 * A file of records: `TWREC1` and two zero bytes, the number of records (uint32, little endian as all that follows), the
 * CRC-32 of the index, the index (a length and a CRC-32 for each record), the records.
 */
import { crc32 } from "node:zlib"
import type { Packed } from "./Records.ts"

const magic = "TWREC1\0\0"
const prefix = 16

/** Where the records of a file are. */
export interface Index {
  /** Byte offset of each record, and of the end. */
  readonly offsets: Float64Array
  /** CRC-32 of each record. */
  readonly sums: Uint32Array
}

/** The bytes of a file that holds these records. */
export const encode = ({ bytes, lengths }: Packed): Uint8Array => {
  const count = lengths.length
  const file = new Uint8Array(prefix + 8 * count + bytes.length)
  const view = new DataView(file.buffer)
  let at = 0
  for (const [i, length] of lengths.entries()) {
    view.setUint32(prefix + 8 * i, length, true)
    view.setUint32(prefix + 8 * i + 4, crc32(bytes.subarray(at, at + length)), true)
    at += length
  }
  file.set(new TextEncoder().encode(magic))
  view.setUint32(8, count, true)
  view.setUint32(12, crc32(file.subarray(prefix, prefix + 8 * count)), true)
  file.set(bytes, prefix + 8 * count)
  return file
}

/** The index of a file that ought to hold `count` records, or in a few words what is wrong with the file. */
export const check = (file: Uint8Array, count: number): Index | string => {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  if (file.length < prefix + 8 * count) return `it ends after ${file.length} bytes`
  if (String.fromCharCode(...file.subarray(0, 8)) !== magic) return "it is not a file of records"
  if (view.getUint32(8, true) !== count) return `it holds ${view.getUint32(8, true)} records in place of ${count}`
  if (view.getUint32(12, true) !== crc32(file.subarray(prefix, prefix + 8 * count))) return "its index is damaged"
  const offsets = new Float64Array(count + 1)
  const sums = new Uint32Array(count)
  offsets[0] = prefix + 8 * count
  for (let i = 0; i < count; i++) {
    offsets[i + 1] = offsets[i]! + view.getUint32(prefix + 8 * i, true)
    sums[i] = view.getUint32(prefix + 8 * i + 4, true)
  }
  if (offsets[count] !== file.length) return `it has ${file.length} bytes in place of ${offsets[count]}`
  for (let i = 0; i < count; i++) {
    if (crc32(file.subarray(offsets[i], offsets[i + 1])) !== sums[i]) return `its record ${i} is damaged`
  }
  return { offsets, sums }
}
