/** Arbitraries for fast-check: wirings, problems with and without closed-form solutions, batches. */
import fc from "fast-check"
import type * as Dataset from "../dsl/Dataset.ts"
import * as Hypergradient from "../dsl/Hypergradient.ts"
import * as NdArray from "../dsl/values/NdArray.ts"
import type { Problem } from "../dsl/Problem.ts"
import * as Seed from "../dsl/values/Seed.ts"
import type { Var } from "../dsl/Var.ts"
import * as Product from "../levels/Product.ts"
import * as Solver from "../levels/Solver.ts"
import type { Wiring } from "../runtime/plan/Wiring.ts"
import * as Programs from "./Programs.ts"
import * as Quadratic from "./Quadratic.ts"
import * as Wirings from "./Wirings.ts"

const seeds = fc.nat({ max: 2 ** 31 - 1 })

/**
 * Any wiring over at most so many levels, 6 where absent: mostly acyclic, often wrong somewhere. For whatever reads plans.
 *
 * ```ts
 * fc.assert(fc.property(Arbitrary.wiring(), (wiring) => Result.isResult(Plan.fromWiring(wiring))))
 * ```
 */
export const wiring = (options: { readonly levels?: number } = {}): fc.Arbitrary<Wiring> =>
  fc
    .record({ levels: fc.integer({ min: 1, max: options.levels ?? 6 }), seed: seeds })
    .map(({ levels, seed }) => Wirings.random(Seed.make(seed), levels))

/** What a quadratic problem is drawn from: printed in place of the problem where a property fails. */
export interface QuadraticCase {
  /** Levels below the top. */
  readonly levels: number
  readonly seed: number
}

/**
 * Quadratic problems over random DAGs, whose solutions and hypergradients are known in closed form. All levels have one
 * estimator; conjugate gradients and exact products where none is given, which need the compiled engine.
 *
 * ```ts
 * const exactly = Arbitrary.quadratic({ levels: 3 })
 * fc.sample(exactly, 1)[0]!.gradient // what the swept gradient of the top must be
 * ```
 */
export const quadratic = (
  options: { readonly levels?: number; readonly estimator?: Hypergradient.Hypergradient } = {}
): fc.Arbitrary<Quadratic.Quadratic & QuadraticCase> => {
  const estimator =
    options.estimator ??
    Hypergradient.implicit({ solver: Solver.conjugateGradient({ iterations: 6 }), product: Product.exact })
  return fc
    .record({ levels: fc.integer({ min: 1, max: options.levels ?? 5 }), seed: seeds })
    .map(({ levels, seed }) => {
      const drawn = Quadratic.random(Seed.make(seed), levels, estimator)
      return { ...drawn, levels, seed, [fc.toStringMethod]: () => JSON.stringify({ levels, seed }) }
    })
}

/**
 * Problems of one to three small nets over a random DAG below two tradeoffs, with random losses, optimizers, estimators and
 * schedules; finite differences have this radius, 1 where absent. For engines and whatever else runs any problem.
 */
export const problem = (options: { readonly radius?: number } = {}): fc.Arbitrary<Problem<Var.Any>> =>
  seeds.map((seed) =>
    Object.assign(Programs.random(Seed.make(seed), options.radius ?? 1), {
      [fc.toStringMethod]: () => JSON.stringify({ seed })
    })
  )

const array = (
  { dtype, shape }: Dataset.Field,
  integers: { readonly min: number; readonly max: number }
): fc.Arbitrary<NdArray.NdArray> => {
  const length = NdArray.size(shape)
  if (dtype === "int32")
    return fc.record({ seed: seeds }).map(({ seed }) => {
      const drawn = Seed.integers(Seed.make(seed), length, integers.max - integers.min + 1)
      return NdArray.int32(
        shape,
        drawn.map((n) => n + integers.min)
      )
    })
  const normal = (seed: number) => Seed.normal(Seed.make(seed), length)
  return fc.record({ scale: fc.constantFrom(0, 1, 0.01, 100), seed: seeds }).map(({ scale, seed }) =>
    NdArray.float32(
      shape,
      normal(seed).map((x) => scale * x)
    )
  )
}

/** Whatever declares fields: a dataset, or fields alone. */
export interface Declaring {
  readonly fields: Dataset.Fields
  readonly "~B"?: () => unknown
}

/** A batch on the host, by the names of what declares its fields. */
export type BatchFor<D extends Declaring> = Dataset.HostBatch & {
  readonly [Name in D extends { readonly "~B": () => infer B } ? keyof B : keyof D["fields"]]: NdArray.NdArray
}

/**
 * Batches of the fields that a dataset declares: normal numbers at several scales, zeros among them, and whole numbers
 * between `integers`, 0 and 1 where absent.
 *
 * ```ts
 * fc.property(Arbitrary.batch(train, { integers: { min: 0, max: 9 } }), (batch) => batch.y.data.every((y) => y < 10))
 * ```
 */
export const batch = <const D extends Declaring>(
  dataset: D,
  options: { readonly integers?: { readonly min: number; readonly max: number } } = {}
): fc.Arbitrary<BatchFor<D>> =>
  fc.record(
    Object.fromEntries(
      Object.entries(dataset.fields).map(([name, field]) => [
        name,
        array(field, options.integers ?? { min: 0, max: 1 })
      ])
    )
  ) as fc.Arbitrary<BatchFor<D>>
