import * as Effect from "effect/Effect"
import { DataError, type Dataset, type HostBatch } from "../../dsl/Dataset.ts"
import type { NdArray } from "../../dsl/values/NdArray.ts"
import type { Problem } from "../../dsl/Problem.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import type { Host, Tree } from "../../dsl/values/Tree.ts"
import type { Var } from "../../dsl/Var.ts"
import type { Batches } from "../step/Direction.ts"
import type * as Moment from "../plan/Moment.ts"
import * as Wiring from "../plan/Wiring.ts"
import * as Present from "./Present.ts"

const form = (field: { readonly dtype: string; readonly shape: ReadonlyArray<number> }): string =>
  `${field.dtype}[${field.shape.join(", ")}]`

type Field = Parameters<typeof form>[0]
const alike = (a: Field, b: Field): boolean =>
  a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((n, axis) => n === b.shape[axis])

const mismatch = (fields: ReadonlyArray<readonly [string, Field]>, batch: HostBatch): string | undefined => {
  for (const [name, field] of fields) {
    const found = batch[name] as NdArray | undefined
    if (found === undefined) return `lacks field '${name}', declared as ${form(field)}`
    if (!alike(found, field)) return `has ${form(found)} in field '${name}', declared as ${form(field)}`
  }
  const extra = Object.keys(batch).find((key) => !fields.some(([name]) => name === key))
  return extra === undefined ? undefined : `has a field '${extra}' that is not declared`
}

/** Opened datasets: batches by level and index, each held against its dataset's declared fields. */
export type Feed<E> = (indices: {
  readonly [level: string]: ReadonlyArray<Moment.BatchIndex>
}) => Effect.Effect<Host<Batches>, E | DataError>

/** Opens the dataset of every level. Each level draws from a seed of its own, folded from the run's; from one of
 * the dataset's where that is shared. */
export const open = Effect.fnUntraced(function* <V extends Var.Any, E, R>(problem: Problem<V, E, R>, seed: Seed.Seed) {
  const samplers = new Map<string, (index: number) => Effect.Effect<HostBatch, E | DataError>>()
  for (const level of Wiring.definitions(problem)) {
    // A definition forgets how its data fails and what that needs; the problem's type knows it of all together.
    const dataset = level.data as Dataset<Tree, E, R>
    const sample = yield* dataset.open
    const own =
      dataset.draws === undefined
        ? Seed.fold(Seed.fold(seed, "data"), level.name)
        : Seed.fold(Seed.fold(seed, "shared data"), dataset.draws)
    const fields = Object.entries(dataset.fields)
    let accepted: HostBatch | undefined
    const checked = (index: number, batch: HostBatch): Effect.Effect<HostBatch, DataError> => {
      const reason = batch === accepted ? undefined : mismatch(fields, batch)
      if (reason !== undefined)
        return Effect.fail(
          new DataError({ dataset: dataset.name, reason: `batch ${index} ${reason}: change one of the two` })
        )
      accepted = batch
      return Effect.succeed(batch)
    }
    samplers.set(level.name, (index) => {
      const drawn = sample(own, index)
      const batch = Present.valueOf(drawn)
      return batch === undefined ? Effect.flatMap(drawn, (found) => checked(index, found)) : checked(index, batch)
    })
  }
  type Drawn = HostBatch | ReadonlyArray<HostBatch>
  const draw = (level: string, index: Moment.BatchIndex): Effect.Effect<Drawn, E | DataError> => {
    const sample = samplers.get(level)!
    return typeof index === "number" ? sample(index) : Present.forEach(index, sample)
  }
  const feed: Feed<E> = (indices) => {
    const levels = Object.keys(indices)
    const drawn = Present.forEach(levels, (level) => Present.forEach(indices[level]!, (index) => draw(level, index)))
    const named = (batches: ReadonlyArray<ReadonlyArray<Drawn>>): Host<Batches> =>
      Object.fromEntries(levels.map((level, i) => [level, batches[i]!]))
    const present = Present.valueOf(drawn)
    return present === undefined ? Effect.map(drawn, named) : Effect.succeed(named(present))
  }
  return feed
})
