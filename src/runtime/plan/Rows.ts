/** The part of a batch that curvature products see: which fields it cuts, and where it cannot be cut. */
import * as Result from "effect/Result"
import type { Fields } from "../../dsl/Dataset.ts"
import type { Rows } from "../../dsl/Hypergradient.ts"
import type { Definition } from "../../dsl/Level.ts"
import { defect } from "./Defects.ts"
import type { Sweep } from "./Sweep.ts"
import type { WiringError } from "./Wiring.ts"

/** By field that is cut: how many of its rows are left. */
export type Counts = { readonly [field: string]: number }

const names = (fields: ReadonlyArray<string>): string => fields.map((name) => `'${name}'`).join(", ")

/** How many rows of each field are left, or why they cannot be told. */
export const counts = (fields: Fields, { fields: cut, fraction }: Rows): Result.Result<Counts, string> => {
  const has = `it has ${Object.keys(fields).length === 0 ? "none" : names(Object.keys(fields))}`
  const chosen = cut ?? Object.keys(fields).filter((name) => fields[name]!.shape.length > 0)
  const unknown = chosen.find((name) => !Object.hasOwn(fields, name))
  if (unknown !== undefined) return Result.fail(`its data has no field '${unknown}' (${has})`)
  const single = chosen.filter((name) => fields[name]!.shape.length === 0)
  if (single.length > 0) return Result.fail(`its field ${names(single)} is one number, which has no rows`)
  const first = chosen[0]
  if (first === undefined) return Result.fail(`its data has no field with rows (${has})`)
  const rows = fields[first]!.shape[0]!
  const odd = chosen.find((name) => fields[name]!.shape[0] !== rows)
  if (odd !== undefined) {
    return Result.fail(`its field '${first}' has ${rows} rows and '${odd}' has ${fields[odd]!.shape[0]}`)
  }
  const left = Math.ceil(fraction * rows)
  return Result.succeed(Object.fromEntries(chosen.map((name) => [name, left])))
}

/** The first level below a sweep that is to be differentiated on rows which its data does not have. */
export const uncut = (levels: ReadonlyArray<Definition>, sweeps: Iterable<Sweep>): WiringError | undefined => {
  const swept = new Set([...sweeps].flatMap(({ hops }) => hops.map((hop) => hop.level)))
  for (const { data, hypergradient, name } of levels) {
    if (!swept.has(name) || hypergradient === undefined || hypergradient._tag === "Detached") continue
    const rows = "rows" in hypergradient ? hypergradient.rows : undefined
    const found = rows === undefined ? undefined : counts(data.fields, rows)
    if (found === undefined || Result.isSuccess(found)) continue
    return defect(
      "Estimator",
      name,
      `it is to be differentiated on ${rows!.fraction} of its rows, but ${found.failure}`,
      "list the fields that have a row for each example, rows: { fraction, fields }, or leave rows out"
    )
  }
  return undefined
}
