/** Descriptions of molecules on disk: each is worked out once, a run that was stopped goes on where it was, and nothing is ever out of date. */
import { homedir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Printable } from "tapweight"
import { Chemistry, type ChemistryError } from "../rdkit/Chemistry.ts"
import * as Descriptor from "../rdkit/Descriptor.ts"
import * as Limits from "../rdkit/Limits.ts"
import type { Listener } from "./Headway.ts"
import * as Store from "./Store.ts"

/** Where the cache is unless said otherwise: $TAPWEIGHT_CACHE, or $XDG_CACHE_HOME/tapweight, or ~/.cache/tapweight. */
export const defaultFolder = (): string =>
  process.env["TAPWEIGHT_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tapweight")

/** The cache's file in a folder. */
export const fileIn = (folder: string): string => join(folder, "molecules", `${Descriptor.version}.sqlite`)

/** Molecules that are described, and kept, at a time. */
export const chunk = 512

/** Descriptions of a list of molecules, read one at a time. */
export interface Descriptions {
  readonly count: number
  /** Why this molecule has no description; undefined where it has one. */
  readonly dropped: (row: number) => Descriptor.Drop | undefined
  /** The bytes of one molecule, none where it was dropped. Throws a `CacheError` where they have changed since they were checked. */
  readonly read: (row: number) => Uint8Array
}

export interface Options {
  /** How large molecules may be, and how long one may take: `Limits.defaults` where absent. */
  readonly limits?: Limits.Limits
  readonly listener?: Listener
}

/** An entry as a description; undefined where it has to be worked out, now that there is more time for it. */
const descriptionOf = ({ bytes, seconds }: Store.Entry, limits: Limits.Limits): Descriptor.Description | undefined => {
  if (bytes !== null) return bytes
  if (seconds === null) return { reason: "refused" }
  return seconds >= limits.seconds ? { reason: "seconds", limit: seconds } : undefined
}

const entryOf = (description: Descriptor.Description): Store.Entry =>
  Descriptor.isBytes(description)
    ? { bytes: description, seconds: null }
    : { bytes: null, seconds: description.reason === "seconds" ? description.limit : null }

const chunks = <A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / chunk) }, (_, i) => all.slice(i * chunk, (i + 1) * chunk))

/** Reads, and throws what goes wrong as a `CacheError`. */
const reading = <A>(file: string, read: () => A): A => {
  try {
    return read()
  } catch (error) {
    throw Store.errorOf(file)(error)
  }
}

/**
 * The descriptions of these molecules, worked out where the cache lacks them or holds damaged ones (which is said in a
 * warning). A molecule that is too large is dropped before RDKit sees it. One that took too long is remembered: whoever asks
 * again, with no more time for it, finds it dropped.
 */
export const descriptions = Effect.fnUntraced(function* (
  folder: string,
  descriptor: Descriptor.Descriptor,
  smiles: ReadonlyArray<string>,
  { limits = Limits.defaults, listener }: Options = {}
): Effect.fn.Return<Descriptions, Store.CacheError | ChemistryError, Chemistry | Scope.Scope> {
  const { describe, workers } = yield* Chemistry
  const [kind, file] = [Descriptor.label(descriptor), fileIn(folder)]
  const drops = new Map<string, Descriptor.Drop>()
  const distinct = [...new Set(smiles)].filter((one) => {
    const drop = Limits.excess(one, limits)
    if (drop !== undefined) drops.set(one, drop)
    return drop === undefined
  })
  const accessing = <A>(access: () => A) => Effect.try({ try: access, catch: Store.errorOf(file) })
  return yield* Store.use(file, (store) =>
    Effect.gen(function* () {
      const begun = performance.now()
      let [done, fresh] = [0, 0]
      /** Looks these up, and gives those that are to be described. */
      const missing = Effect.fnUntraced(function* (list: ReadonlyArray<string>) {
        const entries = yield* accessing(() => list.map((one) => store.find(kind, one)))
        const damaged = entries.filter((entry) => entry === "damaged").length
        if (damaged > 0) {
          yield* Effect.logWarning(
            `cache ${file}: ${damaged} entries of ${kind} are damaged; they are worked out again`
          )
        }
        return list.filter((one, i) => {
          const entry = entries[i]
          const description = typeof entry === "object" ? descriptionOf(entry, limits) : undefined
          if (description !== undefined && !Descriptor.isBytes(description)) drops.set(one, description)
          return description === undefined
        })
      })
      yield* Effect.forEach(
        chunks(distinct),
        Effect.fnUntraced(function* (list) {
          const wanted = yield* missing(list)
          if (wanted.length > 0) {
            const made = yield* describe(descriptor, wanted, limits)
            yield* accessing(() =>
              store.write(
                kind,
                made.map((description, i) => [wanted[i]!, entryOf(description)])
              )
            )
            for (const [i, description] of made.entries()) {
              if (!Descriptor.isBytes(description)) drops.set(wanted[i]!, description)
            }
          }
          ;[done, fresh] = [done + list.length, fresh + wanted.length]
          const seconds = (performance.now() - begun) / 1000
          yield* listener?.({ kind, done, total: distinct.length, rate: fresh / seconds }) ?? Effect.void
        }),
        // One more than there are threads, so that none waits for entries to be written.
        { concurrency: workers + 1 }
      )
      const at = (row: number): string => {
        const one = smiles[row]
        if (one === undefined) throw new RangeError(`Cache: row ${row} of ${smiles.length} molecules`)
        return one
      }
      return {
        count: smiles.length,
        dropped: (row) => drops.get(at(row)),
        read: (row) => {
          const one = at(row)
          if (drops.has(one)) return new Uint8Array(0)
          const entry = reading(file, () => store.find(kind, one))
          if (typeof entry === "object" && entry.bytes !== null) return entry.bytes
          const reason = `the ${kind} of ${Printable.inline(one)} has changed since it was checked: start again, and it is worked out anew`
          throw new Store.CacheError({ file, problem: "damaged", reason })
        }
      } satisfies Descriptions
    })
  )
})
