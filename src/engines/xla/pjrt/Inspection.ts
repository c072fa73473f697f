/** What a plugin says of itself: its devices with their kinds and memory, and whether what it compiled can be kept. */
import { type Api, type Block, type Name, type Pointer, XlaError } from "./Api.ts"
import type { Client } from "./Client.ts"
import { serialize } from "./Serialization.ts"

/** One device. */
export interface Device {
  readonly kind: string
  /** Bytes of its memory; null where the plugin does not say. */
  readonly memory: number | null
}

/** What there is to know of a plugin and its devices. */
export interface Inspection {
  /** Of PJRT's interface, e.g. `0.115`. */
  readonly api: string
  readonly platform: string
  readonly version: string
  readonly devices: ReadonlyArray<Device>
  /** Whether executables can be written down and loaded again. */
  readonly serializes: boolean
}

const identity = `module @step {
  func.func public @main(%arg0: tensor<f32>) -> tensor<f32> {
    return %arg0 : tensor<f32>
  }
}
`

/** What a function that a plugin may leave out gives; undefined where it does not. */
const optionally = <A>(f: () => A): A | undefined => {
  try {
    return f()
  } catch (cause) {
    if (cause instanceof XlaError) return undefined
    throw cause
  }
}

/** Calls with one object as the argument, and reads what it gives. */
const asked = <A>({ block, call }: Api, name: Name, of: Pointer, read: (args: Block) => A): A => {
  const args = block(name).word(16, of)
  try {
    call(name, args)
    return read(args)
  } finally {
    args.free()
  }
}

const deviceOf = (api: Api, device: Pointer): Device => {
  const kind = optionally(() => {
    const description = asked(api, "Device_GetDescription", device, (args) => args.read(24))
    return asked(api, "DeviceDescription_Kind", description, (args) => api.text(args.read(24), Number(args.read(32))))
  })
  // A byte beside the limit says whether there is one.
  const memory = optionally(() =>
    asked(api, "Device_MemoryStats", device, (args) => ((args.readInt(88) & 0xff) === 0 ? null : Number(args.read(80))))
  )
  return { kind: kind ?? "unknown", memory: memory ?? null }
}

const serializes = async (api: Api, client: Client): Promise<boolean> => {
  const loaded = await client.compile(identity, 1, [{ dtype: "float32", shape: [] }])
  try {
    return (optionally(() => serialize(api, loaded.pointer))?.length ?? 0) > 0
  } finally {
    client.unload(loaded)
  }
}

/** The devices of a client, in order. */
export const devicesOf = (api: Api, client: Pointer): ReadonlyArray<Device> =>
  asked(api, "Client_AddressableDevices", client, (args) => {
    const list = args.read(24)
    return Array.from({ length: Number(args.read(32)) }, (_, i) => deviceOf(api, api.pointerAt(list + BigInt(8 * i))))
  })

/** Asks a plugin and an open client of it. Rejects with an `XlaError`. */
export const inspect = async (api: Api, client: Client): Promise<Inspection> => {
  const { platform, version } = client
  return {
    api: api.version.join("."),
    platform,
    version,
    devices: devicesOf(api, client.pointer),
    serializes: await serializes(api, client)
  }
}
