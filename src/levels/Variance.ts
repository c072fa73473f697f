import { whole } from "../dsl/errors/Numbers.ts"
import type { Variance } from "../dsl/Variance.ts"
import * as Rate from "./Rate.ts"

export { describe, type Schedule, type Variance } from "../dsl/Variance.ts"

/**
 * SAGA (Defazio, Bach and Lacoste-Julien, NeurIPS 2014), as SABA has it (Dagréou et al., NeurIPS 2022): what every batch of a finite sum
 * last said is kept in a table, from zeros, and an update takes what its batch says now, less what it said then, and the mean of the
 * table. At rest no noise is left, at constant rates. The table holds as many directions as the data has batches.
 *
 * Data are `Dataset.finite`, for the level and for those whose solutions it differentiates; these take `Solver.descent(…, { hands: "before" })`
 * of one step, whose every term is of one batch.
 *
 * ```ts
 * Variance.describe(Variance.saga) // => "saga"
 * ```
 */
export const saga: Variance = { _tag: "Saga" }

/**
 * SARAH (Nguyen et al., ICML 2017), or SPIDER (Fang et al., NeurIPS 2018): an update adds to the last direction what its batch says has
 * changed since then, two evaluations an update; every `period` updates, and at the first, the direction is the mean over all batches,
 * which `Dataset.finite` has. Throws a `RangeError` unless `period` is a whole number of at least 1.
 *
 * ```ts
 * Variance.describe(Variance.sarah({ period: 32 })) // => "sarah(32)"
 * ```
 */
export const sarah = (options: { readonly period: number }): Variance => {
  whole("Variance.sarah: period", options.period, 1)
  return { _tag: "Sarah", period: options.period }
}

/**
 * STORM (Cutkosky and Orabona, NeurIPS 2019): an update takes what its batch says, and (1 − η) of the last direction corrected by what the
 * same batch says has changed since then: two evaluations an update, on any data. `rate` is η, 1 being no reduction; the clock of its
 * schedule counts the level's updates. Throws a `RangeError` where a number is not above 0 and at most 1.
 *
 * ```ts
 * Variance.describe(Variance.storm(0.5)) // => "storm(0.5)"
 * Variance.storm(0) // => throws "above 0 and at most 1"
 * ```
 */
export const storm = (rate: number | Rate.Rate): Variance => {
  if (typeof rate === "number" && !(rate > 0 && rate <= 1)) {
    throw new RangeError(`Variance.storm: rate is ${rate}; give a number above 0 and at most 1`)
  }
  return { _tag: "Storm", rate: Rate.from(rate) }
}
