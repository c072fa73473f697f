/** What `tapweight data` does; for tasks of texts, `TaskActions`. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { Dataset, JsonFile, Printable, TextTable as Columns } from "tapweight"
import { Launch } from "tapweight/cli"
import * as Chemistry from "../molecules/rdkit/Chemistry.ts"
import type * as Limits from "../molecules/rdkit/Limits.ts"
import * as Source from "../common/fetch/Source.ts"
import * as MoleculeNet from "../molecules/tables/MoleculeNet.ts"
import * as Molecules from "../molecules/structures/Molecules.ts"
import * as Table from "../molecules/tables/Table.ts"
import * as Headway from "../molecules/structures/Headway.ts"
import { fileOf, filesOf, type TableSchema } from "../molecules/tables/TableSchema.ts"
import * as Labels from "../molecules/Labels.ts"
import * as Schemas from "../molecules/Schemas.ts"
import * as Benchmarks from "../language/tasks/Benchmarks.ts"
import * as Tasks from "../language/tasks/Tasks.ts"
import * as TaskActions from "./TaskActions.ts"

type Format = "text" | "json"

const tasksOf = ({ labels }: TableSchema): number => ("allBut" in labels ? labels.count : labels.length)

/** Whether a name is a task's of texts: a known one's, or that of a file which holds no table of molecules. Fails on an unknown name. */
const isOfTexts = Effect.fnUntraced(function* (name: string) {
  if (name.endsWith(".json")) {
    const schema = yield* JsonFile.readJson(name)
    return Predicate.isObject(schema) && "files" in schema && !("smiles" in schema)
  }
  const [molecules, texts] = [MoleculeNet.named(name), Benchmarks.named(name)]
  if (molecules !== undefined || texts !== undefined) return molecules === undefined
  const names = (schemas: ReadonlyArray<{ readonly name: string }>) => schemas.map(({ name }) => name).join(", ")
  const known = `known are of molecules ${names(MoleculeNet.all)}; of texts ${names(Benchmarks.all)}; and any whose schema is in a .json file`
  return yield* new Dataset.DataError({ dataset: name, reason: `no data set of this name is known; ${known}` })
})

/** Prints the sets known by name. */
export const list = (format: Format) =>
  Launch.print(format, `${molecules()}\n\n${TaskActions.listed()}`, {
    molecules: MoleculeNet.all,
    texts: Benchmarks.all
  })

/** The sets of molecules known by name, as a table. */
const molecules = (): string =>
  Columns.words([
    ["name", "molecules", "labels", "metric", "file", "what"],
    ...MoleculeNet.all.map((schema) => [
      schema.name,
      String(schema.size ?? ""),
      String(tasksOf(schema)),
      schema.metric,
      fileOf(schema),
      schema.about
    ])
  ])

const counted = (schema: TableSchema, rows: number): string => {
  const { size } = schema
  if (size === undefined || size === rows) return `${rows} rows`
  return `${rows} rows; the literature counts ${size}, after dropping what RDKit refuses`
}

const labelsEach = (count: number): string => (count === 1 ? "1 label each" : `${count} labels each`)

/** Fetches a set and reads it once. */
export const fetch = Effect.fnUntraced(function* (options: {
  readonly name: string
  readonly to: string
  readonly format: Format
  readonly quiet: boolean
}) {
  if (yield* isOfTexts(options.name))
    return yield* TaskActions.fetch(yield* Tasks.named(options.to, options.name), options)
  const schema = yield* Schemas.named(options.name)
  const { source } = schema
  if (source === undefined) {
    return yield* new Dataset.DataError({ dataset: schema.name, reason: "its schema names no source to fetch it from" })
  }
  const there = filesOf(schema).find((name) => existsSync(join(options.to, name)))
  const file = join(options.to, there ?? fileOf(schema))
  yield* Source.fetch(
    source,
    file,
    `tapweight data check ${options.name} --data ${options.to}`,
    Launch.saying(options.quiet)
  )
  const table = yield* Effect.mapError(Table.read(file, schema), (error) =>
    error instanceof Table.TableError
      ? new Table.TableError({ ...error, reason: `${error.reason}. Move the file away to fetch it again` })
      : error
  )
  const how = source.sha256 === undefined ? "no hash is declared; checked by columns and labels" : "hash checked"
  const text = `${schema.name}  ${file}\n${counted(schema, table.smiles.length)}; ${labelsEach(table.tasks.length)} (${how})`
  yield* Launch.print(options.format, text, { name: schema.name, file, rows: table.smiles.length })
}, Launch.hushed)

/** A molecule as a line of a table has room for it. */
const shortened = (smiles: string): string => Printable.inline(smiles.length > 80 ? `${smiles.slice(0, 79)}…` : smiles)

/** Reads a set and says what is in it. */
export const check = Effect.fnUntraced(function* (options: {
  readonly name: string
  readonly data: string
  readonly cache: Option.Option<string>
  readonly workers: number
  readonly limits: Limits.Limits
  readonly format: Format
  readonly quiet: boolean
}) {
  if (yield* isOfTexts(options.name))
    return yield* TaskActions.check(yield* Tasks.named(options.data, options.name), options)
  const schema = yield* Schemas.named(options.name)
  const file = yield* Table.find(options.data, schema)
  const table = yield* Table.read(file, schema)
  const found = yield* Molecules.structures(table.smiles, {
    ...(Option.isSome(options.cache) ? { folder: options.cache.value } : {}),
    limits: options.limits,
    listener: yield* Headway.listener(Launch.saying(options.quiet))
  }).pipe(Effect.provide(Chemistry.layer({ workers: options.workers })))
  const split = Molecules.scaffoldSplit(found)
  const dropped = Molecules.tally(found)
  const missing = table.labels.reduce((count, label) => count + (Number.isNaN(label) ? 1 : 0), 0)
  const result = {
    name: schema.name,
    file,
    rows: table.smiles.length,
    labels: table.tasks.length,
    missingLabels: missing,
    dropped: found.dropped.map(({ row, ...rest }) => ({ row: row + 1, ...rest })),
    distinct: new Set(found.canonical).size,
    scaffolds: new Set(found.flat).size,
    chiralScaffolds: new Set(found.chiral).size,
    split: { train: split.train.length, validation: split.validation.length, test: split.test.length }
  }
  const rows = result.dropped.map(({ reason, row, smiles }) => `  row ${row}  ${shortened(smiles)}  ${reason}`)
  const share = ((100 * missing) / table.labels.length).toFixed(1)
  const text = [
    `${schema.name}  ${file}`,
    `${counted(schema, result.rows)}; ${labelsEach(result.labels)}, ${share} % missing`,
    `molecules: ${Molecules.droppedWords(dropped)}`,
    ...rows.slice(0, 20),
    ...(rows.length > 20 ? [`  and ${rows.length - 20} more (--format json names all)`] : []),
    `${result.distinct} distinct molecules, ${result.scaffolds} Murcko scaffolds (${result.chiralScaffolds} with handedness)`,
    `scaffold split: ${result.split.train} train, ${result.split.validation} validation, ${result.split.test} test`
  ]
  yield* Launch.print(options.format, text.join("\n"), result)
  yield* Effect.fromResult(Labels.trainable(schema.name, { rows: result.rows, dropped, train: split.train.length }))
}, Launch.hushed)
