import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Result from "effect/Result"
import * as Dataset from "../../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Level from "../../../src/dsl/Level.ts"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Problem from "../../../src/dsl/Problem.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Tree from "../../../src/dsl/values/Tree.ts"
import * as Var from "../../../src/dsl/Var.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Mlp from "../../../src/models/Mlp.ts"
import * as Objective from "../../../src/objectives/Objective.ts"
import * as Simplex from "../../../src/objectives/Simplex.ts"
import { count, type Node } from "../../../src/compiler/graph/Graph.ts"
import { trace } from "../../../src/compiler/trace/Trace.ts"
import type { Moment } from "../../../src/runtime/plan/Moment.ts"
import * as Plan from "../../../src/runtime/plan/Plan.ts"
import { initial, initialVars } from "../../../src/runtime/step/State.ts"
import * as Step from "../../../src/runtime/step/Step.ts"

// A dense layer forwards is one matrix product; backwards it is one to its weights and, but for the first, one to its input.
const sizes = [5, 4, 3]
const gradient = 2 + 3
/** Of a loss along a direction: the first layer's input is data; the second moves with its input and its weights. */
const lossAlong = 1 + 2
/** Of a gradient along a direction: also both ways back through the second layer, in two terms each, and to the first weights. */
const gradientAlong = lossAlong + 2 + 2 + 1

const rows = (name: string) =>
  Dataset.constant(name, {
    x: NdArray.float32([4, 5], Seed.normal(Seed.fold(Seed.make(1), name), 20)),
    y: NdArray.int32([4], [0, 1, 2, 0])
  })
type Batch = { readonly x: tf.Tensor2D; readonly y: tf.Tensor1D }
const loss = (params: Mlp.Params, { x, y }: Batch) => Objective.crossEntropy(Mlp.apply(params, x), y)

const theta = Var.make("theta", Mlp.init(sizes))
const omega = Var.make("omega", Mlp.init(sizes))
const tradeoff = Simplex.make("beta", ["one", "two"])
const pretrain = (estimator: Hypergradient.Hypergradient) =>
  Level.minimize(theta, {
    name: "pretrain",
    given: [tradeoff],
    data: rows("corpus"),
    optimizer: Optimizer.sgd(0.1),
    objective: ({ beta, theta }, batch) =>
      Objective.weighted(Simplex.weights(tradeoff, beta), {
        one: loss(theta, batch),
        two: loss(theta, { ...batch, x: tf.neg(batch.x) })
      })
  }).pipe(Level.hypergradient(estimator))

/** Pretrained on two weighted losses, finetuned near by, reweighted. */
const three = (estimator: Hypergradient.Hypergradient) => {
  const finetune = Level.minimize(omega, {
    name: "finetune",
    upstream: [pretrain(estimator)],
    data: rows("train"),
    optimizer: Optimizer.sgd(0.1),
    objective: ({ omega, theta }, batch) =>
      tf.add(loss(omega, batch), tf.mul(0.1, Objective.proximal(omega, theta))) as tf.Scalar
  }).pipe(Level.hypergradient(estimator))
  return Problem.close(
    Level.minimize(tradeoff, {
      name: "reweight",
      upstream: [finetune],
      data: rows("validation"),
      optimizer: Optimizer.sgd(0.1),
      objective: ({ omega }, batch) => loss(omega, batch)
    })
  )
}
/** The same without finetuning. */
const two = (estimator: Hypergradient.Hypergradient) =>
  Problem.close(
    Level.minimize(tradeoff, {
      name: "reweight",
      upstream: [pretrain(estimator)],
      data: rows("validation"),
      optimizer: Optimizer.sgd(0.1),
      objective: ({ theta }, batch) => loss(theta, batch)
    })
  )

/** The next value of the tradeoff, and everything, where these levels act. */
const traced = (problem: Problem.Problem.Any, acting: ReadonlyArray<string>, past: Moment["past"] = {}) => {
  const plan = Result.getOrThrow(Plan.make(problem as never) as never) as Plan.Plan
  const moment: Moment = { acting, restarting: [], frozen: [], past, diagnostics: false }
  const state = trace(initial(problem, plan), ["vars"], [initialVars(problem, Seed.make(0))]).structure
  const batch = { x: { dtype: "float32", shape: [4, 5] }, y: { dtype: "int32", shape: [4] } }
  const batches = Object.fromEntries(plan.levels.map(({ name }) => [name, [batch]]))
  const { results, structure } = trace(Step.make(problem, plan, moment) as never, ["state", "batch"], [state, batches])
  const at = Tree.entries(structure).findIndex(([path]) => path === "0.vars.beta")
  return { beta: [results[at]!], results }
}
const matmuls = (nodes: ReadonlyArray<Node>) => count(nodes)["matmul"] ?? 0
const implicit = (solver: Hypergradient.Solver) => Hypergradient.implicit({ solver, product: Product.exact })

describe("exact products cost what moves", () => {
  it("nothing through a proximal term, and losses only, without their gradients, onto weights that enter linearly", () => {
    const { beta } = traced(three(implicit(Solver.identity)), ["reweight"])
    assert.strictEqual(matmuls(beta), gradient + 0 + 2 * (2 + lossAlong))
  })

  it("a multiple of the direction where the gradient is linear", () => {
    const like = { dtype: "float32", shape: [7] }
    const f = (x: tf.Tensor, v: tf.Tensor, near: tf.Tensor) =>
      Product.exact.derivative((x) => tf.mul(0.2, tf.sub(x, near)), x, v)
    const { inputs, results } = trace(f as never, ["x", "v", "near"], [like, like, like])
    assert.deepStrictEqual(count(results), { input: 1, const: 1, mul: 1 })
    assert.include(results[0]!.inputs, inputs[1])
  })

  it("the point itself once, however many products a solve takes", () => {
    const products = (iterations: number) =>
      matmuls(traced(two(implicit(Solver.conjugateGradient({ iterations }))), ["reweight"]).beta)
    // Two losses each time. Of their gradients only the way forwards is needed: the slopes of relu do not move.
    assert.strictEqual(products(1), gradient + 2 * (2 + gradientAlong + lossAlong))
    assert.strictEqual(products(2) - products(1), 2 * gradientAlong)
    assert.strictEqual(products(5) - products(2), 3 * 2 * gradientAlong)
  })

  it("no more than what moves, where the level has just made the same update", () => {
    const unrolled = two(Hypergradient.unrolled({ steps: 1, product: Product.exact }))
    const { results } = traced(unrolled, ["pretrain", "reweight"], { pretrain: 1 })
    assert.strictEqual(matmuls(results), 2 * gradient + gradient + 2 * lossAlong)
  })
})
