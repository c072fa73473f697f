/** Tasks out of files. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Split } from "tapweight"
import { TableError } from "../../common/tables/TableError.ts"
import * as Examples from "./Examples.ts"
import * as Files from "./Files.ts"
import * as Rows from "./Rows.ts"
import type { Example, Kind } from "./Task.ts"
import { type Form, type Layout, spelled, type TaskSchema } from "./TaskSchema.ts"
import { namesOf } from "../../common/tables/Column.ts"

/** A part as its files have it. */
export interface PartRead {
  /** The files that its rows are from. */
  readonly sources: ReadonlyArray<string>
  readonly examples: ReadonlyArray<Example>
  /** Rows that were left out since they lack a cell, a text or a label. */
  readonly incomplete: number
}

/** A task as its files have it: parts that have no file of their own are not there. */
export interface Loaded {
  readonly schema: TaskSchema
  readonly kind: Kind
  readonly parts: { readonly train: PartRead } & { readonly [P in Exclude<Split.Part, "train">]?: PartRead }
}

/** A form with the files of its parts. */
interface Located {
  readonly form: Form
  readonly files: { readonly [P in Split.Part]?: ReadonlyArray<string> }
}

/** The first form whose training files are there, and those of the other parts that it declares. */
const locate = Effect.fnUntraced(function* (data: string, schema: TaskSchema) {
  for (const form of schema.forms) {
    for (const folder of Files.foldersOf(data, form)) {
      const train = Files.find(folder, form.files.train)
      if (train instanceof TableError) return yield* train
      if (train === undefined) continue
      const files: { [P in Split.Part]?: ReadonlyArray<string> } = { train }
      for (const part of ["validation", "test"] as const) {
        const declared = form.files[part]
        if (declared === undefined) continue
        const own = Files.find(folder, declared)
        if (own instanceof TableError) return yield* own
        if (own !== undefined) {
          files[part] = own
          continue
        }
        const reason = `the ${part} part of '${schema.name}' is ${Files.said(declared)}, and it is not beside ${train.join(", ")}`
        return yield* new TableError({ file: folder, problem: "missing", reason })
      }
      return { form, files } satisfies Located as Located
    }
  }
  const looked = schema.forms.flatMap((form) =>
    Files.foldersOf(data, form).map((folder) => `${folder}: ${Files.said(form.files.train)}`)
  )
  const reason = `the training part of '${schema.name}' is not here; looked for ${looked.join("; ")} (.tsv, .csv, .jsonl, .parquet, gzipped or not)`
  return yield* new TableError({ file: data, problem: "missing", reason })
})

const readPart = Effect.fnUntraced(function* (schema: TaskSchema, layout: Layout, files: ReadonlyArray<string>) {
  const label = Examples.labelOf(schema, layout)
  const known = new Set((layout.labels ?? schema.labels ?? []).flatMap(namesOf).map(spelled))
  const { incomplete: most = 0 } = layout
  const examples: Array<Example> = []
  const sources = new Set<string>()
  let incomplete = 0
  const take = (row: Rows.Row): TableError | undefined => {
    sources.add(row.file)
    const example = Examples.exampleOf(row, label)
    if (example instanceof TableError) return example
    if (example !== "incomplete") {
      examples.push(example)
      return undefined
    }
    incomplete++
    if (incomplete <= most) return undefined
    const allowed = most === 0 ? "" : `, and ${most} such rows may be ('incomplete')`
    const reason = `the row lacks a cell, its text or its label${allowed}: mend or remove it${most === 0 ? ", or let 'incomplete' say how many rows may" : ""}`
    return new TableError({ file: row.file, problem: "row", ...row.at, reason })
  }
  for (const file of files) {
    const format = layout.format ?? Files.formatOf(file)
    if (format === undefined) {
      const reason =
        "its name does not tell its format: let it end in .tsv, .csv, .jsonl or .parquet, or name the 'format'"
      return yield* new TableError({ file, problem: "unreadable", reason })
    }
    yield* Stream.runForEach(
      Rows.rows(file, format, layout, (name) => known.has(spelled(name))),
      (rows) => {
        for (const row of rows) {
          const error = take(row)
          if (error !== undefined) return Effect.fail(error)
        }
        return Effect.void
      }
    )
  }
  if (examples.length === 0)
    return yield* new TableError({ file: files.join(", "), problem: "empty", reason: "there is no row in it" })
  return { sources: [...sources], examples: Examples.placed(examples), incomplete } satisfies PartRead as PartRead
})

/**
 * Reads the parts of a task in a folder of data. Fails with a `TableError` that names the file and the line where a part is missing or
 * is not as its schema says.
 */
export const read = Effect.fnUntraced(function* (data: string, schema: TaskSchema) {
  const { files, form } = yield* locate(data, schema)
  const of = (part: Split.Part, own: ReadonlyArray<string>) =>
    readPart(schema, { ...form, ...form.ofPart?.[part] }, own)
  const train = yield* of("train", files.train!)
  const rest = {
    ...(files.validation === undefined ? {} : { validation: yield* of("validation", files.validation) }),
    ...(files.test === undefined ? {} : { test: yield* of("test", files.test) })
  }
  return { schema, kind: Examples.kindOf(schema), parts: { train, ...rest } } satisfies Loaded as Loaded
})
