/** Devices behind PJRT, with what they own: buffers, events and executables, each destroyed by whoever holds it. */
import type { LeafType } from "../../../compiler/graph/Graph.ts"
import { size } from "../../../dsl/values/NdArray.ts"
import type { Api, Block, Name, Pointer } from "./Api.ts"
import * as CompileOptions from "./CompileOptions.ts"
import * as Devices from "./Devices.ts"
import * as Parts from "./Parts.ts"
import * as Serialization from "./Serialization.ts"

/** Numbers as they travel between host and device. */
export type Numbers = Float32Array | Int32Array

const elementTypes = { float32: 11, int32: 4 } as const

/** An array on the devices. */
export interface DeviceBuffer extends LeafType {
  /** What of it each device has, in order: its part, or all. */
  readonly pointers: ReadonlyArray<Pointer>
}

/** A compiled program, with the memory that its calls' arguments and results are listed in, a list for each device. */
export interface Executable {
  readonly pointer: Pointer
  readonly takes: number
  readonly results: ReadonlyArray<LeafType>
  readonly given: Block
  readonly made: Block
  /** Numbers of all arguments: those that are not to be donated. */
  readonly all: Block
}

export interface Client {
  readonly pointer: Pointer
  readonly platform: string
  readonly version: string
  /** How many devices programs run on. */
  readonly devices: number
  /** With what programs are compiled, as XLA reads it: those with numbers in 16 bits with all of it, others with its first part. */
  readonly compileOptions: Uint8Array
  readonly compile: (program: string, args: number, results: ReadonlyArray<LeafType>) => Promise<Executable>
  /** An executable as bytes, and from bytes in place of its program. Where the plugin has none: an `XlaError`. */
  readonly serialize: (executable: Executable) => Uint8Array
  readonly restore: (bytes: Uint8Array, args: number, results: ReadonlyArray<LeafType>) => Promise<Executable>
  readonly upload: (array: Numbers, type: LeafType) => DeviceBuffer
  /** Starts an executable; the buffers it gives may be used at once, and are ready later. */
  readonly execute: (
    executable: Executable,
    args: ReadonlyArray<DeviceBuffer>,
    /** Of the arguments, how many from the first on are given away. */
    donated: number
  ) => ReadonlyArray<DeviceBuffer>
  /** Copies arrays to the host when they are ready. Where that may take long, other work goes on meanwhile. */
  readonly download: (buffers: ReadonlyArray<DeviceBuffer>, long: boolean) => Promise<ReadonlyArray<Numbers>>
  readonly release: (buffers: Iterable<DeviceBuffer>) => void
  readonly unload: (executable: Executable) => void
  readonly destroy: () => void
  /** What is alive, by kind. */
  readonly alive: () => { readonly buffers: number; readonly executables: number; readonly events: number }
}

const format = new TextEncoder().encode("mlir")

