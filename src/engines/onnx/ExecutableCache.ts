/** ExecutableCache that a worker has loaded, by what is in them: of equal ones it needs one, also a while after the last use. */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as ExactJson from "../../dsl/values/ExactJson.ts"
import type { Executable } from "../../compiler/onnx/Executable.ts"
import type { ExecutableOptions } from "./Protocol.ts"
import type { EngineError } from "../Engine.ts"
import type { WorkerClient } from "./WorkerClient.ts"

const mostIdle = 16

interface Entry {
  readonly id: number
  uses: number
}

export interface ExecutableCache {
  /** The number of this executable in the worker. Each load is to be followed by an unload. */
  readonly load: (executable: Executable) => Effect.Effect<number, EngineError>
  readonly unload: (id: number) => Effect.Effect<void>
}

const digest = (executable: Executable): string => {
  const hash = createHash("sha256")
  for (const model of [executable.model, executable.keys?.model]) hash.update(model ?? "none")
  const text = ExactJson.stringify(executable, (value) => (value instanceof Uint8Array ? value.length : value))
  return hash.update(text).digest("base64")
}

/** The executables of one worker. Its end is theirs. */
export const make = ({ ask }: WorkerClient, options: ExecutableOptions): ExecutableCache => {
  const known = new Map<string, Entry>()
  const one = Semaphore.makeUnsafe(1)

  // A map goes through its entries in the order of their coming, so that the longest unused is first.
  const evict = Effect.suspend(() => {
    const idle = [...known].filter(([, { uses }]) => uses === 0)
    return Effect.forEach(idle.slice(0, Math.max(0, idle.length - mostIdle)), ([key, { id }]) => {
      known.delete(key)
      return Effect.ignore(ask({ type: "unload", executable: id }))
    })
  })

  return {
    load: (executable) =>
      Effect.suspend(() => {
        const key = digest(executable)
        const entry = known.get(key)
        if (entry !== undefined) {
          entry.uses++
          return Effect.succeed(entry.id)
        }
        return Effect.tap(ask({ type: "load", executable, options }), (id) =>
          Effect.sync(() => known.set(key, { id, uses: 1 }))
        )
      }).pipe(one.withPermit),
    unload: (id) =>
      Effect.suspend(() => {
        const found = [...known].find(([, entry]) => entry.id === id)
        if (found === undefined) return Effect.void
        const [key, entry] = found
        entry.uses--
        known.delete(key)
        known.set(key, entry)
        return evict
      }).pipe(one.withPermit, Effect.asVoid)
  }
}
