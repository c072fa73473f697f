/** ExecutableCache made of executables that are asked for one after another again and again. */
import * as Effect from "effect/Effect"
import { chain, parts, type Piece, room } from "../../compiler/onnx/Chain.ts"
import type { Numbers } from "../Packed.ts"
import type { ExecutableCache } from "./ExecutableCache.ts"

/** How often a sequence is asked for before a executable is made of it: shorter runs would not get back what that takes. */
const often = 6
/** ExecutableCache at a time. */
const most = 16

/** A step of a sequence: its executable, and the arrays that it brings. */
export interface Called {
  readonly id: number
  readonly piece: Piece
  readonly arrays: ReadonlyArray<Numbers>
}

export interface ChainCache {
  /** The same work in fewer steps, where there are executables for it. */
  readonly shorten: (calls: ReadonlyArray<Called>) => Effect.Effect<ReadonlyArray<Pick<Called, "id" | "arrays">>>
  /** Ends what is made of this executable. */
  readonly forget: (id: number) => Effect.Effect<void>
}

interface Entry {
  readonly ids: ReadonlyArray<number>
  count: number
  /** `null` where there is none to be had. */
  executable: number | null | undefined
}

export const make = (executables: ExecutableCache): ChainCache => {
  const known = new Map<string, Entry>()

  const load = (calls: ReadonlyArray<Called>, labels: ReadonlyArray<ReadonlyArray<number>>) =>
    Effect.try(() =>
      chain(
        calls.map(({ piece }) => piece),
        labels
      )
    ).pipe(
      Effect.flatMap(executables.load),
      // What cannot be made is done without: the steps themselves say what is wrong with them.
      Effect.orElseSucceed(() => null)
    )

  /** An entry that has not become a executable makes room. */
  const entryOf = (key: string, ids: ReadonlyArray<number>): Entry => {
    const found = known.get(key)
    if (found !== undefined) return found
    const waiting =
      known.size < most ? undefined : [...known].find(([, { executable }]) => typeof executable !== "number")
    if (waiting !== undefined) known.delete(waiting[0])
    const entry: Entry = { ids, count: 0, executable: undefined }
    if (known.size < most) known.set(key, entry)
    return entry
  }

  /** One executable for these calls, perhaps. */
  const shortenPart = (calls: ReadonlyArray<Called>) =>
    Effect.suspend((): Effect.Effect<ReadonlyArray<Pick<Called, "id" | "arrays">>> => {
      const arrays = new Map<Numbers, number>()
      const labels = calls.map((call) =>
        call.arrays.map((array) => {
          const label = arrays.get(array) ?? arrays.size
          arrays.set(array, label)
          return label
        })
      )
      const ids = calls.map(({ id }) => id)
      const key = `${ids.join()} ${labels.join(";")}`
      const entry = entryOf(key, ids)
      const shorter = () =>
        typeof entry.executable === "number" ? [{ id: entry.executable, arrays: [...arrays.keys()] }] : calls
      if (entry.executable !== undefined || ++entry.count < often) return Effect.succeed(shorter())
      return Effect.map(load(calls, labels), (executable) => {
        entry.executable = executable
        return shorter()
      })
    })

  return {
    shorten: (calls) => {
      const most = room(calls.map(({ piece }) => piece))
      if (calls.length === 1 || most < 2) return Effect.succeed(calls)
      let from = 0
      const lengths = parts(
        calls.map(({ id }) => id),
        most
      )
      const split = lengths.map((length) => calls.slice(from, (from += length)))
      return Effect.map(
        Effect.forEach(split, (part) => (part.length === 1 ? Effect.succeed(part) : shortenPart(part))),
        (shorter) => shorter.flat()
      )
    },
    forget: (id) =>
      Effect.suspend(() => {
        const ended = [...known].filter(([, { ids }]) => ids.includes(id))
        return Effect.forEach(
          ended,
          ([key, { executable }]) => {
            known.delete(key)
            return typeof executable === "number" ? executables.unload(executable) : Effect.void
          },
          { discard: true }
        )
      })
  }
}