/** Opens a plugin's first devices. Throws an `XlaError`. */
export const make = (api: Api, wanted = 1): Client => {
  const { address, block, call, callAside, words } = api
  const { using } = Devices
  const initialize = block("Plugin_Initialize")
  using([initialize], () => call("Plugin_Initialize", initialize))
  const opened = Devices.open(api, wanted)
  const { client, platform, used, version } = opened
  const devices = used.length
  // Both kept here, because another thread reads them.
  const plain = CompileOptions.repeatable(CompileOptions.encode(opened.ids), platform)
  const rounding = CompileOptions.rounding(plain)

  const alive = { buffers: 0, executables: 0, events: 0 }
  // Written into again and again: calls on this thread are over before the next begins.
  const uploading = block("Client_BufferFromHostBuffer").word(16, client)
  const executing = block("LoadedExecutable_Execute").word(40, devices)
  const options = words(18)
  options.word(0, 144)
  const copying = block("Buffer_ToHostBuffer")
  const awaiting = block("Event_Await")
  const destroyBuffer = block("Buffer_Destroy")
  const destroyEvent = block("Event_Destroy")
  const lists = { args: words(devices), results: words(devices) }

  // Nothing can be done about a destruction that fails, but to go no further: the next start says so.
  let broken: unknown
  const end = (name: Name, args: Block): void => {
    try {
      call(name, args)
    } catch (cause) {
      broken ??= cause
    }
  }
  const endEvent = (event: Pointer): void => {
    if (event === 0n) return
    alive.events--
    end("Event_Destroy", destroyEvent.word(16, event))
  }
  const release = (buffers: Iterable<DeviceBuffer>): void => {
    for (const { pointers } of buffers)
      for (const pointer of pointers) {
        alive.buffers--
        end("Buffer_Destroy", destroyBuffer.word(16, pointer))
      }
  }

  // Shapes are few: their lengths lie where they were first written.
  const shapes = new Map<string, Block>()
  const lengthsOf = (shape: LeafType["shape"]): Block => {
    const key = shape.join()
    const known = shapes.get(key)
    if (known !== undefined) return known
    const lengths = words(shape.length)
    shape.forEach((n, i) => lengths.word(8 * i, n))
    shapes.set(key, lengths)
    return lengths
  }

  const uploadTo = (device: Pointer, array: Numbers, { dtype, shape }: LeafType): Pointer => {
    uploading
      .word(24, array.length === 0 ? 0n : address(array))
      .int(32, elementTypes[dtype])
      .word(40, lengthsOf(shape).at)
      .word(48, shape.length)
      .int(72, 0)
      .word(80, device)
      .word(104, 0)
      .word(112, 0)
    call("Client_BufferFromHostBuffer", uploading)
    const [event, pointer] = [uploading.read(104), uploading.read(112)]
    alive.buffers++
    if (event !== 0n) alive.events++
    // The numbers were copied during the call: nobody waits for this.
    endEvent(event)
    return pointer
  }
  const upload: Client["upload"] = (array, { axis, dtype, shape }) => {
    const pointers: Array<Pointer> = []
    const buffer = { pointers, dtype, shape, axis }
    const parts = axis === undefined ? undefined : Parts.split(array, shape, axis, devices)
    const type = axis === undefined ? buffer : { dtype, shape: Parts.partOf(shape, axis, devices) }
    try {
      for (const [i, device] of used.entries()) pointers.push(uploadTo(device, parts?.[i] ?? array, type))
    } catch (cause) {
      release([buffer])
      throw cause
    }
    return buffer
  }

  const loaded = new Set<Executable>()
  const execute: Client["execute"] = (executable, args, donated) => {
    if (broken !== undefined) throw broken
    // What is gone would not be an error to XLA, but the end of the process.
    if (!loaded.has(executable)) throw new Error("this step's executable is unloaded: its scope is over")
    const { all, given, made, pointer, results, takes } = executable
    for (let device = 0; device < devices; device++) {
      const [ofArgs, ofResults] = [8 * device * takes, 8 * device * results.length]
      for (let i = 0; i < takes; i++) given.word(ofArgs + 8 * i, args[i]!.pointers[device]!)
      lists.args.word(8 * device, given.at + BigInt(ofArgs))
      lists.results.word(8 * device, made.at + BigInt(ofResults))
    }
    const others = args.length - donated
    options.word(56, others === 0 ? 0n : all.at + BigInt(8 * donated)).word(64, others)
    executing
      .word(16, pointer)
      .word(24, options.at)
      .word(32, lists.args.at)
      .word(48, args.length)
      .word(56, lists.results.at)
      .word(64, 0)
      .word(72, 0)
    call("LoadedExecutable_Execute", executing)
    alive.buffers += devices * results.length
    return results.map(({ axis, dtype, shape }, i) => {
      const pointers = used.map((_, device) => made.read(8 * (device * results.length + i)))
      return { pointers, dtype, shape, axis }
    })
  }

  /** A copy under way: nothing may become of `array` before `event` has come. */
  interface Copy {
    readonly event: Pointer
    readonly array: Numbers
  }
  const copied = (pointer: Pointer, { dtype, shape }: LeafType): Copy => {
    const length = size(shape)
    const array = dtype === "float32" ? new Float32Array(length) : new Int32Array(length)
    if (length === 0) return { event: 0n, array }
    copying.word(16, pointer).word(24, 0).word(32, address(array)).word(40, array.byteLength).word(48, 0)
    call("Buffer_ToHostBuffer", copying)
    alive.events++
    return { event: copying.read(48), array }
  }
  const awaited = async (event: Pointer, long: boolean): Promise<void> => {
    if (event === 0n) return
    if (!long) return call("Event_Await", awaiting.word(16, event))
    const aside = block("Event_Await").word(16, event)
    try {
      await callAside("Event_Await", aside)
    } finally {
      aside.free()
    }
  }

  /** Of an array that each device has all of, the first one's is as good as any. */
  const partsOf = ({ axis, dtype, pointers, shape }: DeviceBuffer) =>
    axis === undefined
      ? [{ pointer: pointers[0]!, type: { dtype, shape } }]
      : pointers.map((pointer) => ({ pointer, type: { dtype, shape: Parts.partOf(shape, axis, devices) } }))
  const download: Client["download"] = async (buffers, long) => {
    const copies: Array<Copy> = []
    let failure: { readonly cause: unknown } | undefined
    try {
      for (const { pointer, type } of buffers.flatMap(partsOf)) copies.push(copied(pointer, type))
    } catch (cause) {
      failure = { cause }
    }
    for (const { event } of copies) {
      try {
        await awaited(event, long)
      } catch (cause) {
        failure ??= { cause }
      }
      endEvent(event)
    }
    if (failure !== undefined) throw failure.cause
    let next = 0
    return buffers.map(({ axis, pointers, shape }) => {
      if (axis === undefined) return copies[next++]!.array
      const parts = pointers.map(() => copies[next++]!.array)
      return Parts.join(parts, shape, axis)
    })
  }

  const loadedAt = (pointer: Pointer, count: number, results: ReadonlyArray<LeafType>): Executable => {
    alive.executables++
    const all = words(count)
    for (let i = 0; i < count; i++) all.word(8 * i, i)
    const [given, made] = [words(devices * count), words(devices * results.length)]
    const executable: Executable = { pointer, takes: count, results, given, made, all }
    loaded.add(executable)
    return executable
  }
  const compile: Client["compile"] = async (text, count, results) => {
    // In memory of its own: the other thread reads it while this one may collect what nobody here looks at any more.
    const bytes = new TextEncoder().encode(text)
    const code = words(Math.ceil(bytes.length / 8)).write(bytes)
    const program = words(6)
      .word(0, 48)
      .word(16, code.at)
      .word(24, bytes.length)
      .word(32, address(format))
      .word(40, format.length)
    const chosen = CompileOptions.rounds(text) ? rounding : plain
    const args = block("Client_Compile")
      .word(16, client)
      .word(24, program.at)
      .word(32, address(chosen))
      .word(40, chosen.length)
    try {
      await callAside("Client_Compile", args)
      return loadedAt(args.read(48), count, results)
    } finally {
      for (const each of [program, args, code]) each.free()
    }
  }

  return {
    pointer: client,
    platform,
    version,
    devices,
    compileOptions: rounding,
    compile,
    serialize: ({ pointer }) => Serialization.serialize(api, pointer),
    restore: async (bytes, count, results) =>
      loadedAt(await Serialization.deserialize(api, client, bytes), count, results),
    upload,
    execute,
    download,
    release,
    unload: (executable) => {
      if (!loaded.delete(executable)) return
      const { all, given, made, pointer } = executable
      const args = block("LoadedExecutable_Destroy").word(16, pointer)
      alive.executables--
      using([args, all, given, made], () => end("LoadedExecutable_Destroy", args))
    },
    destroy: () => {
      const own = [
        uploading,
        executing,
        options,
        copying,
        awaiting,
        destroyBuffer,
        destroyEvent,
        lists.args,
        lists.results
      ]
      using([...own, ...shapes.values()], () => {
        try {
          opened.destroy()
        } catch (cause) {
          broken ??= cause
        }
      })
    },
    alive: () => ({ ...alive })
  }
}
