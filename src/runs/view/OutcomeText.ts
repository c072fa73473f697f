/** What people read of the variables that a run ended with. */
import * as Tree from "../../dsl/values/Tree.ts"
import type { HostVars } from "../../runtime/run/Run.ts"
import { five as number } from "./Numbers.ts"
import type { Record } from "../folder/Records.ts"
import * as TextTable from "./TextTable.ts"

const shown = 64

/** Variables that a person could read: those that are one short array. All of them are in final.safetensors. */
export const short = (vars: HostVars): { readonly [variable: string]: ReadonlyArray<number> } =>
  Object.fromEntries(
    Tree.hostEntries(vars).flatMap(([path, { data }]) =>
      path in vars && data.length <= shown ? [[path, Array.from(data)] as const] : []
    )
  )

/** Tradeoff weights by level as the last records have them, each by its name: what was shown while the run went on. */
export const lambdas = (
  records: ReadonlyArray<Record>
): { readonly [level: string]: { readonly [name: string]: number } } =>
  Object.fromEntries(
    records.flatMap((record) =>
      record.t === "lambda"
        ? [[record.level, Object.fromEntries(record.lambda.map((weight, i) => [record.names[i] ?? `${i}`, weight]))]]
        : []
    )
  )

/** Most numbers of several arrays that are shown by path. */
const few = 16

/** Many numbers in a few; a few numbers by path. */
const summary = (tree: Tree.HostTree): string => {
  const entries = Tree.hostEntries(tree)
  const arrays = entries.map(([, { data }]) => data)
  const count = arrays.reduce((sum, { length }) => sum + length, 0)
  if (count === 0) return "no numbers"
  if (arrays.length > 1 && count <= few)
    return entries.map(([path, { data }]) => `${path} ${Array.from(data, number).join(" ")}`).join("  ")
  let [sum, least, most] = [0, Infinity, -Infinity]
  for (const data of arrays) {
    for (const value of data) {
      sum += value
      least = Math.min(least, value)
      most = Math.max(most, value)
    }
  }
  const mean = sum / count
  let squares = 0
  for (const data of arrays) for (const value of data) squares += (value - mean) ** 2
  const deviation = Math.sqrt(squares / Math.max(1, count - 1))
  const tensors = arrays.length === 1 ? "" : ` in ${arrays.length} tensors`
  return `${count} numbers${tensors}: mean ${number(mean)}, deviation ${number(deviation)}, from ${number(least)} to ${number(most)}`
}

/** A line for each variable, in full where it is short, and a line for each level's tradeoff weights. */
export const text = (vars: HostVars, lambda: ReturnType<typeof lambdas>): string => {
  const small = short(vars)
  return TextTable.words([
    ...Object.entries(vars).map(([name, value]) => [name, small[name]?.map(number).join(" ") ?? summary(value)]),
    ...Object.entries(lambda).map(([level, weights]) => [
      "λ",
      `${Object.entries(weights)
        .map(([name, weight]) => `${name} ${weight.toFixed(3)}`)
        .join("  ")}  (${level}, at its last update)`
    ])
  ])
}
