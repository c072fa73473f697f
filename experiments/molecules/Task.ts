import { hash } from "node:crypto"
import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { type Manifest, NdArray, Split } from "tapweight"
import * as Molecules from "./structures/Molecules.ts"
import * as Table from "./tables/Table.ts"
import type * as Headway from "./structures/Headway.ts"
import type { TableSchema } from "./tables/TableSchema.ts"
import * as PictureBatches from "./pictures/PictureBatches.ts"
import * as Input from "../common/Input.ts"
import * as Labels from "./Labels.ts"
import * as Pool from "./Pool.ts"
import * as Schemas from "./Schemas.ts"
import type { Settings } from "./Settings.ts"

/** One set of MoleculeNet, parted, beside the pool. */
export interface Task extends Split.Split<PictureBatches.Labelled> {
  readonly name: string
  readonly kind: "classification" | "regression"
  readonly metric: TableSchema["metric"]
  /** Labels of a molecule. */
  readonly tasks: number
  readonly pool: Pool.Pool
  /**
   * Labels of a regression are trained on less their training mean and over their training deviation, and scored in
   * their own unit: `label · deviation + mean`.
   */
  readonly unit: Labels.Unit
  /** Molecules read, those that were dropped, and those of each part. */
  readonly counted: {
    readonly rows: number
    readonly dropped: number
    readonly train: number
    readonly validation: number
    readonly test: number
  }
  /** What was read, in words. */
  readonly summary: string
  /** What was read. */
  readonly input: typeof Manifest.Data.Type
}

/** The hash of what a schema reads a table by: that may change, and the table not. */
const readBy = ({ labels, metric, range, smiles, task }: TableSchema): string =>
  hash("sha256", JSON.stringify([smiles, labels, task, metric, range ?? null])).slice(0, 16)

/** The table of a set by its name, or by the file of its schema. Fails with a `TableError` where there is none. */
export const find = Effect.fnUntraced(function* ({ data }: Pick<Settings, "data">, name: string) {
  const schema = yield* Schemas.named(name)
  return { schema, file: yield* Table.find(data, schema) }
})

/**
 * The task of one set. Fails with a `TableError` on a table that is not as its schema says, and with a `DataError` where
 * its molecules or labels cannot be trained on or scored.
 */
export const make = Effect.fnUntraced(function* (
  settings: Settings,
  pool: Pool.Pool,
  { file, schema }: Effect.Success<ReturnType<typeof find>>,
  listener: Headway.Listener
) {
  const table = yield* Table.read(file, schema)
  const options = { limits: settings.limits, listener }
  const found = yield* Molecules.structures(table.smiles, options)
  const pictures = yield* Pool.picturesOf(schema.name, table.smiles, settings.size, options)
  const drops = Molecules.tally(found, pictures)
  const keep = Molecules.shared(found.rows, pictures)
  const structures = {
    rows: Int32Array.from(keep, (i) => found.rows[i]!),
    chiral: keep.map((i) => found.chiral[i]!)
  }
  const tasks = table.tasks.length
  const split = yield* Effect.fromResult(Labels.splitOf(settings.split, schema.name, structures, table.labels, tasks))
  const rows = Split.count(split, ({ length }) => length)
  yield* Effect.fromResult(
    Labels.trainable(schema.name, {
      rows: table.smiles.length,
      dropped: drops,
      train: rows.train
    })
  )
  const labels = NdArray.float32([table.smiles.length, tasks] as const, table.labels)
  const of = (rows: Int32Array) => NdArray.rows(labels, rows).data
  const unit = yield* Effect.fromResult(Labels.unitOf(schema, of(split.train), table.tasks))
  const counted = {
    rows: table.smiles.length,
    dropped: table.smiles.length - keep.length,
    ...rows
  }
  const scorable = Split.count(split, (own) => Labels.scorable(schema, of(own), tasks))
  const parts = yield* Effect.forEach(["train", "validation", "test"] as const, (part) =>
    Effect.as(
      Effect.fromResult(Labels.scored(schema, part, settings.split, scorable[part], tasks)),
      `${counted[part]} ${part}${scorable[part] < tasks && part !== "train" ? ` (scored on ${scorable[part]} of ${tasks} labels)` : ""}`
    )
  )
  const { rows: read } = counted
  const short =
    schema.size !== undefined && read < schema.size
      ? ` (of ${schema.size} that the literature counts: is its file whole?)`
      : ""
  const input = yield* Input.ofFile({
    name: schema.name,
    version: `schema ${readBy(schema)}`,
    file,
    read,
    dropped: drops,
    split: { rule: `${settings.split}, 8:1:1`, rows: { ...rows } }
  })
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
    kind: schema.task,
    metric: schema.metric,
    tasks,
    pool,
    ...Split.map(split, part),
    unit,
    counted,
    summary: `${schema.name}: ${counted.rows} molecules${short}, ${Molecules.droppedWords(drops)}; ${parts.join(", ")}`,
    input
  } satisfies Task as Task
})
