import * as Effect from "effect/Effect"
import { Dataset, JsonFile } from "tapweight"
import * as MoleculeNet from "./tables/MoleculeNet.ts"
import { TableSchema } from "./tables/TableSchema.ts"

/**
 * MoleculeNet's schema of this name or, where the name ends in .json, the one that this file holds. Fails with a `DataError` on
 * an unknown name, with a `RunFileError` on a file that holds no schema.
 */
export const named = Effect.fnUntraced(function* (name: string) {
  // A key that is no key of a schema, "Range" say, would otherwise go unheard.
  if (name.endsWith(".json"))
    return yield* JsonFile.read(name, TableSchema, { onExcessProperty: "error", errors: "all" })
  const found = MoleculeNet.named(name)
  if (found !== undefined) return found
  const known = MoleculeNet.all.map((schema) => schema.name).join(", ")
  const reason = `no data set of this name is known; known are ${known}, and any whose schema is in a .json file`
  return yield* new Dataset.DataError({ dataset: name, reason })
})
