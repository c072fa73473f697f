/** What a set's labels allow: units of a regression, scores, and splits. */
import * as Result from "effect/Result"
import { Dataset, Seed, Split, Statistics } from "tapweight"
import * as Molecules from "./structures/Molecules.ts"
import * as Rules from "./structures/Split.ts"
import type { TableSchema } from "./tables/TableSchema.ts"
import type { Settings } from "./Settings.ts"

/** The values of each label column that are known, [rows, tasks] row by row. */
const columnsOf = (labels: ArrayLike<number>, tasks: number): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: tasks }, (_, task) =>
    Array.from({ length: labels.length / tasks }, (_, row) => labels[row * tasks + task]!).filter(
      (v) => !Number.isNaN(v)
    )
  )

/** What each label is divided by after its mean is taken off. */
export interface Unit {
  readonly mean: ReadonlyArray<number>
  readonly deviation: ReadonlyArray<number>
}

/** Mean and deviation of each label in training; fails for one that has no value there or a single one. */
export const unitOf = (
  { name, task }: Pick<TableSchema, "name" | "task">,
  labels: ArrayLike<number>,
  names: ReadonlyArray<string>
): Result.Result<Unit, Dataset.DataError> => {
  const columns = columnsOf(labels, names.length)
  if (task === "classification") {
    return Result.succeed({ mean: columns.map(() => 0), deviation: columns.map(() => 1) })
  }
  const mean = columns.map(Statistics.mean)
  const deviation = columns.map((column, i) => Math.sqrt(Statistics.mean(column.map((v) => (v - mean[i]!) ** 2))))
  const useless = deviation.findIndex((d) => !(d > 0))
  if (useless < 0) return Result.succeed({ mean, deviation })
  const found = columns[useless]!.length === 0 ? "no value" : "one value only"
  const reason = `label '${names[useless]}' has ${found} in its training part: leave it out of the schema's labels`
  return Result.fail(new Dataset.DataError({ dataset: name, reason }))
}

/** Fails where all of a table's molecules were dropped, or a split leaves none to train on. */
export const trainable = (
  name: string,
  { dropped, rows, train }: { readonly rows: number; readonly dropped: Molecules.Tally; readonly train: number }
): Result.Result<void, Dataset.DataError> => {
  if (train > 0) return Result.void
  const reason =
    dropped.reduce((sum, one) => sum + one.rows, 0) === rows
      ? Molecules.noneLeft(
          `its ${rows} molecules`,
          dropped,
          "let its schema's `smiles` name the column that holds them"
        )
      : "no scaffold is rare enough for its training part, which is empty: choose split=random"
  return Result.fail(new Dataset.DataError({ dataset: name, reason }))
}

/** Label columns that a part can be scored on, or learned from. */
export const scorable = ({ metric }: Pick<TableSchema, "metric">, labels: ArrayLike<number>, tasks: number): number => {
  const enough = metric === "roc-auc" ? 2 : 1
  return columnsOf(labels, tasks).filter((column) => new Set(column).size >= enough).length
}

/** Fails where a part has no label columns that it can be scored on, or learned from. */
export const scored = (
  { metric, name }: Pick<TableSchema, "metric" | "name">,
  part: Split.Part,
  split: Settings["split"],
  columns: number,
  tasks: number
): Result.Result<void, Dataset.DataError> => {
  if (columns > 0) return Result.void
  const lacks = metric === "roc-auc" ? "no label has both classes" : "no label has a value"
  const others = (["scaffold", "random", "stratified"] as const).filter(
    (kind) => kind !== split && (kind !== "stratified" || (metric === "roc-auc" && tasks === 1))
  )
  const choices = others.map((kind) => `split=${kind}`).join(" or ")
  const reason = `${lacks} in its ${part} part: give more rows, or choose ${choices}`
  return Result.fail(new Dataset.DataError({ dataset: name, reason }))
}

const splitSeed = Seed.fold(Seed.make(0), "split")

/** The parts that rows of a table are in; each row is in one. */
const parted = (rows: Rules.Split): Split.Split<Int32Array> => Split.make(rows, (row) => row)

/** The parts of a set's accepted molecules, as rows of its table; `labels` are those of the table, row by row. */
export const splitOf = (
  kind: Settings["split"],
  name: string,
  structures: Pick<Molecules.Structures, "chiral" | "rows">,
  labels: ArrayLike<number>,
  tasks: number
): Result.Result<Split.Split<Int32Array>, Dataset.DataError> => {
  const { rows } = structures
  if (kind === "scaffold") return Result.succeed(parted(Molecules.scaffoldSplit(structures)))
  const seed = Seed.fold(splitSeed, name)
  if (kind === "random") return Result.succeed(parted(Rules.ofRows(Rules.random(seed, rows.length), rows)))
  const own = Array.from(rows, (row) => labels[row * tasks]!)
  if (tasks === 1 && new Set(own).size <= 10) {
    return Result.succeed(parted(Rules.ofRows(Rules.stratified(seed, own), rows)))
  }
  const found = tasks === 1 ? `${new Set(own).size} different values` : `${tasks} labels a molecule`
  const reason = `a stratified split wants one label of few classes, and it has ${found}: choose split=scaffold or split=random`
  return Result.fail(new Dataset.DataError({ dataset: name, reason }))
}
