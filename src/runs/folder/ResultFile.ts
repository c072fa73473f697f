/** `result.json`: what a run that is done said. A folder that has one is of a run that is done. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as JsonFile from "../../files/JsonFile.ts"
import type { RunFolder } from "./RunFolder.ts"
import { Score } from "./Score.ts"

/** A table that says more than scores do, such as what methods cost beside a paper's figures. */
export const Table = Schema.Struct({
  title: Schema.String,
  columns: Schema.Array(Schema.String),
  rows: Schema.Array(Schema.Array(Schema.String))
})
export type Table = typeof Table.Type

/** What is stored: numbers for scripts, the text for people, and scores that `compare` reads. */
export const ResultFile = Schema.Struct({
  program: Schema.String,
  result: Schema.Json,
  text: Schema.String,
  scores: Schema.optionalKey(Schema.Array(Score)),
  tables: Schema.optionalKey(Schema.Array(Table))
})
export type ResultFile = typeof ResultFile.Type

const fileOf = (folder: RunFolder) => Effect.map(Path.Path, (path) => path.join(folder.path, "result.json"))

/** Writes it: the last thing that a run does. Of two that do the same run the second has no part in its result. */
export const write = Effect.fnUntraced(function* (folder: RunFolder, result: ResultFile) {
  const file = yield* fileOf(folder)
  if (yield* JsonFile.createSealed(file, ResultFile, result)) return
  const reason = "another process has written it since this one began: it stays"
  return yield* new JsonFile.RunFileError({ file, reason })
})

/** Reads it; `undefined` of a run that is not done. */
export const read = Effect.fnUntraced(function* (folder: RunFolder) {
  const file = yield* fileOf(folder)
  const exists = (yield* FileSystem.FileSystem).exists(file)
  if (!(yield* Effect.mapError(exists, JsonFile.because(file)))) return undefined
  return yield* JsonFile.readSealed(file, ResultFile)
})
