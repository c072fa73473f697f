/** A client of a plugin, and those of its devices that programs run on. */
import { type Api, type Block, type Pointer, XlaError } from "./Api.ts"

export interface Devices {
  readonly client: Pointer
  readonly platform: string
  readonly version: string
  /** How many devices the plugin has here. */
  readonly count: number
  /** Those that programs run on, in order, and the plugin's ids of them. */
  readonly used: ReadonlyArray<Pointer>
  readonly ids: ReadonlyArray<number>
  readonly destroy: () => void
}

/** Frees blocks after their use. */
export const using = <A>(blocks: ReadonlyArray<Block>, f: () => A): A => {
  try {
    return f()
  } finally {
    for (const each of blocks) each.free()
  }
}

const named = "cpu_device_count"
const int64 = 1

/** A new client; of a CPU as so many devices, where a number of them is given. */
const create = ({ address, block, call, words }: Api, devices?: number): Pointer => {
  const args = block("Client_Create")
  const name = new TextEncoder().encode(named)
  const option = words(7).word(0, 56).word(16, address(name)).word(24, name.length).int(32, int64)
  option.word(40, devices ?? 0).word(48, 1)
  if (devices !== undefined) args.word(16, option.at).word(24, 1)
  return using([args, option], () => {
    call("Client_Create", args)
    return args.read(64)
  })
}

const idOf = ({ block, call }: Api, device: Pointer): number => {
  const [from, of] = [block("Device_GetDescription").word(16, device), block("DeviceDescription_Id")]
  return using([from, of], () => {
    call("Device_GetDescription", from)
    call("DeviceDescription_Id", of.word(16, from.read(24)))
    return of.readInt(24)
  })
}

const describe = (api: Api, client: Pointer): Omit<Devices, "destroy" | "ids"> => {
  const { block, call, pointerAt, text } = api
  const described = (name: "Client_PlatformName" | "Client_PlatformVersion"): string => {
    const args = block(name).word(16, client)
    return using([args], () => {
      call(name, args)
      return text(args.read(24), Number(args.read(32)))
    })
  }
  const addressable = block("Client_AddressableDevices").word(16, client)
  return using([addressable], () => {
    call("Client_AddressableDevices", addressable)
    const count = Number(addressable.read(32))
    if (count === 0)
      throw new XlaError({ call: "Client_AddressableDevices", code: 5, reason: "the plugin has no device here" })
    const [platform, version] = [described("Client_PlatformName"), described("Client_PlatformVersion")]
    const at = addressable.read(24)
    return {
      client,
      platform,
      version,
      count,
      used: Array.from({ length: count }, (_, i) => pointerAt(at + BigInt(8 * i)))
    }
  })
}

/**
 * Opens the first so many devices of a plugin. A CPU is as many devices as are asked for, which share its cores. Throws an
 * `XlaError`, also where there are fewer.
 */
export const open = (api: Api, wanted: number): Devices => {
  const { block, call } = api
  const opened = (devices?: number): Devices => {
    const client = create(api, devices)
    const destroy = (): void => {
      const args = block("Client_Destroy").word(16, client)
      using([args], () => call("Client_Destroy", args))
    }
    try {
      const all = describe(api, client)
      const used = all.used.slice(0, wanted)
      // Programs for one device are not told which.
      return { ...all, used, ids: wanted === 1 ? [0] : used.map((device) => idOf(api, device)), destroy }
    } catch (cause) {
      destroy()
      throw cause
    }
  }
  let devices = opened()
  if (devices.count < wanted && devices.platform === "cpu") {
    devices.destroy()
    devices = opened(wanted)
  }
  if (devices.count >= wanted) return devices
  devices.destroy()
  const { count } = devices
  const reason = `${wanted} devices are asked for, and there ${count === 1 ? "is 1" : `are ${count}`} here: ask for ${count === 1 ? "1" : `at most ${count}`}`
  throw new XlaError({ call: "Client_AddressableDevices", code: 5, reason })
}
