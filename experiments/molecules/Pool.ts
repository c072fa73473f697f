import { existsSync } from "node:fs"
import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import { Dataset, type Manifest, NdArray, Seed } from "tapweight"
import * as KMeans from "./structures/KMeans.ts"
import * as MoleculeNet from "./tables/MoleculeNet.ts"
import * as Molecules from "./structures/Molecules.ts"
import * as Table from "./tables/Table.ts"
import { namesOf } from "../common/tables/Column.ts"
import * as Headway from "./structures/Headway.ts"
import * as PictureBatches from "./pictures/PictureBatches.ts"
import * as Input from "../common/Input.ts"
import * as Schemas from "./Schemas.ts"
import type { Settings } from "./Settings.ts"

/** Unlabelled molecules with their pseudo-labels. */
export interface Pool {
  readonly pictures: PictureBatches.Pictures
  /** int32 [pictures, 3]. */
  readonly clusters: NdArray.NdArray<tf.Tensor2D>
  /** Clusters there are at each granularity. */
  readonly counts: ReadonlyArray<number>
  /** What was read, in words. */
  readonly summary: string
  /** What was read. */
  readonly inputs: ReadonlyArray<typeof Manifest.Data.Type>
}

/** Pictures of molecules, whose reading fails as a data set's does. */
export const picturesOf = Effect.fnUntraced(function* (
  name: string,
  smiles: ReadonlyArray<string>,
  size: number,
  options: Molecules.Options
) {
  const found = yield* Molecules.pictures(smiles, size, options)
  const read = (rows: ArrayLike<number>) =>
    Effect.mapError(found.read(rows), (error) => new Dataset.DataError({ dataset: name, reason: error.message }))
  return { ...found, read, count: smiles.length }
})

// The pool and its clusters are part of the task: the same for every seed, so that they are worked out once.
const poolSeed = Seed.fold(Seed.make(0), "pool")

/** A pool's file: one in the folder, or the table of a set by its name or the file of its schema. */
const poolFile = Effect.fnUntraced(function* (data: string, name: string) {
  if (name.endsWith(".json") || MoleculeNet.named(name) !== undefined) {
    const schema = yield* Schemas.named(name)
    return { file: yield* Table.find(data, schema), columns: namesOf(schema.smiles) }
  }
  const file = (yield* Path.Path).join(data, name)
  if (existsSync(file)) return { file }
  const reason =
    "there is no such file: pool.files names files of the data's folder, sets that are known by name, or .json files of schemas"
  return yield* new Table.TableError({ file, problem: "missing", reason })
})

/**
 * The unlabelled molecules: drawn from the files once for all, without those that RDKit refuses. Fails with a `TableError`
 * where a file is missing or cannot be read, and with a `DataError` where too little can be told apart in it.
 */
export const make = Effect.fnUntraced(function* (settings: Settings, listener: Headway.Listener) {
  const { batch, clusters, data, limits, pool, size } = settings
  const sources = yield* Effect.forEach(pool.files, (name) => poolFile(data, name))
  const files = sources.map(({ file }) => file)
  const lists = yield* Effect.forEach(sources, ({ file, ...columns }) => Table.allSmiles(file, columns))
  const all = lists.flat()
  const order = Seed.permutation(Seed.fold(poolSeed, "order"), all.length)
  const smiles = Array.from(order.subarray(0, pool.molecules), (row) => all[row]!)
  const { dropped, keys, rows } = yield* Molecules.maccs(smiles, { limits, listener })
  const pictures = yield* picturesOf("pool", smiles, size, { limits, listener })
  const keep = Molecules.shared(rows, pictures)
  const drops = Molecules.tally({ dropped }, pictures)
  const drawn = `the ${smiles.length} molecules drawn from ${files.join(", ")}`
  const others = "let pool.files name others"
  const few = (reason: string) => Effect.fail(new Dataset.DataError({ dataset: "pool", reason }))
  if (keep.length === 0) return yield* few(Molecules.noneLeft(drawn, drops, others))
  if (keep.length < batch.pretrain) {
    const reason = `it has ${keep.length} molecules, fewer than one batch: give more (pool.molecules, pool.files), or lower batch.pretrain, which is ${batch.pretrain}`
    return yield* new Dataset.DataError({ dataset: "pool", reason })
  }
  const pace = yield* Headway.paced
  const found = yield* Effect.forEach(clusters, (k) =>
    Molecules.clusters(
      keep.map((i) => keys[i]!),
      {
        k,
        ...(pool.sample === null ? {} : { sample: pool.sample }),
        seed: Seed.fold(poolSeed, "clusters"),
        onIteration: (iteration) =>
          pace(Effect.logInfo(`${k} clusters: ${iteration} of at most ${KMeans.defaultIterations} iterations`))
      }
    )
  )
  if (found[0]!.k < 2) return yield* few(`there are no two kinds to tell apart of ${drawn}: ${others}`)
  const ends = lists.map((_, i) => lists.slice(0, i + 1).reduce((sum, { length }) => sum + length, 0))
  const fileOf = Array.from(smiles, (_, place) => ends.findIndex((end) => order[place]! < end))
  const kept = keep.map((i) => fileOf[rows[i]!]!)
  const inputs = yield* Effect.forEach(files, (file, i) => {
    const own = [dropped, pictures.dropped].map((rows) => ({ dropped: rows.filter(({ row }) => fileOf[row] === i) }))
    const count = kept.filter((other) => other === i).length
    const split = { rule: "unlabelled molecules drawn at random", rows: { drawn: count } }
    const input = { name: pool.files[i]!, version: null, file, read: lists[i]!.length, split }
    return Input.ofFile({ ...input, dropped: Molecules.tally(...own) })
  })
  const labels = Int32Array.from({ length: 3 * keep.length }, (_, i) => found[i % 3]!.labels[Math.floor(i / 3)]!)
  return {
    pictures: PictureBatches.subset(
      pictures,
      keep.map((i) => rows[i]!)
    ),
    clusters: NdArray.int32([keep.length, 3] as const, labels),
    counts: found.map(({ k }) => k),
    summary: `pool: ${smiles.length} of ${all.length} molecules, ${Molecules.droppedWords(drops)}`,
    inputs
  } satisfies Pool as Pool
})
