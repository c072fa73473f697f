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

const trialsOf = Effect.fnUntraced(function* (folder: RunFolder.RunFolder) {
  const trials = yield* RunFolder.trials(folder)
  return trials.length === 0 ? [""] : trials
})

const parquet = Effect.fnUntraced(function* (rows: Iterable<Values.Value>) {
  const { parquetWriteBuffer } = yield* Effect.tryPromise({
    try: () => import("hyparquet-writer"),
    catch: () =>
      new ExportError({ reason: "Parquet needs a package that is not installed: npm install hyparquet-writer@0.17.0" })
  })
  const columns: { readonly [column in keyof Values.Value]: Array<Values.Value[column]> } = {
    run: [],
    trial: [],
    step: [],
    level: [],
    tick: [],
    seconds: [],
    name: [],
    value: []
  }
  for (const row of rows) for (const name of Values.columns) (columns[name] as Array<unknown>).push(row[name])
  const buffer = parquetWriteBuffer({
    columnData: [
      { name: "run", data: columns.run, type: "STRING" },
      { name: "trial", data: columns.trial, type: "STRING" },
      { name: "step", data: columns.step, type: "INT32" },
      { name: "level", data: columns.level, type: "STRING" },
      { name: "tick", data: columns.tick, type: "INT32", nullable: true },
      { name: "seconds", data: columns.seconds, type: "DOUBLE", nullable: true },
      { name: "name", data: columns.name, type: "STRING" },
      { name: "value", data: columns.value, type: "DOUBLE" }
    ]
  })
  return new Uint8Array(buffer)
})

/** A name as one part of a path, whatever the name is. */
const part = (name: string): string => name.replace(/[^\w.-]/g, "_").replace(/^\.+/, "_")

/** A name that is not taken, and is from now on: two levels may be called alike but for what no path can hold. */
const distinct = (name: string, taken: Set<string>): string => {
  let free = name
  for (let i = 2; taken.has(free); i++) free = `${name}_${i}`
  taken.add(free)
  return free
}

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
  const trials = yield* trialsOf(folder)
  if (form !== "tensorboard") {
    const all = yield* Effect.forEach(trials, (trial) => Records.read(trialFolder(folder, trial)))
    const rows = function* () {
      for (const [i, records] of all.entries()) yield* Values.of(folder.id, trials[i]!, records)
    }
    const cells = function* () {
      for (const row of rows()) yield Values.columns.map((column) => row[column])
    }
    yield* JsonFile.replace(target, form === "csv" ? Csv.bytes(Values.columns, cells()) : yield* parquet(rows()))
    return target
  }
  for (const trial of trials) {
    const records = yield* Records.read(trialFolder(folder, trial))
    const head = records.find((record) => record.t === "head")
    const began = head === undefined ? 0 : DateTime.toEpochMillis(head.at) / 1000
    const files = new Map<string, TensorBoard.EventFile>()
    for (const value of Values.of(folder.id, trial, records)) {
      const known = files.get(value.level) ?? new TensorBoard.EventFile(began)
      files.set(value.level, known)
      known.add(value)
    }
    const taken = new Set<string>()
    for (const [level, events] of files) {
      // A folder for each level, so that each has its own clock as TensorBoard's step; what is of no level has one as well.
      const name = distinct(level === "" ? "run" : part(level), taken)
      const place = path.join(target, ...trial.split("/").flatMap((each) => (each === "" ? [] : [part(each)])), name)
      yield* Effect.mapError(fs.makeDirectory(place, { recursive: true }), JsonFile.because(place))
      const file = path.join(place, `events.out.tfevents.${Math.floor(began)}.${part(folder.id)}`)
      yield* JsonFile.replace(file, events.bytes())
    }
  }
  return target
})
