/** How a level's direction is estimated from batches, beside what one batch says of it. */
import type * as tf from "@tensorflow/tfjs-core"

/** A number that follows a clock, the updates that its level has made: what `Rate` makes. */
export interface Schedule {
  readonly name: string
  readonly at: (clock: tf.Scalar) => tf.Scalar
}

/**
 * The estimate of a level's direction D, its variable's and that of each adjoint it keeps, from batches ξ:
 * - `Saga`: what each batch of a finite sum last said is kept, and the estimate is D(now; ξ) − last(ξ) + the mean of what is kept;
 * - `Sarah`: d ← d + D(now; ξ) − D(before; ξ), and every `period` updates the mean over all batches of a finite sum;
 * - `Storm`: d ← D(now; ξ) + (1 − η) (d − D(before; ξ)), with η = `rate`.
 */
export type Variance =
  | { readonly _tag: "Saga" }
  | { readonly _tag: "Sarah"; readonly period: number }
  | { readonly _tag: "Storm"; readonly rate: Schedule }

/** One line that names the estimate, as plans print it. */
export const describe = (variance: Variance): string => {
  switch (variance._tag) {
    case "Saga":
      return "saga"
    case "Sarah":
      return `sarah(${variance.period})`
    case "Storm":
      return `storm(${variance.rate.name})`
  }
}
