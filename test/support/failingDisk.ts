import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as PlatformError from "effect/PlatformError"

const full = (method: string) =>
  PlatformError.systemError({
    _tag: "Unknown",
    module: "FileSystem",
    method,
    pathOrDescriptor: 26,
    cause: Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" })
  })

/** A file with some of its methods replaced; the others keep their own receiver, which has private fields. */
const replacing = (file: FileSystem.File, own: Partial<FileSystem.File>): FileSystem.File =>
  new Proxy(file, {
    get: (target, key) => {
      const value: unknown = Reflect.get(own, key) ?? Reflect.get(target, key, target)
      return typeof value === "function" ? value.bind(target) : value
    }
  })

/** A disk that has room for `room` calls that want some, and none from then on; half of what is written last gets there. */
export const filling = (disk: FileSystem.FileSystem, first: number) => {
  let room = first
  let calls = 0
  const wanting = <A>(method: string, call: Effect.Effect<A, PlatformError.PlatformError>) =>
    Effect.suspend(() => (++calls > room ? Effect.fail(full(method)) : call))
  const fileSystem: FileSystem.FileSystem = {
    ...disk,
    makeDirectory: (path, options) => wanting("makeDirectory", disk.makeDirectory(path, options)),
    rename: (from, to) => wanting("rename", disk.rename(from, to)),
    open: (path, options) => {
      const opened = Effect.map(disk.open(path, options), (file) =>
        replacing(file, {
          writeAll: (bytes: Uint8Array) =>
            Effect.tapError(wanting("writeAll", file.writeAll(bytes)), () =>
              Effect.ignore(file.writeAll(bytes.subarray(0, bytes.length / 2)))
            ),
          sync: wanting("sync", file.sync)
        })
      )
      return options?.flag === undefined
        ? opened
        : Effect.suspend(() => (++calls > room ? Effect.fail(full("open")) : opened))
    }
  }
  return { fileSystem, calls: () => calls, free: () => void (room = Infinity) }
}
