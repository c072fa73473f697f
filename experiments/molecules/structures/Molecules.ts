/**
 * Molecules as RDKit sees them, through the cache. Everything is addressed by the row of the list that was given, so that
 * what belongs to one molecule stays together when others are refused.
 */
import { createHash } from "node:crypto"
import { inflateRawSync } from "node:zlib"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Descriptor from "../rdkit/Descriptor.ts"
import * as Cache from "./Cache.ts"
import * as KMeans from "./KMeans.ts"
import * as Split from "./Split.ts"
import * as Store from "./Store.ts"

/** Where to keep what is worked out, how large molecules may be, and who hears how far it is. */
export interface Options extends Cache.Options {
  /** The cache's folder; `Cache.defaultFolder()` where absent. */
  readonly folder?: string
}

/** A row that was dropped, and why. */
export interface Dropped {
  readonly row: number
  readonly smiles: string
  readonly reason: string
}

/** Which rows have what was asked for. */
export interface Accepted {
  /** int32: accepted rows, ascending. */
  readonly rows: Int32Array
  readonly dropped: ReadonlyArray<Dropped>
}

const accepted = (smiles: ReadonlyArray<string>, { dropped }: Cache.Descriptions): Accepted => {
  const drops = smiles.flatMap((text, row): ReadonlyArray<Dropped> => {
    const drop = dropped(row)
    return drop === undefined ? [] : [{ row, smiles: text, reason: Descriptor.wordsOf(drop) }]
  })
  const gone = new Set(drops.map(({ row }) => row))
  return { rows: Int32Array.from([...smiles.keys()].filter((row) => !gone.has(row))), dropped: drops }
}

/**
 * Places in `rows` of the molecules that the other accepts as well: one may have a structure or keys, and a picture all the same not
 * be drawn of it.
 */
export const shared = (rows: Int32Array, other: Accepted): ReadonlyArray<number> => {
  const accepted = new Set(other.rows)
  return Array.from(rows.keys()).filter((i) => accepted.has(rows[i]!))
}

/** How many rows were dropped for which reason. */
export type Tally = ReadonlyArray<{ readonly reason: string; readonly rows: number }>

/** How many rows were dropped for which reason, by any of these; a row that several have dropped counts for the first. */
export const tally = (...all: ReadonlyArray<Pick<Accepted, "dropped">>): Tally => {
  const reasons = new Map<number, string>()
  for (const { dropped } of all) {
    for (const { reason, row } of dropped) if (!reasons.has(row)) reasons.set(row, reason)
  }
  const counts = new Map<string, number>()
  for (const reason of reasons.values()) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  return Array.from(counts, ([reason, rows]) => ({ reason, rows }))
}

const refused = Descriptor.wordsOf({ reason: "refused" })

/** What became of molecules of which none is left, in words, and what to change. */
export const noneLeft = (molecules: string, tally: Tally, unread: string): string =>
  tally.every(({ reason }) => reason === refused)
    ? `RDKit refuses all of ${molecules}: ${unread}`
    : `nothing is left of ${molecules} (${droppedWords(tally)}): raise limits.atoms, limits.rings or limits.seconds`

/** What was dropped, in words, beginning with what RDKit refused, none included. */
export const droppedWords = (tally: Tally): string => {
  const first = tally.find(({ reason }) => reason === refused) ?? { reason: refused, rows: 0 }
  const others = tally.filter(({ reason }) => reason !== refused)
  return `${[first, ...others].map(({ reason, rows }) => `${rows} ${reason}`).join(", ")} and dropped`
}

const described = (descriptor: Descriptor.Descriptor, smiles: ReadonlyArray<string>, { folder, ...options }: Options) =>
  Cache.descriptions(folder ?? Cache.defaultFolder(), descriptor, smiles, options)

/** Reading throws where what is kept has changed since it was checked. */
const reading = <A>(evaluate: () => A): Effect.Effect<A, Store.CacheError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (error) {
      return error instanceof Store.CacheError ? Effect.fail(error) : Effect.die(error)
    }
  })

/** Canonical SMILES and Murcko scaffolds of the accepted molecules, in the order of `rows`. */
export interface Structures extends Accepted {
  readonly canonical: ReadonlyArray<string>
  /** Scaffolds with handedness, which the scaffold split goes by; empty for molecules without rings. */
  readonly chiral: ReadonlyArray<string>
  /** Scaffolds without handedness. */
  readonly flat: ReadonlyArray<string>
}

/** The structures of these molecules. */
export const structures = Effect.fnUntraced(function* (smiles: ReadonlyArray<string>, options: Options = {}) {
  const found = yield* described({ name: "structure" }, smiles, options)
  const { dropped, rows } = accepted(smiles, found)
  const decoder = new TextDecoder()
  const all = yield* reading(() =>
    Array.from(rows, (row) => JSON.parse(decoder.decode(found.read(row))) as Descriptor.Structure)
  )
  const of = (part: 0 | 1 | 2) => all.map((structure) => structure[part])
  return { rows, dropped, canonical: of(0), chiral: of(1), flat: of(2) } satisfies Structures
}, Effect.scoped)

