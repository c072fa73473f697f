import { hash } from "node:crypto"
import { dirname } from "node:path"
import * as Effect from "effect/Effect"
import { Dataset, JsonFile } from "tapweight"
import * as Input from "../../common/Input.ts"
import * as Benchmarks from "./Benchmarks.ts"
import * as Parting from "./Parting.ts"
import * as Read from "./Read.ts"
import type { Task } from "./Task.ts"
import { ofOwn, OwnTask, type TaskSchema } from "./TaskSchema.ts"

/** A task's schema and the folder that its files are named from. */
export interface Place {
  readonly schema: TaskSchema
  readonly data: string
}

/**
 * A known task by its name, its files in the folder of data; or one's own by a .json file, its files beside that. Fails with a `DataError`
 * on an unknown name, with a `RunFileError` on a file that holds no schema.
 */
export const named = Effect.fnUntraced(function* (data: string, name: string) {
  if (name.endsWith(".json")) {
    // A key that is no key of a schema, "Label" say, would otherwise go unheard.
    const own = yield* JsonFile.read(name, OwnTask, { onExcessProperty: "error", errors: "all" })
    return { schema: ofOwn(own), data: dirname(name) } satisfies Place as Place
  }
  const schema = Benchmarks.named(name)
  if (schema !== undefined) return { schema, data } satisfies Place as Place
  const known = Benchmarks.all.map((schema) => schema.name).join(", ")
  const reason = `no task of this name is known; known are ${known}, and any whose schema is in a .json file`
  return yield* new Dataset.DataError({ dataset: name, reason })
})

/** The hash of what a schema reads its files by: that may change, and the files not. */
const readBy = ({ forms, labels, range }: TaskSchema): string =>
  hash("sha256", JSON.stringify([forms, labels ?? null, range ?? null])).slice(0, 16)

/** What the manifest says of each part's files. */
const inputsOf = ({ parts, schema }: Read.Loaded, task: Pick<Task, "summary">) =>
  Effect.forEach(["train", "validation", "test"] as const, (part) => {
    const own = parts[part]
    if (own === undefined) return Effect.succeed([])
    const dropped = own.incomplete === 0 ? [] : [{ reason: "incomplete", rows: own.incomplete }]
    const input = Input.ofFiles({
      name: `${schema.name} ${part}`,
      version: `schema ${readBy(schema)}`,
      files: own.sources,
      licence: schema.licence,
      read: own.examples.length + own.incomplete,
      dropped,
      split: { rule: task.summary, rows: { [part]: own.examples.length } }
    })
    return Effect.map(input, (one) => [one])
  }).pipe(Effect.map((inputs) => inputs.flat()))

/**
 * The task of a schema, read and parted. Fails with a `TableError` where a file is missing or is not as the schema says, and with a
 * `DataError` where a part is empty.
 */
export const make = Effect.fnUntraced(function* ({ data, schema }: Place, options: Parting.Options) {
  const loaded = yield* Read.read(data, schema)
  const task = yield* Parting.make(loaded, options)
  return { ...task, inputs: yield* inputsOf(loaded, task) } satisfies Task as Task
})
