import * as tf from "@tensorflow/tfjs-core"
import { describe, expectTypeOf, test } from "vitest"
import type * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"

// As in wiring.test-d.ts: the sentence after each `@ts-expect-error` is what the compiler says of the line under it.

declare const valid: Dataset.Dataset<{ readonly x: tf.Tensor2D }>
const optimizer = Optimizer.sgd(0.1)
const vector = () => NdArray.float32([2], [0, 0])
const theta = Var.make("theta", vector)
const omega = Var.make("omega", () => NdArray.float32([2, 2], [1, 0, 0, 1]))
const beta = Var.make("beta", vector)
const alpha = Var.make("alpha", vector)

/** A level that carries statistics beside what it minimizes. */
const statistics = Var.make("statistics", () => ({ mean: vector() }))
const normalized = Level.minimize(omega, {
  name: "normalized",
  buffers: statistics,
  data: valid,
  optimizer,
  objective: ({ omega, statistics }, { x }) => ({
    loss: tf.sum(tf.matMul(x, omega)),
    buffers: { mean: tf.add(statistics.mean, 1) }
  })
})

/** Levels without any. */
const pretrain = Level.minimize(theta, { data: valid, optimizer, objective: ({ theta }) => tf.sum(theta) })
const finetune = Level.minimize(omega, { data: valid, optimizer, objective: ({ omega }) => tf.sum(omega) })

describe("what the compiler refuses of buffers", () => {
  const spec = { data: valid, optimizer }
  const nothing = () => tf.scalar(0)

  test("returning none", () => {
    Level.minimize(omega, {
      ...spec,
      buffers: statistics,
      // @ts-expect-error Property 'buffers' is missing in type '{ loss: tf.Scalar; }' but required in type 'BufferedLoss
      objective: ({ omega }) => ({ loss: tf.sum(omega) as tf.Scalar })
    })
  })

  test("returning some that are not declared", () => {
    Level.minimize(omega, {
      ...spec,
      // @ts-expect-error this level has no buffers: declare them beside the objective
      objective: ({ omega }) => ({ loss: tf.sum(omega) as tf.Scalar, buffers: { mean: tf.tensor1d([0]) } })
    })
  })

  test("returning others than are declared", () => {
    Level.minimize(omega, {
      ...spec,
      buffers: statistics,
      // @ts-expect-error 'variance' does not exist in type '{ readonly mean: Tensor<Rank>; }'
      objective: ({ omega }) => ({ loss: tf.sum(omega) as tf.Scalar, buffers: { variance: tf.tensor1d([0]) } })
    })
  })

  test("reading some that no level read here carries", () => {
    Level.minimize(beta, {
      ...spec,
      upstream: [finetune],
      // @ts-expect-error Property 'statistics' does not exist on type
      objective: ({ beta, statistics }) => tf.dot(beta, statistics.mean)
    })
  })

  test("the variable itself", () => {
    // @ts-expect-error 'statistics' is minimized: a level's buffers are a variable of their own
    Level.minimize(statistics, { ...spec, buffers: statistics, objective: nothing as never })
  })

  test("a variable minimized upstream", () => {
    // @ts-expect-error 'theta' is minimized: a level's buffers are a variable of their own
    Level.minimize(alpha, { ...spec, upstream: [pretrain], buffers: theta, objective: nothing as never })
  })

  test("minimizing what a level below carries", () => {
    // @ts-expect-error 'statistics' is a level's buffers: only that level moves it, and the levels above read it through
    Level.minimize(statistics, { ...spec, upstream: [normalized], objective: nothing })
  })

  test("carrying what a level below carries", () => {
    // @ts-expect-error 'statistics' is a level's buffers already: give each level its own
    Level.minimize(beta, { ...spec, upstream: [normalized], buffers: statistics, objective: nothing as never })
  })

  test("giving what a level below carries", () => {
    // @ts-expect-error 'statistics' is a level's buffers: only that level moves it, and the levels above read it through
    Level.minimize(beta, { ...spec, upstream: [normalized], given: [statistics], objective: nothing })
  })

  test("carrying what a level below is given", () => {
    const reader = Level.minimize(alpha, { ...spec, given: [statistics], objective: nothing })
    // @ts-expect-error 'statistics' is a level's buffers: only that level moves it, and the levels above read it through
    Level.minimize(beta, { ...spec, upstream: [reader], buffers: statistics, objective: nothing as never })
    // @ts-expect-error 'statistics' is a level's buffers: only that level moves it, and the levels above read it through
    Level.minimize(beta, { ...spec, upstream: [reader, normalized], objective: nothing })
  })

  test("holding them constant", () => {
    // @ts-expect-error 'statistics' is not given here, so there is nothing to fix
    Problem.close(normalized.pipe(Level.fix(statistics)))
  })
})

type Omega = Var.Var<"omega", tf.Tensor2D>
type Statistics = Var.Var<"statistics", { readonly mean: tf.Tensor1D }>

describe("what types tell of buffers", () => {
  test("a level with buffers binds them, and the level above reads them", () => {
    expectTypeOf(normalized).toEqualTypeOf<
      Level.Level<Omega, never, Omega | Level.Carried<Statistics>, never, never, Statistics>
    >()
    const top = Level.minimize(beta, {
      upstream: [normalized.pipe(Level.repeat(2), Level.hypergradient(Hypergradient.detached))],
      data: valid,
      optimizer,
      objective: (vars) => {
        expectTypeOf(vars).toEqualTypeOf<{
          readonly beta: tf.Tensor1D
          readonly omega: tf.Tensor2D
          readonly statistics: { readonly mean: tf.Tensor1D }
        }>()
        return tf.dot(vars.beta, vars.statistics.mean) as tf.Scalar
      }
    })
    // One level further up they are out of sight.
    Level.minimize(alpha, {
      upstream: [top],
      data: valid,
      optimizer,
      objective: (vars) => {
        expectTypeOf(vars).toEqualTypeOf<{ readonly alpha: tf.Tensor1D; readonly beta: tf.Tensor1D }>()
        return tf.sum(vars.alpha)
      }
    })
  })
})