/** The reference scaffold split of accepted molecules, as rows of the list. */
export const scaffoldSplit = ({ chiral, rows }: Pick<Structures, "chiral" | "rows">): Split.Split =>
  Split.ofRows(Split.scaffold(chiral), rows)

/** MACCS keys of the accepted molecules, in the order of `rows`: 21 bytes each, key i at bit i. */
export interface Keys extends Accepted {
  readonly keys: ReadonlyArray<Uint8Array>
}

/** The MACCS keys of these molecules. */
export const maccs = Effect.fnUntraced(function* (smiles: ReadonlyArray<string>, options: Options = {}) {
  const found = yield* described({ name: "maccs" }, smiles, options)
  const { dropped, rows } = accepted(smiles, found)
  const keys = yield* reading(() => Array.from(rows, (row) => found.read(row)))
  return { rows, dropped, keys } satisfies Keys
}, Effect.scoped)

/** Pictures on disk, read by row. */
export interface Pictures extends Accepted {
  readonly size: number
  /** uint8 [n, size, size, 3] of n accepted rows: black on white, atoms in RDKit's colours. */
  readonly read: (rows: ArrayLike<number>) => Effect.Effect<Uint8Array, Store.CacheError>
}

/** Sides that pictures may have, in pixels. */
export const sizes = { minimum: 16, maximum: 1024 } as const

/**
 * Pictures of these molecules, `size` pixels a side, readable until the scope ends. Throws a `RangeError` on a size that is
 * not a whole number from 16 to 1,024.
 */
export const pictures = Effect.fnUntraced(function* (
  smiles: ReadonlyArray<string>,
  size: number = Descriptor.standardSize,
  options: Options = {}
) {
  if (!Number.isInteger(size) || size < sizes.minimum || size > sizes.maximum) {
    throw new RangeError(
      `Molecules: pictures of ${size} pixels; give a whole number from ${sizes.minimum} to ${sizes.maximum}`
    )
  }
  const found = yield* described({ name: "picture", size }, smiles, options)
  const bytes = size * size * 3
  const read = (rows: ArrayLike<number>) =>
    reading(() => {
      const out = new Uint8Array(rows.length * bytes)
      for (let i = 0; i < rows.length; i++) {
        const picture = found.read(rows[i]!)
        if (picture.length === 0) throw new RangeError(`Molecules: row ${rows[i]} was dropped, it has no picture`)
        out.set(inflateRawSync(picture), i * bytes)
      }
      return out
    })
  return { ...accepted(smiles, found), size, read } satisfies Pictures
})

const ClustersJson = Schema.fromJsonString(
  Schema.Struct({
    k: Schema.Int,
    inertia: Schema.Finite,
    history: Schema.Array(Schema.Finite),
    labels: Schema.Array(Schema.Int)
  })
)

/** The hash that names the clusters of these keys. */
const clustersKey = (parameters: string, keys: ReadonlyArray<Uint8Array>): string => {
  const hash = createHash("sha256").update(`${parameters}\n`)
  for (const key of keys) hash.update(key)
  return hash.digest("hex")
}

/**
 * Cluster numbers of molecules from their MACCS keys, in the order given. Where there are fewer distinct keys than clusters
 * asked for, there are as many clusters as keys, and a warning says so.
 */
export const clusters = Effect.fnUntraced(function* (
  keys: ReadonlyArray<Uint8Array>,
  options: KMeans.Options & { readonly folder?: string }
) {
  const { folder = Cache.defaultFolder(), ...rest } = options
  const { iterations = KMeans.defaultIterations, k, sample, seed } = rest
  const parameters = `clusters 3: k ${k}, seed ${seed.key.join()}, iterations ${iterations}, sample ${sample ?? "all"}`
  const key = clustersKey(parameters, keys)
  const file = Cache.fileIn(folder)
  const made = yield* Store.use(
    file,
    Effect.fnUntraced(function* (store) {
      const accessing = <A>(access: () => A) => Effect.try({ try: access, catch: Store.errorOf(file) })
      const entry = yield* accessing(() => store.find("clusters", key))
      if (typeof entry === "object" && entry.bytes !== null) {
        const text = new TextDecoder().decode(entry.bytes)
        const { labels, ...there } = yield* Effect.orDie(Schema.decodeEffect(ClustersJson)(text))
        return { ...there, labels: Int32Array.from(labels) } satisfies KMeans.Clusters
      }
      if (entry === "damaged")
        yield* Effect.logWarning(`cache ${file}: clusters are damaged; they are worked out again`)
      const clusters = yield* KMeans.cluster(KMeans.bits(keys, Descriptor.maccsBits), rest)
      const json = yield* Effect.orDie(
        Schema.encodeEffect(ClustersJson)({ ...clusters, labels: Array.from(clusters.labels) })
      )
      const bytes = new TextEncoder().encode(json)
      yield* accessing(() => store.write("clusters", [[key, { bytes, seconds: null }]]))
      return clusters
    })
  )
  if (made.k < k) {
    const among = Math.min(keys.length, sample ?? keys.length)
    yield* Effect.logWarning(
      `${k} clusters asked for, and ${made.k} distinct MACCS keys among ${among} molecules: made ${made.k}`
    )
  }
  return made
}, Effect.scoped)
