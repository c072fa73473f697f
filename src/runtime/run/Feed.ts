import * as Effect from "effect/Effect"
import { DataError, type Dataset, type HostBatch } from "../../dsl/Dataset.ts"
import type { NdArray } from "../../dsl/NdArray.ts"
import type { Problem } from "../../dsl/Problem.ts"
import * as Seed from "../../dsl/Seed.ts"
import type { Host, Tree } from "../../dsl/Tree.ts"
import type { Var } from "../../dsl/Var.ts"
import type { Batches } from "../step/Direction.ts"
import type * as Moment from "../plan/Moment.ts"
import * as Wiring from "../plan/Wiring.ts"

const form = (field: { readonly dtype: string; readonly shape: ReadonlyArray<number> }): string =>
  `${field.dtype}[${field.shape.join(", ")}]`

const mismatch = (dataset: Dataset.Any, batch: HostBatch): string | undefined => {
  for (const [name, field] of Object.entries(dataset.fields)) {
    const found = batch[name] as NdArray | undefined
    if (found === undefined) return `lacks field '${name}', declared as ${form(field)}`
    if (form(found) !== form(field)) return `has ${form(found)} in field '${name}', declared as ${form(field)}`
  }
  const extra = Object.keys(batch).find((name) => !(name in dataset.fields))
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
    samplers.set(level.name, (index) =>
      Effect.flatMap(sample(own, index), (batch) => {
        const reason = mismatch(dataset, batch)
        return reason === undefined
          ? Effect.succeed(batch)
          : Effect.fail(
              new DataError({ dataset: dataset.name, reason: `batch ${index} ${reason}: change one of the two` })
            )
      })
    )
  }
  type Drawn = HostBatch | ReadonlyArray<HostBatch>
  const draw = (level: string, index: Moment.BatchIndex): Effect.Effect<Drawn, E | DataError> => {
    const sample = samplers.get(level)!
    return typeof index === "number" ? sample(index) : Effect.forEach(index, (each) => sample(each))
  }
  const feed: Feed<E> = (indices) =>
    Effect.map(
      Effect.forEach(Object.entries(indices), ([level, wanted]) =>
        Effect.map(
          Effect.forEach(wanted, (index) => draw(level, index)),
          (batches) => [level, batches] as const
        )
      ),
      (entries) => Object.fromEntries(entries)
    )
  return feed
})
