/** Few labels out of many: nested in one another, and drawn by a seed. */
import { Seed } from "tapweight"
import type { Example, Kind } from "./Task.ts"

/**
 * Rows in an order of which every beginning has the classes' shares as nearly as can be: row r of the c of its class, in an order drawn
 * by the seed, stands at (r + ½) / c. Scores stand in an order drawn by the seed.
 */
export const order = (seed: Seed.Seed, kind: Kind, examples: ReadonlyArray<Example>): Int32Array => {
  const drawn = Seed.permutation(seed, examples.length)
  if (kind.type === "score") return drawn
  const counts = new Float64Array(kind.names.length)
  for (const { label } of examples) counts[label]!++
  const ranks = new Float64Array(kind.names.length)
  const places = Float64Array.from(drawn, (row) => {
    const { label } = examples[row]!
    return (ranks[label]!++ + 0.5) / counts[label]!
  })
  // Equal places keep the drawn order: sorting is stable.
  const sorted = Array.from(places.keys()).sort((a, b) => places[a]! - places[b]!)
  return Int32Array.from(sorted, (i) => drawn[i]!)
}

/**
 * `count` examples, in the order of the whole: more of them under the same seed are these and others. All where there are no more. Throws a
 * `RangeError` on less than one.
 */
export const few = (
  seed: Seed.Seed,
  kind: Kind,
  examples: ReadonlyArray<Example>,
  count: number
): ReadonlyArray<Example> => {
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`Subset.few: ${count} examples; give a whole number from 1`)
  return Array.from(order(seed, kind, examples).subarray(0, count).sort(), (row) => examples[row]!)
}
