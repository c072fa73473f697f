/** `report.html`: a run as a page, beside what it is made from. */
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as JsonFile from "../../files/JsonFile.ts"
import type { RunFolder } from "../folder/RunFolder.ts"
import type { Several } from "./Report.ts"

/** Writes a run's page, into its folder where no other file is named, and gives the file's name. */
export const write = Effect.fnUntraced(function* (folder: RunFolder, file?: string | undefined) {
  const path = yield* Path.Path
  const target = file ?? path.join(folder.path, "report.html")
  // Only where a page is written: reading what draws its pictures takes a while.
  const { make } = yield* Effect.promise(() => import("./Report.ts"))
  yield* JsonFile.replace(target, new TextEncoder().encode(yield* make(folder)))
  return target
})

/** Writes the page of several runs, and gives the file's name. */
export const writeSeveral = Effect.fnUntraced(function* (all: Several, file: string) {
  const { several } = yield* Effect.promise(() => import("./Report.ts"))
  yield* JsonFile.replace(file, new TextEncoder().encode(yield* several(all)))
  return file
})
