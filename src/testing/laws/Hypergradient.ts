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

/** Differences that change by more than this at half the radius could agree with anything. */
const mostNoise = 0.2

/**
 * Every level's hypergradient is what its estimators claim: central differences of the problem solved again for implicit
 * ones, of the last updates for unrolled ones. A gradient that does not follow from the loss, an estimator that is too
 * coarse, or levels below that are not solved break it; no gradient at all does as well, nor has a problem without responses
 * anything to obey it with.
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
      const sweeps = plan.sweeps.filter(({ hops }) => hops.length > 0)
      if (sweeps.length === 0)
        return "no level's gradient contains the response of another: there is nothing to compare"
      for (const { level } of sweeps) {
        const found = yield* Verify.verify(problem, { ...verifying, seed, level })
        if (found.silent.length > 0)
          return `no gradient of '${level}' arrives at ${found.silent.map((at) => `'${at}'`).join(", ")}`
        if (!(found.noise <= mostNoise))
          return (
            `differences of the loss of '${level}' say nothing: at half the radius they change by ` +
            `${found.noise.toExponential(1)} of their size. Give another radius, or the levels below more solveTicks`
          )
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
