/** Text files, plain or gzipped, as streams: a file may be larger than memory. */
import { isUtf8 } from "node:buffer"
import { createReadStream } from "node:fs"
import { open } from "node:fs/promises"
import { pipeline, type Readable } from "node:stream"
import { createGunzip } from "node:zlib"
import * as Stream from "effect/Stream"
import { because, TableError } from "./TableError.ts"

/** A line without its end, and its number, counted from 1. */
export interface Line {
  readonly text: string
  readonly line: number
}

const gzipped = async (file: string): Promise<boolean> => {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(2), 0, 2, 0)
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b
  } finally {
    await handle.close()
  }
}

const mark = Buffer.of(0xef, 0xbb, 0xbf)

/** A file's bytes, unpacked, without the byte order marks that they begin with: who saves a table twice may have written two. */
export async function* bytes(file: string): AsyncGenerator<Buffer> {
  const packed = await gzipped(file)
  const source = createReadStream(file)
  const input: Readable = packed ? (pipeline(source, createGunzip(), () => {}) as unknown as Readable) : source
  let head: Buffer | undefined = Buffer.alloc(0)
  for await (const chunk of input as AsyncIterable<Buffer>) {
    if (head === undefined) {
      yield chunk
      continue
    }
    head = Buffer.concat([head, chunk])
    while (head.subarray(0, mark.length).equals(mark)) head = head.subarray(mark.length)
    if (mark.subarray(0, head.length).equals(head)) continue
    yield head
    head = undefined
  }
  if (head !== undefined && head.length > 0) yield head
}

const newline = 0x0a
/** No line of text is longer: 64 MiB. */
const longest = 2 ** 26

/** Whole lines, and the number of the first. */
interface Block {
  readonly bytes: Buffer
  readonly line: number
}

const notText = (file: string, { bytes, line }: Block): TableError => {
  const wide = line === 1 && /^(?:fffe|feff)/.test(bytes.toString("hex", 0, 2))
  if (wide) {
    const reason = "it is encoded as UTF-16: save it as UTF-8"
    return new TableError({ file, problem: "encoding", line, reason })
  }
  let [from, at] = [0, line]
  for (; ; at++) {
    const end = bytes.indexOf(newline, from)
    if (end < 0 || !isUtf8(bytes.subarray(from, end))) break
    from = end + 1
  }
  const reason = "it is not UTF-8: save the file as UTF-8 (Latin-1: iconv -f latin1 -t utf8)"
  return new TableError({ file, problem: "encoding", line: at, reason })
}

/** A file cut at ends of lines, each block checked to be UTF-8. */
export async function* blocks(file: string): AsyncGenerator<Block> {
  let rest: ReadonlyArray<Buffer> = []
  let [line, waiting] = [1, 0]
  const block = (bytes: Buffer): Block => {
    const own = { bytes, line }
    if (!isUtf8(bytes)) throw notText(file, own)
    for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) line++
    return own
  }
  for await (const chunk of bytes(file)) {
    const end = chunk.lastIndexOf(newline) + 1
    if (end > 0) {
      yield block(Buffer.concat([...rest, chunk.subarray(0, end)]))
      ;[rest, waiting] = [[chunk.subarray(end)], chunk.length - end]
      continue
    }
    ;[rest, waiting] = [[...rest, chunk], waiting + chunk.length]
    if (waiting <= longest) continue
    const reason = `the line has more than ${longest} bytes: is this a text file with a line for each row?`
    throw new TableError({ file, problem: "row", line, reason })
  }
  if (waiting > 0) yield block(Buffer.concat(rest))
}

const linesAtOnce = 1024

async function* linesOf(file: string): AsyncGenerator<ReadonlyArray<Line>> {
  for await (const { bytes, line } of blocks(file)) {
    const texts = bytes.toString("utf8").split("\n")
    if (bytes.at(-1) === newline) texts.pop()
    // A line ends at LF or CRLF alone: text holds U+2028, U+0085 and form feeds.
    const all = texts.map((text, i) => ({ text: text.endsWith("\r") ? text.slice(0, -1) : text, line: line + i }))
    for (let at = 0; at < all.length; at += linesAtOnce) yield all.slice(at, at + linesAtOnce)
  }
}

/** What an iteration yields, as a stream whose errors are about this file. */
export const streamed = <A>(file: string, items: () => AsyncIterable<A>): Stream.Stream<A, TableError> =>
  Stream.suspend(() => Stream.fromAsyncIterable(items(), (error) => because(file, error as Error)))

/**
 * The lines of a file, blank ones included, in chunks. Fails with a `TableError` on a file that is missing, cut short or not
 * UTF-8.
 */
export const lines = (file: string): Stream.Stream<ReadonlyArray<Line>, TableError> =>
  streamed(file, () => linesOf(file))
