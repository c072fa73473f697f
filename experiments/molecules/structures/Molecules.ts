/**
 * Molecules as RDKit sees them, through the cache. Everything is addressed by the row of the list that was given, so that
 * what belongs to one molecule stays together when others are refused.
 */
import { crc32, inflateRawSync } from "node:zlib"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Cache from "./Cache.ts"
import * as KMeans from "./KMeans.ts"
import * as Records from "./Records.ts"
import * as Split from "./Split.ts"

/** Where to keep what is worked out, and whom to tell how far it is. */
export interface Options {
  /** The cache's folder; `Cache.defaultFolder()` where absent. */
  readonly folder?: string
  readonly onProgress?: (progress: Cache.Progress) => Effect.Effect<void>
}

/** Which rows RDKit accepts. */
export interface Accepted {
  /** int32: accepted rows, ascending. */
  readonly rows: Int32Array
  /** Rows that were dropped. */
  readonly refused: ReadonlyArray<{ readonly row: number; readonly smiles: string }>
}

const accepted = (smiles: ReadonlyArray<string>, stored: Cache.Stored): Accepted => {
  const refused = smiles.flatMap((text, row) => (stored.refused(row) ? [{ row, smiles: text }] : []))
  const rows = new Int32Array(smiles.length - refused.length)
  for (let row = 0, at = 0; row < smiles.length; row++) if (!stored.refused(row)) rows[at++] = row
  return { rows, refused }
}

/**
 * Places in `rows` of the molecules that the other accepts as well: one may have a structure or keys, and a picture all the same not
 * be drawn of it.
 */
export const shared = (rows: Int32Array, other: Accepted): ReadonlyArray<number> => {
  const accepted = new Set(other.rows)
  return Array.from(rows.keys()).filter((i) => accepted.has(rows[i]!))
}

const stored = (kind: Records.Kind, smiles: ReadonlyArray<string>, { folder, ...options }: Options) =>
  Cache.records(folder ?? Cache.defaultFolder(), kind, smiles, options)

/** Reading a record throws where its file has changed since it was checked. */
const reading = <A>(evaluate: () => A): Effect.Effect<A, Cache.CacheError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (error) {
      return error instanceof Cache.CacheError ? Effect.fail(error) : Effect.die(error)
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
  const found = yield* stored({ name: "structure" }, smiles, options)
  const { refused, rows } = accepted(smiles, found)
  const decoder = new TextDecoder()
  const all = yield* reading(() =>
    Array.from(rows, (row) => JSON.parse(decoder.decode(found.record(row))) as Records.Structure)
  )
  const of = (part: 0 | 1 | 2) => all.map((structure) => structure[part])
  return { rows, refused, canonical: of(0), chiral: of(1), flat: of(2) } satisfies Structures
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
  const found = yield* stored({ name: "maccs" }, smiles, options)
  const { refused, rows } = accepted(smiles, found)
  const keys = yield* reading(() => Array.from(rows, (row) => found.record(row)))
  return { rows, refused, keys } satisfies Keys
}, Effect.scoped)

/** Pictures on disk, read by row. */
export interface Pictures extends Accepted {
  readonly size: number
  /** uint8 [n, size, size, 3] of n accepted rows: black on white, atoms in RDKit's colours. */
  readonly read: (rows: ArrayLike<number>) => Effect.Effect<Uint8Array, Cache.CacheError>
}

/** Sides that pictures may have, in pixels. */
export const sizes = { minimum: 16, maximum: 1024 } as const

/**
 * Pictures of these molecules, `size` pixels a side, readable until the scope ends. Throws a `RangeError` on a size that is
 * not a whole number from 16 to 1,024.
 */
export const pictures = Effect.fnUntraced(function* (
  smiles: ReadonlyArray<string>,
  size: number = Records.standardSize,
  options: Options = {}
) {
  if (!Number.isInteger(size) || size < sizes.minimum || size > sizes.maximum) {
    throw new RangeError(
      `Molecules: pictures of ${size} pixels; give a whole number from ${sizes.minimum} to ${sizes.maximum}`
    )
  }
  const found = yield* stored({ name: "picture", size }, smiles, options)
  const bytes = size * size * 3
  const read = (rows: ArrayLike<number>) =>
    reading(() => {
      const out = new Uint8Array(rows.length * bytes)
      for (let i = 0; i < rows.length; i++) {
        const record = found.record(rows[i]!)
        if (record.length === 0) throw new RangeError(`Molecules: RDKit refused row ${rows[i]}, it has no picture`)
        out.set(inflateRawSync(record), i * bytes)
      }
      return out
    })
  return { ...accepted(smiles, found), size, read } satisfies Pictures
})

const Labels = Schema.Struct({
  k: Schema.Int,
  inertia: Schema.Finite,
  history: Schema.Array(Schema.Finite),
  labels: Schema.Array(Schema.Int),
  crc32: Schema.Int
})
const LabelsFile = Schema.fromJsonString(Labels)
const sumOf = (labels: Int32Array): number => crc32(new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength))

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
  const home = `${folder}/molecules/clusters`
  const parameters = `clusters 3: k ${k}, seed ${seed.key.join()}, iterations ${iterations}, sample ${sample ?? "all"}`
  const packed = Records.pack(keys)
  const file = `${home}/${Cache.keyOf(parameters, packed.bytes)}.json`
  yield* Cache.makeFolder(home)
  const found = yield* Cache.read(file)
  const read =
    found === undefined
      ? undefined
      : yield* Schema.decodeEffect(LabelsFile)(new TextDecoder().decode(found)).pipe(
          Effect.map(({ crc32, ...rest }) => ({ ...rest, labels: Int32Array.from(rest.labels), crc32 })),
          Effect.filterOrFail(({ crc32, labels }) => labels.length === keys.length && sumOf(labels) === crc32),
          Effect.map(({ crc32: _, ...rest }): KMeans.Clusters => rest),
          Effect.catch(() =>
            Effect.as(Effect.logWarning(`cache ${file}: it is damaged; it is worked out again`), undefined)
          )
        )
  const made = read ?? (yield* KMeans.cluster(KMeans.bits(keys, Records.maccsBits), rest))
  if (made !== read) {
    const text = yield* Effect.orDie(
      Schema.encodeEffect(LabelsFile)({ ...made, labels: Array.from(made.labels), crc32: sumOf(made.labels) })
    )
    yield* Cache.write(file, new TextEncoder().encode(text))
  }
  if (made.k < k) {
    const among = Math.min(keys.length, sample ?? keys.length)
    yield* Effect.logWarning(
      `${k} clusters asked for, and ${made.k} distinct MACCS keys among ${among} molecules: made ${made.k}`
    )
  }
  return made
})
