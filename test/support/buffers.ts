import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import type * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Run from "../../src/runtime/run/Run.ts"

/** Batch i holds i + 1: what a level has seen can be told from what it carries. */
export const counting = Dataset.make("counting", {
  fields: { x: Dataset.float32([1]) },
  open: Effect.succeed((_, index) => Effect.succeed({ x: NdArray.float32([1], [index + 1]) }))
})

export const weight = Var.make("weight", () => NdArray.float32([1], [0.5]))
export const running = Var.make("running", () => ({
  mean: NdArray.float32([1], [2]),
  square: NdArray.float32([1], [0])
}))
export const pull = Var.make("pull", () => NdArray.scalar(0.3))

/** An exponential average of `u`, as batch norm keeps one. */
export const averaged = (before: tf.Tensor, u: tf.Tensor): tf.Tensor => tf.add(tf.mul(before, 0.9), tf.mul(u, 0.1))

export const estimators = {
  identity: Hypergradient.implicit({ solver: Solver.identity, product: Product.finiteDifference({ radius: 0.1 }) }),
  cg: Hypergradient.implicit({
    solver: Solver.warm(Solver.conjugateGradient({ iterations: 2 })),
    product: Product.finiteDifference({ radius: 0.1 })
  }),
  unrolled: Hypergradient.unrolled({ steps: 2, product: Product.finiteDifference({ radius: 0.1 }) })
}

/** What the lower level carries depends on its weight, so that a move at any other weight would be seen. */
export const lower = (estimator: Hypergradient.Hypergradient) =>
  Level.minimize(weight, {
    name: "lower",
    given: [pull],
    buffers: running,
    data: counting,
    optimizer: Optimizer.sgd(0.05),
    objective: ({ pull, running, weight }, { x }) => {
      const output = tf.mul(weight, x)
      return {
        loss: tf.add(tf.sum(tf.square(tf.sub(weight, pull))), tf.mul(0.01, tf.sum(tf.square(output)))) as tf.Scalar,
        buffers: {
          mean: averaged(running.mean, output),
          square: averaged(running.square, tf.square(output))
        }
      }
    }
  }).pipe(Level.hypergradient(estimator))

const above = (below: ReturnType<typeof lower>, rate: number) =>
  Level.minimize(pull, {
    name: "upper",
    upstream: [below],
    data: counting,
    optimizer: Optimizer.sgd(rate),
    objective: ({ running, weight }, { x }) => ({
      loss: tf.sum(tf.square(tf.sub(tf.mul(weight, x), running.mean))) as tf.Scalar,
      metrics: { mean: running.mean }
    })
  })

export const bilevel = (estimator: Hypergradient.Hypergradient, rate: number) =>
  Problem.close(above(lower(estimator), rate))

export type Vars = { readonly [name: string]: Tree.HostTree }
export type Some = Problem.Problem<Var.Var.Any, unknown, never>

/** The state after `ticks` ticks, and what the run said at each. */
export const run = (problem: Some, ticks: number, from?: { readonly tick: number; readonly state: Run.Snapshot }) =>
  Run.ticks(problem, { ticks, seed: 4, diagnosticsEvery: 2, ...(from === undefined ? {} : { from }) }).pipe(
    Stream.mapEffect((tick) => Effect.map(tick.snapshot, (state) => ({ levels: tick.levels, state }))),
    Stream.runCollect
  )
export const varsOf = (state: Run.Snapshot): Vars => state.vars
export const stateAfter = (problem: Some, ticks: number) => Effect.map(run(problem, ticks), (all) => all.at(-1)!.state)

/** A level whose weight stands still, so that its statistics have a closed form. */
export const still = () =>
  Level.minimize(weight, {
    name: "still",
    buffers: running,
    data: counting,
    optimizer: Optimizer.sgd(0),
    objective: ({ running, weight }, { x }) => ({
      loss: tf.sum(weight) as tf.Scalar,
      buffers: { mean: averaged(running.mean, x), square: running.square }
    })
  })

/** ∑ of 0.1 · 0.9ⁿ⁻ⁱ xᵢ over the batches seen, and what is left of the start. */
export const average = (seen: ReadonlyArray<number>): number => seen.reduce((sofar, x) => 0.9 * sofar + 0.1 * x, 2)
export const meanOf = (vars: Vars): number => (vars["running"] as { readonly mean: NdArray.NdArray }).mean.data[0]!
