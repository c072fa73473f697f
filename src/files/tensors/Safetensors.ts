import * as Result from "effect/Result"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as NdArray from "../../dsl/values/NdArray.ts"
import { fromBfloat16, fromFloat16 } from "./HalfFloats.ts"

/**
 * Bytes that are not a safetensors file, or not one that can be trusted. The message says where, what was found, what
 * was expected.
 */
export class SafetensorsError extends Schema.TaggedError<SafetensorsError>()("SafetensorsError", {
  offset: Schema.Int,
  found: Schema.String,
  expected: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
  override get message(): string {
    return `safetensors, byte ${this.offset}: found ${this.found}, expected ${this.expected}`
  }
}

/** What a safetensors file holds: named arrays, and notes about them. */
export interface Decoded {
  readonly tensors: ReadonlyMap<string, NdArray.NdArray>
  readonly metadata: { readonly [key: string]: string }
}

/** Bytes that a header has at most. */
export const maxHeader = 16 * 1024 * 1024
const maxTensors = 100_000
const dtypes = { float32: "F32", int32: "I32" } as const
/** What is read, by bytes an element: F16 and BF16 become float32, I64 (PyTorch's counters) int32 where its numbers fit. */
const widths = { F32: 4, F16: 2, BF16: 2, I32: 4, I64: 8 } as const
const isRead = (dtype: string): dtype is keyof typeof widths => Object.hasOwn(widths, dtype)

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0

/**
 * Named arrays as one file. The same entries give the same bytes in whatever order they come. Throws a `RangeError`
 * where two entries share a name or one is called `__metadata__`.
 *
 * ```ts
 * const bytes = Safetensors.encode([["w", NdArray.float32([2], [1, 2])]])
 * const { tensors } = await Effect.runPromise(Effect.fromResult(Safetensors.decode(bytes)))
 * tensors.get("w")?.data // => [1, 2]
 * ```
 */
export const encode = (
  entries: ReadonlyArray<readonly [name: string, array: NdArray.NdArray]>,
  metadata: { readonly [key: string]: string } = {}
): Uint8Array => {
  const sorted = [...entries].sort(byName)
  const fields: Array<string> = []
  const field = (name: string, value: unknown) => fields.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`)
  const notes = Object.entries(metadata).sort(byName)
  if (notes.length > 0) field("__metadata__", Object.fromEntries(notes))
  let size = 0
  for (const [i, [name, { data, dtype, shape }]] of sorted.entries()) {
    if (name === "__metadata__") throw new RangeError("Safetensors: no tensor can be called '__metadata__'")
    if (name === sorted[i - 1]?.[0]) throw new RangeError(`Safetensors: two tensors are called '${name}'`)
    field(name, { dtype: dtypes[dtype], shape, data_offsets: [size, size + data.byteLength] })
    size += data.byteLength
  }
  const json = new TextEncoder().encode(`{${fields.join(",")}}`)
  // Readers that map the file into memory want the numbers aligned; the format allows trailing spaces for that.
  const start = 8 + Math.ceil(json.length / 8) * 8
  const bytes = new Uint8Array(start + size).fill(0x20, 8, start)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(start - 8), true)
  bytes.set(json, 8)
  let at = start
  for (const [, { data }] of sorted) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at)
    at += data.byteLength
  }
  return bytes
}

const refuse = (offset: number, found: string, expected: string): Result.Result<never, SafetensorsError> =>
  Result.fail(new SafetensorsError({ offset, found, expected }))

const short = (value: unknown): string => {
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

const isForeign = (bytes: Uint8Array): string | undefined => {
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return "a zip archive (PyTorch's .pt and .bin are such)"
  if (bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5) return "a pickle"
  return undefined
}

/** The header's text and where the numbers start. Of a file of `size` bytes, `bytes` are the first, the header among them if it has a length that can be. */
const readHeader = (
  bytes: Uint8Array,
  size: number
): Result.Result<{ text: string; start: number }, SafetensorsError> => {
  if (bytes.length < 8) return refuse(0, `${size} bytes`, "at least the 8 bytes of a header length")
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
  const foreign = isForeign(bytes)
  // A header length may by chance begin like a pickle, so the magic numbers are asked only about what is no safetensors.
  if (foreign !== undefined && (length > maxHeader || bytes[8] !== 0x7b)) {
    return refuse(0, foreign, "a safetensors file: convert to safetensors where you trust it")
  }
  if (length > maxHeader) return refuse(0, `a header length of ${length} bytes`, `at most ${maxHeader}`)
  if (length > size - 8) {
    return refuse(0, `a header length of ${length} bytes`, `at most the ${size - 8} that follow: the file is cut short`)
  }
  const start = 8 + Number(length)
  if (length === 0n || bytes[8] !== 0x7b) return refuse(8, "a header that is no JSON object", "'{'")
  try {
    return Result.succeed({ text: new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, start)), start })
  } catch {
    return refuse(8, "a header that is not UTF-8", "UTF-8")
  }
}

/**
 * What `JSON.parse` lets pass: of two equal keys it keeps the last in silence, so that two readers see two different
 * files, and it nests as deep as memory goes. Expects valid JSON.
 */
const checkKeys = (json: string): Result.Result<void, SafetensorsError> => {
  const open: Array<Set<string>> = []
  for (let i = 0; i < json.length; i++) {
    const c = json[i]
    if (c === "{" || c === "[") {
      if (open.push(new Set()) > 3) return refuse(8, "a header nested deeper than its 3 levels", "tensor descriptions")
    } else if (c === "}" || c === "]") {
      open.pop()
    } else if (c === '"') {
      const from = i++
      while (json[i] !== '"') i += json[i] === "\\" ? 2 : 1
      let next = i + 1
      while (/\s/.test(json[next] ?? "")) next++
      if (json[next] !== ":") continue
      const key = JSON.parse(json.slice(from, i + 1)) as string
      if (open.at(-1)!.has(key)) return refuse(8, `the key ${short(key)} twice`, "each key once")
      open.at(-1)!.add(key)
    }
  }
  return Result.succeed(undefined)
}

const parseHeader = (text: string): Result.Result<ReadonlyArray<[string, unknown]>, SafetensorsError> => {
  try {
    const header = JSON.parse(text) as object
    return Result.map(checkKeys(text), () => Object.entries(header))
  } catch (cause) {
    return refuse(8, `a header that is not JSON (${(cause as Error).message})`, "JSON")
  }
}

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Entry = Schema.Struct({
  dtype: Schema.String,
  shape: Schema.Array(Count),
  data_offsets: Schema.Tuple([Count, Count])
})
const isEntry = Schema.is(Entry)
const isMetadata = Schema.is(Schema.Record(Schema.String, Schema.String))

/** A tensor of a file: what it is, and from which byte to which. */
export interface Placed {
  readonly name: string
  readonly dtype: keyof typeof widths
  readonly shape: ReadonlyArray<number>
  readonly begin: number
  readonly end: number
}

const place = (name: string, entry: unknown): Result.Result<Placed, SafetensorsError> => {
  const label = `tensor ${short(name)}`
  if (!isEntry(entry) || Object.keys(entry).length !== 3) {
    return refuse(
      8,
      `${label} described as ${short(entry)}`,
      "dtype, shape and data_offsets, whole numbers of at least 0"
    )
  }
  const {
    dtype,
    shape,
    data_offsets: [begin, end]
  } = entry
  if (!isRead(dtype)) {
    return refuse(8, `${label} of dtype ${short(dtype)}`, "F32, F16, BF16, I32 or I64: convert it before saving")
  }
  const size = NdArray.size(shape) * widths[dtype]
  return size === end - begin
    ? Result.succeed({ name, dtype, shape, begin, end })
    : refuse(8, `${label} of shape ${short(shape)} in ${end - begin} bytes`, `${size} bytes`)
}

/** Ranges must tile the buffer: a hole hides bytes, an overlap lets one tensor be read as another. */
const checkTiling = (
  placed: ReadonlyArray<Placed>,
  start: number,
  length: number
): Result.Result<void, SafetensorsError> => {
  let at = 0
  for (const { begin, end, name } of [...placed].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at) {
      const what = begin > at ? `a hole of ${begin - at} bytes before` : `an overlap of ${at - begin} bytes with`
      return refuse(start + Math.min(at, begin), `${what} tensor ${short(name)}`, "tensors one after the other")
    }
    at = end
  }
  return start + at === length
    ? Result.succeed(undefined)
    : refuse(
        start + Math.min(at, length - start),
        `${length - start} bytes of numbers`,
        `the ${at} that the header declares`
      )
}

/** The array that the bytes of a tensor stand for. */
export const toArray = (
  bytes: Uint8Array,
  { begin, dtype, name, shape }: Placed
): Result.Result<NdArray.NdArray, SafetensorsError> => {
  // The copy aligns foreign files, and lets the file's buffer go. Byte order is the machine's: little-endian wherever
  // the engines run.
  const { buffer } = new Uint8Array(bytes)
  if (dtype === "F32") return Result.succeed(NdArray.float32(shape, new Float32Array(buffer)))
  if (dtype === "F16") return Result.succeed(NdArray.float32(shape, fromFloat16(new Uint16Array(buffer))))
  if (dtype === "BF16") return Result.succeed(NdArray.float32(shape, fromBfloat16(new Uint16Array(buffer))))
  if (dtype === "I32") return Result.succeed(NdArray.int32(shape, new Int32Array(buffer)))
  const long = new BigInt64Array(buffer)
  const large = long.find((n) => BigInt.asIntN(32, n) !== n)
  return large === undefined
    ? Result.succeed(NdArray.int32(shape, Int32Array.from(long, Number)))
    : refuse(begin, `${large} in tensor ${short(name)} of dtype I64`, "numbers of 32 bits")
}

/** What a safetensors file says it holds, and where: `begin` and `end` count from the file's beginning. */
export interface Header {
  readonly tensors: ReadonlyArray<Placed>
  readonly metadata: Decoded["metadata"]
}

/**
 * Reads the header of a safetensors file of `size` bytes from its first bytes, without trusting it: what it declares is held
 * against the size. Names are labels, never paths; whether they fit a model is the caller's question.
 */
export const header = (bytes: Uint8Array, size: number): Result.Result<Header, SafetensorsError> =>
  Result.gen(function* () {
    const { start, text } = yield* readHeader(bytes, size)
    const entries = new Map(yield* parseHeader(text))
    const metadata = entries.get("__metadata__") ?? {}
    if (!isMetadata(metadata)) return yield* refuse(8, `__metadata__ ${short(metadata)}`, "a record of strings")
    entries.delete("__metadata__")
    if (entries.size > maxTensors) return yield* refuse(8, `${entries.size} tensors`, `at most ${maxTensors}`)
    const placed: Array<Placed> = []
    for (const [name, entry] of entries) placed.push(yield* place(name, entry))
    yield* checkTiling(placed, start, size)
    const tensors = placed.map((tensor) => ({ ...tensor, begin: start + tensor.begin, end: start + tensor.end }))
    return { tensors, metadata }
  })

/** Reads a safetensors file that is in memory: its {@link header}, and all of its tensors. */
export const decode = (bytes: Uint8Array): Result.Result<Decoded, SafetensorsError> =>
  Result.gen(function* () {
    const { metadata, tensors: placed } = yield* header(bytes, bytes.length)
    const tensors = new Map<string, NdArray.NdArray>()
    for (const tensor of placed) {
      tensors.set(tensor.name, yield* toArray(bytes.subarray(tensor.begin, tensor.end), tensor))
    }
    return { tensors, metadata }
  })
