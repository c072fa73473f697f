/** Programs that a worker has loaded, by what is in them: of equal ones it needs one, also a while after the last use. */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Program, SessionOptions } from "./Protocol.ts"
import type { Session, SessionError } from "./Session.ts"

const mostIdle = 16

interface Entry {
  readonly id: number
  uses: number
}

export interface Programs {
  /** The number of this program in the worker. Each load is to be followed by an unload. */
  readonly load: (program: Program) => Effect.Effect<number, SessionError>
  readonly unload: (id: number) => Effect.Effect<void>
}

const digest = (program: Program): string => {
  const hash = createHash("sha256")
  for (const model of [program.model, program.keys?.model]) hash.update(model ?? "none")
  const text = JSON.stringify(program, (_, value: unknown) => (value instanceof Uint8Array ? value.length : value))
  return hash.update(text).digest("base64")
}

/** The programs of one worker. Its end is theirs. */
export const make = ({ ask }: Session, options: SessionOptions): Programs => {
  const known = new Map<string, Entry>()
  const one = Semaphore.makeUnsafe(1)

  // A map goes through its entries in the order of their coming, so that the longest unused is first.
  const evict = Effect.suspend(() => {
    const idle = [...known].filter(([, { uses }]) => uses === 0)
    return Effect.forEach(idle.slice(0, Math.max(0, idle.length - mostIdle)), ([key, { id }]) => {
      known.delete(key)
      return Effect.ignore(ask({ type: "unload", program: id }))
    })
  })

  return {
    load: (program) =>
      Effect.suspend(() => {
        const key = digest(program)
        const entry = known.get(key)
        if (entry !== undefined) {
          entry.uses++
          return Effect.succeed(entry.id)
        }
        return Effect.tap(ask({ type: "load", program, options }), (id) =>
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
