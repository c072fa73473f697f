/** A sweep whose file is lost, from its run folders. */
import { existsSync, readdirSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as JsonFile from "../../../files/JsonFile.ts"
import * as Manifest from "../../../runs/folder/Manifest.ts"
import type { Entry, SweepFile } from "../../../runs/sweep/SweepFolder.ts"
import * as Config from "../../../runs/trial/Config.ts"
import * as Expected from "../../launch/Expected.ts"

/** An entry, and the program that it was run with. */
const entryIn = Effect.fnUntraced(function* (sweep: string, id: string) {
  const folder = { id, program: "", path: `${sweep}/${id}` }
  const config = yield* JsonFile.readSealed(`${folder.path}/config.json`, Config.Entries)
  const { program, seeds } = yield* Manifest.read(folder)
  const settings = Object.entries(config).flatMap(([key, { origin, value }]) =>
    origin === "-s" && key !== "seed" ? [[key, value] as const] : []
  )
  const levels = Expected.written({ seed: seeds.root, hash: Expected.hash(program.problems) })
  const entry: Entry = { id, settings: Object.fromEntries(settings), seed: seeds.root, levels }
  return { entry, program: Object.keys(program.files)[0] ?? "" }
})

/** The file that a sweep's run folders come from; undefined where there are none. A run that had not begun leaves no trace. */
export const recovered = Effect.fnUntraced(function* (sweep: string, name: string) {
  const ids = existsSync(sweep) ? readdirSync(sweep).filter((id) => /^[0-9a-f]{20}$/.test(id)) : []
  const begun = ids.filter((id) => existsSync(`${sweep}/${id}/manifest.json`))
  if (begun.length === 0) return undefined
  const all = yield* Effect.forEach(begun, (id) => entryIn(sweep, id))
  const file: SweepFile = { version: 1, name, program: all[0]!.program, entries: all.map(({ entry }) => entry) }
  return file
})
