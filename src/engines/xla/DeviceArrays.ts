/** Arrays on the device by number, as the leaves of a `Device` name them. */
import type { Client, DeviceBuffer } from "./pjrt/Client.ts"

export interface DeviceArrays {
  /** Takes buffers over: they live until they are dropped. */
  readonly keep: (buffers: ReadonlyArray<DeviceBuffer>) => ReadonlyArray<number>
  readonly drop: (handles: ReadonlyArray<number>) => void
  readonly buffersOf: (handles: ReadonlyArray<number>) => ReadonlyArray<DeviceBuffer>
  readonly count: () => number
  readonly clear: () => void
}

/** The arrays of one client. */
export const make = (client: Client): DeviceArrays => {
  const arrays = new Map<number, DeviceBuffer>()
  let next = 1
  return {
    keep: (buffers) =>
      buffers.map((buffer) => {
        arrays.set(next, buffer)
        return next++
      }),
    drop: (handles) => {
      const buffers = handles.flatMap((handle) => arrays.get(handle) ?? [])
      for (const handle of handles) arrays.delete(handle)
      client.release(buffers)
    },
    buffersOf: (handles) => handles.map((handle) => arrays.get(handle)!),
    count: () => arrays.size,
    clear: () => {
      client.release(arrays.values())
      arrays.clear()
    }
  }
}
