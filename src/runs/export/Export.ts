/** A run in forms that other programs read. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as JsonFile from "../../files/JsonFile.ts"
import * as Manifest from "../folder/Manifest.ts"
import * as Records from "../folder/Records.ts"
import * as ResultFile from "../folder/ResultFile.ts"
import * as RunFolder from "../folder/RunFolder.ts"
import * as Config from "../trial/Config.ts"
import { trialFolder } from "../trial/Session.ts"
import * as Card from "./Card.ts"
import * as Csv from "./Csv.ts"
import * as TensorBoard from "./TensorBoard.ts"
import * as Values from "./Values.ts"

/** A form that a run cannot be given in, as it is. */
export class ExportError extends Schema.TaggedError<ExportError>()("ExportError", { reason: Schema.String }) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    return this.reason
  }
}

/** `csv` and `parquet`: every number one a row; `tensorboard`: a folder of event files; `card`: a model card. */
export type Form = "csv" | "parquet" | "tensorboard" | "card"

const valuesOf = Effect.fnUntraced(function* (folder: RunFolder.RunFolder) {
  const trials = yield* RunFolder.trials(folder)
  const all = yield* Effect.forEach(trials.length === 0 ? [""] : trials, (trial) =>
    Effect.map(Records.read(trialFolder(folder, trial)), (records) => ({
      trial,
      began:
        records.flatMap((record) => (record.t === "head" ? [DateTime.toEpochMillis(record.at) / 1000] : []))[0] ?? 0,
      values: Values.of(folder.id, trial, records)
    }))
  )
  return all
})

const parquet = Effect.fnUntraced(function* (rows: ReadonlyArray<Values.Value>) {
  const { parquetWriteBuffer } = yield* Effect.tryPromise({
    try: () => import("hyparquet-writer"),
    catch: () =>
      new ExportError({ reason: "Parquet needs a package that is not installed: npm install hyparquet-writer@0.17.0" })
  })
  const column = <K extends keyof Values.Value>(name: K) => rows.map((row) => row[name])
  const buffer = parquetWriteBuffer({
    columnData: [
      { name: "run", data: column("run"), type: "STRING" },
      { name: "trial", data: column("trial"), type: "STRING" },
      { name: "step", data: column("step"), type: "INT32" },
      { name: "level", data: column("level"), type: "STRING" },
      { name: "tick", data: column("tick"), type: "INT32", nullable: true },
      { name: "seconds", data: column("seconds"), type: "DOUBLE", nullable: true },
      { name: "name", data: column("name"), type: "STRING" },
      { name: "value", data: column("value"), type: "DOUBLE" }
    ]
  })
  return new Uint8Array(buffer)
})

/** A name as one part of a path, whatever the name is. */
const part = (name: string): string => name.replace(/[^\w.-]/g, "_").replace(/^\.+/, "_")

/** Writes a run in a form, into its folder where no other place is named. Gives the file's name, or the folder's. */
export const write = Effect.fnUntraced(function* (
  folder: RunFolder.RunFolder,
  form: Form,
  output?: string | undefined
) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const names = { csv: "metrics.csv", parquet: "metrics.parquet", tensorboard: "tensorboard", card: "README.md" }
  const target = output ?? path.join(folder.path, names[form])
  if (form === "card") {
    const result = yield* ResultFile.read(folder)
    if (result === undefined)
      return yield* new ExportError({ reason: `run ${folder.id} is not done: a card is of what it came to` })
    const entries = yield* JsonFile.readSealed(path.join(folder.path, "config.json"), Config.Entries)
    const text = Card.text(yield* Manifest.read(folder), entries, result)
    yield* JsonFile.replace(target, new TextEncoder().encode(text))
    return target
  }
  const trials = yield* valuesOf(folder)
  const rows = trials.flatMap(({ values }) => values)
  if (form === "csv") {
    const text = Csv.text(
      Values.columns,
      rows.map((row) => Values.columns.map((column) => row[column]))
    )
    yield* JsonFile.replace(target, new TextEncoder().encode(text))
    return target
  }
  if (form === "parquet") {
    yield* JsonFile.replace(target, yield* parquet(rows))
    return target
  }
  for (const { began, trial, values } of trials) {
    for (const level of new Set(values.map((value) => value.level))) {
      // A folder for each level, so that each has its own clock as TensorBoard's step.
      const place = path.join(
        target,
        ...trial
          .split("/")
          .filter((name) => name !== "")
          .map(part),
        part(level)
      )
      yield* Effect.mapError(fs.makeDirectory(place, { recursive: true }), JsonFile.because(place))
      const own = values.filter((value) => value.level === level)
      const file = path.join(place, `events.out.tfevents.${Math.floor(began)}.${part(folder.id)}`)
      yield* JsonFile.replace(file, TensorBoard.file(own, began))
    }
  }
  return target
})
