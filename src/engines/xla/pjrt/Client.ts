/** A device behind PJRT, with what it owns: buffers, events and executables, each destroyed by whoever holds it. */
import type { LeafType } from "../../../compiler/graph/Graph.ts"
import { size } from "../../../dsl/NdArray.ts"
import { type Api, type Block, type Name, type Pointer, XlaError } from "./Api.ts"

/** Numbers as they travel between host and device. */
export type Numbers = Float32Array | Int32Array

const elementTypes = { float32: 11, int32: 4 } as const

/** An array on the device. */
export interface DeviceBuffer extends LeafType {
  readonly pointer: Pointer
}

/** A compiled program, with the memory that its calls' arguments and results are listed in. */
export interface Executable {
  readonly pointer: Pointer
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
  readonly devices: number
  readonly compile: (program: string, args: number, results: ReadonlyArray<LeafType>) => Promise<Executable>
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

/** `executable_build_options { num_replicas: 1, num_partitions: 1 }`, without which XLA ends the process. */
const compileOptions = Uint8Array.of(0x1a, 0x04, 0x20, 0x01, 0x28, 0x01)

const format = new TextEncoder().encode("mlir")

/** What a client says of itself, and its first device. */
const describe = ({ block, call, pointerAt, text }: Api, client: Pointer) => {
  const described = (name: "Client_PlatformName" | "Client_PlatformVersion"): string => {
    const args = block(name).word(16, client)
    try {
      call(name, args)
      return text(args.read(24), Number(args.read(32)))
    } finally {
      args.free()
    }
  }
  const addressable = block("Client_AddressableDevices").word(16, client)
  try {
    call("Client_AddressableDevices", addressable)
    const devices = Number(addressable.read(32))
    if (devices === 0)
      throw new XlaError({ call: "Client_AddressableDevices", code: 5, reason: "the plugin has no device here" })
    const [platform, version] = [described("Client_PlatformName"), described("Client_PlatformVersion")]
    return { device: pointerAt(addressable.read(24)), devices, platform, version }
  } finally {
    addressable.free()
  }
}

/** Opens the first device of a plugin. Throws an `XlaError`. */
export const make = (api: Api): Client => {
  const { address, block, call, callAside, words } = api
  const using = <A>(blocks: ReadonlyArray<Block>, f: () => A): A => {
    try {
      return f()
    } finally {
      for (const each of blocks) each.free()
    }
  }
  const initialize = block("Plugin_Initialize")
  using([initialize], () => call("Plugin_Initialize", initialize))
  const create = block("Client_Create")
  const client = using([create], () => {
    call("Client_Create", create)
    return create.read(64)
  })
  const destroy = (): void => {
    const args = block("Client_Destroy").word(16, client)
    using([args], () => call("Client_Destroy", args))
  }
  const { device, devices, platform, version } = ((): Pick<Client, "devices" | "platform" | "version"> & {
    readonly device: Pointer
  } => {
    try {
      return describe(api, client)
    } catch (cause) {
      destroy()
      throw cause
    }
  })()

  const alive = { buffers: 0, executables: 0, events: 0 }
  // Written into again and again: calls on this thread are over before the next begins.
  const uploading = block("Client_BufferFromHostBuffer").word(16, client).word(80, device)
  const executing = block("LoadedExecutable_Execute").word(40, 1)
  const options = words(18)
  options.word(0, 144)
  const copying = block("Buffer_ToHostBuffer")
  const awaiting = block("Event_Await")
  const destroyBuffer = block("Buffer_Destroy")
  const destroyEvent = block("Event_Destroy")
  const lists = { args: words(1), results: words(1) }

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
    for (const { pointer } of buffers) {
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

  const upload: Client["upload"] = (array, { dtype, shape }) => {
    uploading
      .word(24, array.length === 0 ? 0n : address(array))
      .int(32, elementTypes[dtype])
      .word(40, lengthsOf(shape).at)
      .word(48, shape.length)
      .int(72, 0)
      .word(104, 0)
      .word(112, 0)
    call("Client_BufferFromHostBuffer", uploading)
    const [event, pointer] = [uploading.read(104), uploading.read(112)]
    alive.buffers++
    if (event !== 0n) alive.events++
    // The numbers were copied during the call: nobody waits for this.
    endEvent(event)
    return { pointer, dtype, shape }
  }

  const loaded = new Set<Executable>()
  const execute: Client["execute"] = (executable, args, donated) => {
    if (broken !== undefined) throw broken
    // What is gone would not be an error to XLA, but the end of the process.
    if (!loaded.has(executable)) throw new Error("this step's executable is unloaded: its scope is over")
    const { all, given, made, pointer, results } = executable
    args.forEach((buffer, i) => given.word(8 * i, buffer.pointer))
    const others = args.length - donated
    options.word(56, others === 0 ? 0n : all.at + BigInt(8 * donated)).word(64, others)
    lists.args.word(0, given.at)
    lists.results.word(0, made.at)
    executing
      .word(16, pointer)
      .word(24, options.at)
      .word(32, lists.args.at)
      .word(48, args.length)
      .word(56, lists.results.at)
      .word(64, 0)
      .word(72, 0)
    call("LoadedExecutable_Execute", executing)
    alive.buffers += results.length
    return results.map(({ dtype, shape }, i) => ({ pointer: made.read(8 * i), dtype, shape }))
  }

  /** A copy under way: nothing may become of `array` before `event` has come. */
  interface Copy {
    readonly event: Pointer
    readonly array: Numbers
  }
  const copied = ({ dtype, pointer, shape }: DeviceBuffer): Copy => {
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

  const download: Client["download"] = async (buffers, long) => {
    const copies: Array<Copy> = []
    let failure: { readonly cause: unknown } | undefined
    try {
      for (const buffer of buffers) copies.push(copied(buffer))
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
    return copies.map(({ array }) => array)
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
    const args = block("Client_Compile")
      .word(16, client)
      .word(24, program.at)
      .word(32, address(compileOptions))
      .word(40, compileOptions.length)
    try {
      await callAside("Client_Compile", args)
      alive.executables++
      const all = words(count)
      for (let i = 0; i < count; i++) all.word(8 * i, i)
      const pointer = args.read(48)
      const executable: Executable = { pointer, results, given: words(count), made: words(results.length), all }
      loaded.add(executable)
      return executable
    } finally {
      for (const each of [program, args, code]) each.free()
    }
  }

  return {
    pointer: client,
    platform,
    version,
    devices,
    compile,
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
      const args = block("Client_Destroy").word(16, client)
      const own = [
        args,
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
      using([...own, ...shapes.values()], () => end("Client_Destroy", args))
    },
    alive: () => ({ ...alive })
  }
}
