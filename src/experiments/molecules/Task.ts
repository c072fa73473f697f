import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import type * as Cache from "../../data/molecules/Cache.ts"
import * as Molecules from "../../data/molecules/Molecules.ts"
import * as Split from "../../data/molecules/Split.ts"
import * as Table from "../../data/molecules/Table.ts"
import type { TableSchema } from "../../data/molecules/TableSchema.ts"
import * as PictureBatches from "../../data/pictures/PictureBatches.ts"
import * as Dataset from "../../dsl/Dataset.ts"
import * as NdArray from "../../dsl/NdArray.ts"
import * as Seed from "../../dsl/Seed.ts"
import * as Schemas from "./Schemas.ts"
import type { Settings } from "./Settings.ts"

/** Unlabelled molecules with their pseudo-labels. */
export interface Pool {
  readonly pictures: PictureBatches.Pictures
  /** int32 [pictures, 3]. */
  readonly clusters: NdArray.NdArray<tf.Tensor2D>
  /** Clusters there are at each granularity. */
  readonly counts: ReadonlyArray<number>
}

/** One set of MoleculeNet, parted, beside the pool. */
export interface Task {
  readonly name: string
  readonly kind: "classification" | "regression"
  readonly metric: TableSchema["metric"]
  /** Labels of a molecule. */
  readonly tasks: number
  readonly pool: Pool
  readonly train: PictureBatches.Labelled
  readonly validation: PictureBatches.Labelled
  readonly test: PictureBatches.Labelled
  /**
   * Labels of a regression are trained on less their training mean and over their training deviation, and scored in
   * their own unit: `label · deviation + mean`.
   */
  readonly unit: { readonly mean: ReadonlyArray<number>; readonly deviation: ReadonlyArray<number> }
  /** Molecules read, and those that RDKit refused. */
  readonly counted: { readonly rows: number; readonly refused: number }
}

/** How far reading is. */
export type Report = (progress: Cache.Progress) => Effect.Effect<void>

const picturesOf = Effect.fnUntraced(function* (
  name: string,
  smiles: ReadonlyArray<string>,
  size: number,
  onProgress: Report
) {
  const found = yield* Molecules.pictures(smiles, size, { onProgress })
  const read = (rows: ArrayLike<number>) =>
    Effect.mapError(found.read(rows), (error) => new Dataset.DataError({ dataset: name, reason: error.message }))
  return { ...found, read, count: smiles.length }
})

// The pool and its clusters are part of the task: the same for every seed, so that they are worked out once.
const poolSeed = Seed.fold(Seed.make(0), "pool")

/** The unlabelled molecules: drawn from the files once for all, without those that RDKit refuses. */
export const pool = Effect.fnUntraced(function* (settings: Settings, report: Report) {
  const path = yield* Path.Path
  const { clusters, data, pool, size } = settings
  const lists = yield* Effect.forEach(pool.files, (file) => Table.allSmiles(path.join(data, file)))
  const all = lists.flat()
  const order = Seed.permutation(Seed.fold(poolSeed, "order"), all.length)
  const smiles = Array.from(order.subarray(0, pool.molecules), (row) => all[row]!)
  const { keys, rows } = yield* Molecules.maccs(smiles, { onProgress: report })
  const pictures = yield* picturesOf("pool", smiles, size, report)
  const found = yield* Effect.forEach(clusters, (k) =>
    Molecules.clusters(keys, { k, seed: Seed.fold(poolSeed, "clusters") })
  )
  const labels = Int32Array.from({ length: 3 * rows.length }, (_, i) => found[i % 3]!.labels[Math.floor(i / 3)]!)
  return {
    pictures: PictureBatches.subset(pictures, rows),
    clusters: NdArray.int32([rows.length, 3] as const, labels),
    counts: found.map(({ k }) => k)
  } satisfies Pool as Pool
})

const unitOf = (kind: Task["kind"], labels: Float32Array, tasks: number): Task["unit"] => {
  const columns = Array.from({ length: tasks }, (_, task) =>
    Array.from({ length: labels.length / tasks }, (_, row) => labels[row * tasks + task]!).filter(
      (v) => !Number.isNaN(v)
    )
  )
  if (kind === "classification") return { mean: columns.map(() => 0), deviation: columns.map(() => 1) }
  const mean = columns.map((column) => column.reduce((sum, v) => sum + v, 0) / column.length)
  const deviation = columns.map((column, i) =>
    Math.sqrt(column.reduce((sum, v) => sum + (v - mean[i]!) ** 2, 0) / column.length)
  )
  return { mean, deviation }
}

const splitSeed = Seed.fold(Seed.make(0), "split")

/** The parts of a set's accepted molecules, as rows of its table; `labels` are those of the table, row by row. */
export const splitOf = (
  kind: Settings["split"],
  name: string,
  structures: Pick<Molecules.Structures, "chiral" | "rows">,
  labels: ArrayLike<number>,
  tasks: number
): Result.Result<Split.Split, Dataset.DataError> => {
  const { rows } = structures
  if (kind === "scaffold") return Result.succeed(Molecules.scaffoldSplit(structures))
  const seed = Seed.fold(splitSeed, name)
  if (kind === "random") return Result.succeed(Split.ofRows(Split.random(seed, rows.length), rows))
  const own = Array.from(rows, (row) => labels[row * tasks]!)
  if (tasks === 1 && new Set(own).size <= 10) return Result.succeed(Split.ofRows(Split.stratified(seed, own), rows))
  const found = tasks === 1 ? `${new Set(own).size} different values` : `${tasks} labels a molecule`
  const reason = `a stratified split wants one label of few classes, and it has ${found}: choose split=scaffold or split=random`
  return Result.fail(new Dataset.DataError({ dataset: name, reason }))
}

/** The task of one set, read from the folder of tables. */
export const make = Effect.fnUntraced(function* (settings: Settings, pool: Pool, name: string, report: Report) {
  const schema = yield* Schemas.named(name)
  const table = yield* Table.read(yield* Table.find(settings.data, schema), schema)
  const structures = yield* Molecules.structures(table.smiles, { onProgress: report })
  const pictures = yield* picturesOf(schema.name, table.smiles, settings.size, report)
  const tasks = table.tasks.length
  const split = yield* Effect.fromResult(splitOf(settings.split, schema.name, structures, table.labels, tasks))
  const kind = schema.task
  const labels = NdArray.float32([table.smiles.length, tasks] as const, table.labels)
  const raw = NdArray.rows(labels, split.train)
  const unit = unitOf(kind, raw.data as Float32Array, tasks)
  const part = (rows: Int32Array): PictureBatches.Labelled => {
    const own = NdArray.rows(labels, rows)
    const scaled = Float32Array.from(own.data, (v, i) => (v - unit.mean[i % tasks]!) / unit.deviation[i % tasks]!)
    return {
      pictures: PictureBatches.subset(pictures, rows),
      labels: NdArray.float32(own.shape, scaled) as NdArray.NdArray<tf.Tensor2D>
    }
  }
  return {
    name: schema.name,
    kind,
    metric: schema.metric,
    tasks,
    pool,
    train: part(split.train),
    validation: part(split.validation),
    test: part(split.test),
    unit,
    counted: { rows: table.smiles.length, refused: structures.refused.length }
  } satisfies Task as Task
})
