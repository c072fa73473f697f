/** `plan.json`: the plan of each problem of a run's program. */
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as JsonFile from "../../files/JsonFile.ts"
import * as Plan from "../../runtime/plan/Plan.ts"
import type { RunFolder } from "./RunFolder.ts"

/** Plans by problem: what `plan --format json` prints too. */
export const Plans = Schema.Struct({ problems: Schema.Record(Schema.String, Plan.Plan) })
export type Plans = typeof Plans.Type

const fileOf = (folder: RunFolder) => Effect.map(Path.Path, (path) => path.join(folder.path, "plan.json"))

/** Writes a run's plans. */
export const write = Effect.fnUntraced(function* (folder: RunFolder, plans: Plans) {
  yield* JsonFile.write(yield* fileOf(folder), Plans, plans)
})

/** Reads a run's plans. */
export const read = Effect.fnUntraced(function* (folder: RunFolder) {
  return yield* JsonFile.read(yield* fileOf(folder), Plans)
})
