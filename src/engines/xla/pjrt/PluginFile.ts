/**
 * What a plugin's file says of itself before it is loaded: loading runs its code, and of one that is no plugin, or was copied
 * in part, that may end the process.
 */
import { createHash } from "node:crypto"
import { closeSync, fstatSync, openSync, readSync } from "node:fs"
import * as Sentence from "../../../dsl/errors/Sentence.ts"

/** The function that makes a shared library a PJRT plugin. */
const entry = "GetPjrtApi"

type Read = (offset: number, length: number) => Buffer

const opened = <A>(path: string, use: (read: Read, size: number) => A): A => {
  const file = openSync(path, "r")
  try {
    const stat = fstatSync(file)
    if (!stat.isFile()) throw new Error("it is no regular file")
    const read: Read = (offset, length) => {
      const bytes = Buffer.alloc(length)
      const count = readSync(file, bytes, 0, length, offset)
      if (count < length) throw new Error("it is cut short: copy or fetch it again")
      return bytes
    }
    return use(read, stat.size)
  } finally {
    closeSync(file)
  }
}

/** A section of an ELF file: its kind, where its bytes are, and the section that its names are in. */
interface Section {
  readonly kind: number
  readonly offset: number
  readonly size: number
  readonly names: number
}

const sectionOf = (at: Buffer): Section => ({
  kind: at.readUInt32LE(4),
  offset: Number(at.readBigUInt64LE(24)),
  size: Number(at.readBigUInt64LE(32)),
  names: at.readUInt32LE(40)
})

const dynamicSymbols = 11

/** The names that an ELF file offers to others; throws where the file ends before what it describes. */
const elfExports = (read: Read, size: number): ReadonlySet<string> => {
  const header = read(0, 64)
  if (header[4] !== 2 || header[5] !== 1) throw new Error("it is not made for a 64-bit system of this byte order")
  const [at, step, count] = [Number(header.readBigUInt64LE(40)), header.readUInt16LE(58), header.readUInt16LE(60)]
  // Section headers come last in the file, so that they tell whether all of it is there.
  if (at + step * count > size) throw new Error("it is cut short: copy or fetch it again")
  const sections = Array.from({ length: count }, (_, i) => sectionOf(read(at + i * step, 64)))
  const symbols = sections.find(({ kind }) => kind === dynamicSymbols)
  const strings = symbols === undefined ? undefined : sections[symbols.names]
  if (symbols === undefined || strings === undefined) throw new Error("it is no shared library")
  const [table, names] = [read(symbols.offset, symbols.size), read(strings.offset, strings.size)]
  const offered = new Set<string>()
  for (let i = 0; i + 24 <= table.length; i += 24) {
    const [name, section] = [table.readUInt32LE(i), table.readUInt16LE(i + 6)]
    if (section !== 0) offered.add(names.toString("latin1", name, names.indexOf(0, name)))
  }
  return offered
}

/** Whether bytes hold a name, wherever in the file. */
const holds = (read: Read, size: number, name: string): boolean => {
  const step = 2 ** 24
  for (let at = 0; at < size; at += step) {
    if (read(at, Math.min(step + name.length, size - at)).includes(name, 0, "latin1")) return true
  }
  return false
}

/** First bytes of Mach-O files, of one processor and of several, and of Windows' libraries. */
const otherKinds = ["cffaedfe", "cafebabe", "cafebabf", "4d5a"]

/** Why a file is no PJRT plugin; undefined where it is one. */
export const refusal = (path: string): string | undefined => {
  try {
    return opened(path, (read, size) => {
      const first = read(0, Math.min(4, size)).toString("hex")
      const elf = first === "7f454c46"
      if (!elf && !otherKinds.some((magic) => first.startsWith(magic))) return "it is no shared library"
      const offers = elf ? elfExports(read, size).has(entry) : holds(read, size, entry)
      return offers ? undefined : `it is a shared library without ${entry}`
    })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    return code === "ENOENT" ? "there is no such file" : Sentence.of(cause)
  }
}

const page = 2 ** 14
const pages = 256

/** Tells builds of a plugin apart: SHA-256 of a file's length and of pages spread over it, which of 400 MB takes milliseconds. */
export const digest = (path: string): string =>
  opened(path, (read, size) => {
    const sum = createHash("sha256").update(`${size}`)
    const count = Math.min(pages, Math.ceil(size / page))
    for (let i = 0; i < count; i++) {
      const at = Math.floor((i * Math.max(0, size - page)) / Math.max(1, count - 1))
      sum.update(read(at, Math.min(page, size - at)))
    }
    return sum.digest("hex").slice(0, 16)
  })
