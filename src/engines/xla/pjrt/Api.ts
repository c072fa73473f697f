/**
 * The PJRT C API (openxla/xla, `xla/pjrt/c/pjrt_c_api.h`) through `koffi`: a table of functions, each of which takes one
 * structure of arguments and gives an error or nothing.
 */
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../../dsl/errors/ExitCode.ts"

/** What a PJRT plugin refuses or fails at, in XLA's words. */
export class XlaError extends Schema.TaggedError<XlaError>()("XlaError", {
  call: Schema.String,
  /** Status code, as in gRPC: 3 is an invalid argument, 8 resources exhausted, 13 internal, 14 unavailable. */
  code: Schema.Int,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.call}: ${this.reason}`
  }
  override get [errorExitCode](): number {
    return ExitCode.failed
  }
}

/** Functions by their place in the table, with the size of their arguments in the version that this was written for. */
const functions = {
  Error_Destroy: [0, 24],
  Error_Message: [1, 40],
  Error_GetCode: [2, 32],
  Plugin_Initialize: [3, 16],
  Event_Destroy: [5, 24],
  Event_IsReady: [6, 32],
  Event_Await: [8, 24],
  Client_Create: [10, 88],
  Client_Destroy: [11, 24],
  Client_PlatformName: [12, 40],
  Client_PlatformVersion: [14, 40],
  Client_AddressableDevices: [16, 40],
  Client_Compile: [20, 56],
  Client_BufferFromHostBuffer: [22, 120],
  DeviceDescription_Id: [23, 32],
  Device_GetDescription: [29, 32],
  LoadedExecutable_Destroy: [50, 24],
  LoadedExecutable_Execute: [55, 80],
  Buffer_Destroy: [58, 24],
  Buffer_ToHostBuffer: [70, 56]
} as const

/** Those that a plugin may leave out: nothing that runs a step. */
const optional = {
  DeviceDescription_Kind: [26, 40],
  Device_GetDescription: [29, 32],
  Device_MemoryStats: [34, 192],
  Executable_Destroy: [40, 24],
  Executable_Serialize: [49, 56],
  Executable_DeserializeAndLoad: [56, 64],
  LoadedExecutable_GetExecutable: [51, 32]
} as const

const places: { readonly [name in Name]: readonly [index: number, size: number] } = { ...functions, ...optional }

export type Name = keyof typeof functions | keyof typeof optional

/** Address of something that a plugin owns. */
export type Pointer = bigint

/** What of koffi is used: its own types say `any`. */
interface Koffi {
  readonly load: (path: string | null) => {
    readonly func: (
      name: string,
      result: string,
      args: ReadonlyArray<string>
    ) => (...args: ReadonlyArray<unknown>) => unknown
  }
  readonly proto: (result: string, args: ReadonlyArray<string>) => object
  readonly decode: (pointer: Pointer, type: object) => Call
  readonly alloc: (type: string, length: number) => Pointer
  readonly free: (pointer: Pointer) => void
  readonly view: (pointer: Pointer, length: number) => ArrayBuffer
  readonly address: (memory: ArrayBufferLike | ArrayBufferView) => Pointer
}
interface Call {
  (args: Pointer): Pointer | null
  readonly async: (args: Pointer, done: (error: unknown, result: Pointer | null) => void) => void
}

/** Words of arguments at a fixed address. */
export class Block {
  readonly at: Pointer
  readonly #words: DataView
  readonly #koffi: Koffi
  constructor(koffi: Koffi, size: number) {
    this.#koffi = koffi
    this.at = koffi.alloc("uint64_t", Math.max(1, Math.ceil(size / 8)))
    this.#words = new DataView(koffi.view(this.at, 8 * Math.max(1, Math.ceil(size / 8))))
    new Uint8Array(this.#words.buffer).fill(0)
  }
  word(offset: number, value: Pointer | number): this {
    this.#words.setBigUint64(offset, BigInt(value), true)
    return this
  }
  int(offset: number, value: number): this {
    this.#words.setInt32(offset, value, true)
    return this
  }
  read(offset: number): Pointer {
    return this.#words.getBigUint64(offset, true)
  }
  /** Bytes from the front on. */
  write(bytes: Uint8Array): this {
    new Uint8Array(this.#words.buffer, this.#words.byteOffset, bytes.length).set(bytes)
    return this
  }
  readInt(offset: number): number {
    return this.#words.getInt32(offset, true)
  }
  free(): void {
    this.#koffi.free(this.at)
  }
}

/** One loaded plugin. */
export interface Api {
  readonly version: readonly [major: number, minor: number]
  /** Memory for the arguments of a call, its size written in. */
  readonly block: (name: Name) => Block
  /** Memory for numbers and addresses that arguments point to. */
  readonly words: (count: number) => Block
  /** Calls; throws an {@link XlaError}. */
  readonly call: (name: Name, args: Block) => void
  /** Calls on another thread, for what may take long. */
  readonly callAside: (name: Name, args: Block) => Promise<void>
  readonly address: Koffi["address"]
  readonly text: (pointer: Pointer, length: number) => string
  /** A copy of memory that a plugin owns. */
  readonly bytes: (pointer: Pointer, length: number) => Uint8Array
  /** The address that stands at an address. */
  readonly pointerAt: (pointer: Pointer) => Pointer
  /** Calls a function that a plugin gave the address of, with one argument. */
  readonly callAt: (f: Pointer, argument: Pointer) => void
}

const major = 0
const oldest = 54
/** Bytes that no table of functions has: there are some hundred and thirty of them. */
const most = 2 ** 16

// Plugins leave handlers for the process's end behind: one that were unloaded before would end in a segmentation fault.
const stay = (koffi: Koffi, path: string): void => {
  const [now, noDelete] = [2, process.platform === "darwin" ? 0x80 : 0x1000]
  if (process.platform === "win32") return
  koffi.load(null).func("dlopen", "void *", ["const char *", "int"])(path, now | noDelete)
}

/** Loads a plugin. Throws an {@link XlaError} where it is none, or too old. */
export const load = (koffi: Koffi, path: string): Api => {
  const fail = (call: string, reason: string): never => {
    throw new XlaError({ call, code: 9, reason })
  }
  let table: Pointer | null
  try {
    stay(koffi, path)
    table = koffi.load(path).func("GetPjrtApi", "void *", [])() as Pointer | null
  } catch (cause) {
    return fail(
      "GetPjrtApi",
      `${path} is no PJRT plugin that loads here: ${cause instanceof Error ? cause.message : String(cause)}`
    )
  }
  if (table === null) return fail("GetPjrtApi", `${path} gives no table of functions`)
  const size = Number(new DataView(koffi.view(table, 8)).getBigUint64(0, true))
  if (size < 40 || size > most)
    return fail("GetPjrtApi", `${path} gives a table of ${size} bytes, which is none of PJRT's`)
  const view = new DataView(koffi.view(table, size))
  const version = [view.getInt32(32, true), view.getInt32(36, true)] as const
  if (version[0] !== major || version[1] < oldest) {
    return fail(
      "GetPjrtApi",
      `${path} speaks PJRT ${version.join(".")}, and 0.${oldest} or later is needed: take a newer plugin`
    )
  }
  const proto = koffi.proto("void *", ["void *"])
  const calls = new Map<Name, Call>()
  for (const [name, [index]] of Object.entries(places) as Array<[Name, readonly [number, number]]>) {
    const offset = 40 + 8 * index
    // The table of an older plugin is shorter, and what a plugin leaves out is null: a call of it would end the process.
    const at = offset + 8 > size ? 0n : view.getBigUint64(offset, true)
    if (at !== 0n) calls.set(name, koffi.decode(at, proto))
    else if (name in functions) return fail("GetPjrtApi", `${path} has no ${name}: take a newer plugin`)
  }
  const block = (name: Name): Block => {
    const bytes = places[name][1]
    return new Block(koffi, bytes).word(0, bytes)
  }
  const text = (pointer: Pointer, length: number): string =>
    length === 0 ? "" : Buffer.from(koffi.view(pointer, length)).toString("utf8")
  const raise = (name: Name, error: Pointer): XlaError => {
    const [message, code, end] = [block("Error_Message"), block("Error_GetCode"), block("Error_Destroy")]
    calls.get("Error_Message")!(message.word(16, error).at)
    calls.get("Error_GetCode")!(code.word(16, error).at)
    const raised = new XlaError({
      call: name,
      code: code.readInt(24),
      reason: text(message.read(24), Number(message.read(32)))
    })
    calls.get("Error_Destroy")!(end.word(16, error).at)
    for (const each of [message, code, end]) each.free()
    return raised
  }
  const calledBy = (name: Name): Call => {
    const f = calls.get(name)
    if (f === undefined) throw new XlaError({ call: name, code: 12, reason: "the plugin has no such function" })
    return f
  }
  return {
    version,
    block,
    words: (count) => new Block(koffi, 8 * count),
    call: (name, args) => {
      const error = calledBy(name)(args.at)
      if (error !== null) throw raise(name, error)
    },
    callAside: (name, args) =>
      new Promise((resolve, reject) => {
        calledBy(name).async(args.at, (failure, error) => {
          if (failure !== null) reject(failure as Error)
          else if (error !== null) reject(raise(name, error))
          else resolve()
        })
      }),
    address: koffi.address,
    text,
    bytes: (pointer, length) => new Uint8Array(koffi.view(pointer, length)).slice(),
    pointerAt: (pointer) => new DataView(koffi.view(pointer, 8)).getBigUint64(0, true),
    callAt: (f, argument) => void koffi.decode(f, proto)(argument)
  }
}

export type { Koffi }
