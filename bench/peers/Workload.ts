/** What a workload is, and what all of them are made of. */
import * as Effect from "effect/Effect"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import type * as NdArray from "../../src/dsl/values/NdArray.ts"
import type * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import { initialVars } from "../../src/runtime/step/State.ts"

/** One workload, with what both sides start from. */
export interface Workload {
  readonly title: string
  /** What the Python side calls it. */
  readonly peer: string
  readonly problem: Problem.Problem<any>
  /** Levels I and II alone, of a workload of three levels. */
  readonly held?: Problem.Problem<any>
  /** Whether its products are exact, which eager engines cannot do. */
  readonly exact?: boolean
  /** Ticks that make up one measured step. */
  readonly ticks: number
  /** Measured steps of one round, after the settling ones. */
  readonly steps: number
  readonly settling: number
  /** How many times as long as we each peer should take; of some nothing is asked. */
  readonly targets: { readonly [peer: string]: number }
  /** How far apart losses of the first steps may lie, relatively. */
  readonly tolerance: number
  /** Levels, lower first. */
  readonly levels: ReadonlyArray<string>
  /** Initial values and batches by name: `variable.path` and `data.level.index.field`. */
  readonly tensors: ReadonlyArray<readonly [name: string, array: NdArray.NdArray]>
}

export type Columns = { readonly [name: string]: NdArray.NdArray }

/** How many batches are made beforehand; a run goes through them in turn. */
const held = 4
/** Betty's `darts`. */
export const darts = Hypergradient.implicit({
  solver: Solver.identity,
  product: Product.finiteDifference({ radius: 0.01 })
})
/** The same with the derivative along the direction in place of a difference. */
export const exact = Hypergradient.implicit({ solver: Solver.identity, product: Product.exact })
export const seedOf = (name: string) => Seed.fold(Seed.make(7), name)

export const cycle = <const C extends Columns>(name: string, draw: (seed: Seed.Seed) => C) => {
  const batches = Array.from({ length: held }, (_, i) => draw(Seed.fold(seedOf(name), i)))
  const { fields } = Dataset.constant(name, batches[0]!)
  const open = Effect.succeed((_: Seed.Seed, index: number) => Effect.succeed(batches[index % held]!))
  type Batch = ReturnType<typeof Dataset.constant<C>> extends Dataset.Dataset<infer B> ? B : never
  const dataset = Dataset.make(name, { fields, open } as never) as never as Dataset.Dataset<Batch>
  const tensors = batches.flatMap((batch, i) =>
    Object.entries(batch).map(([field, array]) => [`data.${name}.${i}.${field}`, array] as const)
  )
  return { dataset, tensors }
}

/** The values that a run with seed 0 starts from. */
export const initials = (problem: Problem.Problem<any>) =>
  Object.entries(initialVars(problem as never, Seed.make(0))).flatMap(([variable, value]) =>
    Tree.hostEntries(value).map(([path, array]) => [path === "" ? variable : `${variable}.${path}`, array] as const)
  )
