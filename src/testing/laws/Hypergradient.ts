import * as Effect from "effect/Effect"
import fc from "fast-check"
import * as Plan from "../../runtime/plan/Plan.ts"
import * as Verify from "../../runtime/run/Verify.ts"
import * as Property from "../Property.ts"

/** How the hypergradient is compared, beside how cases are drawn: see `Verify.Options`. */
export interface Options extends Property.Options, Omit<Verify.Options, "seed" | "level"> {
  /** The error that is allowed, relative to the differences; 0.02 where absent. What the differences are worth is added. */
  readonly tolerance?: number
}

/**
 * Every level's hypergradient is what its estimators claim: central differences of the problem solved again for implicit
 * ones, of the last updates for unrolled ones. A gradient that does not follow from the loss, an estimator that is too
 * coarse, or levels below that are not solved break it; no gradient at all does as well.
 *
 * ```ts
 * yield* Law.hypergradient(problem, { solveTicks: 500, tolerance: 0.01 })
 * ```
 */
export const hypergradient = ((problem, options: Options = {}) => {
  const { cases: _cases, path: _path, ticks: _ticks, tolerance = 0.02, ...verifying } = options
  return Property.holds("hypergradient", fc.record({ seed: Property.seeds }), options, ({ seed }) =>
    Effect.gen(function* () {
      const plan = yield* Effect.fromResult(Plan.make(problem))
      for (const { hops, level } of plan.sweeps) {
        if (hops.length === 0) continue
        const found = yield* Verify.verify(problem, { ...verifying, seed, level })
        if (found.silent.length > 0)
          return `no gradient of '${level}' arrives at ${found.silent.map((at) => `'${at}'`).join(", ")}`
        if (!(found.error <= tolerance + found.noise))
          return (
            `the gradient of '${level}' is off by ${found.error.toExponential(1)} of the differences, which are good ` +
            `to ${found.noise.toExponential(1)} (cosine ${found.cosine.toFixed(3)}, scale ${found.scale.toFixed(3)})`
          )
      }
      return undefined
    })
  )
}) satisfies Property.Law
