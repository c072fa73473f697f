/** What a table of labelled molecules holds, declared once; a new data set is one such value. */
import * as Schema from "effect/Schema"
import { Source } from "../../common/fetch/Source.ts"
import { Column, namesOf } from "../../common/tables/Column.ts"

/** A table: one molecule a row. */
export const TableSchema = Schema.Struct({
  /** The name by which commands know it. */
  name: Schema.String.check(Schema.isPattern(/^[a-z0-9][a-z0-9-]*$/)),
  /** What the labels are, with their unit. */
  about: Schema.String,
  smiles: Column,
  /** The label columns in order, or all columns but some. */
  labels: Schema.Union([
    Schema.NonEmptyArray(Column).check(
      Schema.makeFilter((columns) => {
        const names = columns.flatMap(namesOf)
        const twice = names.find((name, i) => names.indexOf(name) !== i)
        return twice === undefined || `label '${twice}' is named twice`
      })
    ),
    Schema.Struct({ allBut: Schema.Array(Schema.NonEmptyString), count: Schema.Int })
  ]),
  task: Schema.Literals(["classification", "regression"]),
  metric: Schema.Literals(["roc-auc", "rmse", "mae"]),
  /** Labels lie in here, both ends included; those of a classification are 0 or 1 without saying. */
  range: Schema.optionalKey(
    Schema.Tuple([Schema.Finite, Schema.Finite]).check(
      Schema.makeFilter(([low, high]) => low < high || "expected the lower end first")
    )
  ),
  /** Molecules that the literature counts. */
  size: Schema.optionalKey(Schema.Int),
  source: Schema.optionalKey(Source)
}).check(
  Schema.makeFilter(
    ({ metric, task }) =>
      (task === "classification") === (metric === "roc-auc") || `${task} is not measured with ${metric}`
  )
)
export type TableSchema = typeof TableSchema.Type

/** A checked schema. Throws an error that says what is wrong with it. */
export const make = (schema: TableSchema): TableSchema => Schema.decodeSync(TableSchema)(schema)

/** The name that a fetched file gets: the schema's, since an address may end in anything. */
export const fileOf = ({ name, source }: TableSchema): string =>
  `${name}.csv${/\.gz$/i.test(URL.parse(source?.url ?? "")?.pathname ?? "") ? ".gz" : ""}`

/** The names that a set's file may have in a folder: those of {@link fileOf}, then the one that it has at its source. */
export const filesOf = (schema: TableSchema): ReadonlyArray<string> => {
  const own = URL.parse(schema.source?.url ?? "")
    ?.pathname.split("/")
    .at(-1)
  return [...new Set([`${schema.name}.csv`, `${schema.name}.csv.gz`, ...(own === undefined ? [] : [own])])]
}
