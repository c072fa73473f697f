import { assert, describe, expect, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Dataset from "../../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Level from "../../../src/dsl/Level.ts"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Problem from "../../../src/dsl/Problem.ts"
import * as Tree from "../../../src/dsl/values/Tree.ts"
import * as Var from "../../../src/dsl/Var.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Mlp from "../../../src/models/Mlp.ts"
import * as Objective from "../../../src/objectives/Objective.ts"
import * as Simplex from "../../../src/objectives/Simplex.ts"
import { binary, unary } from "../../../src/compiler/graph/Elementwise.ts"
import { count, Graph, print, type Node } from "../../../src/compiler/graph/Graph.ts"
import * as Layout from "../../../src/compiler/graph/Layout.ts"
import { reduce } from "../../../src/compiler/graph/Contraction.ts"
import { factors } from "../../../src/compiler/onnx/Permutation.ts"
import { trace } from "../../../src/compiler/trace/Trace.ts"
import type { CompileError } from "../../../src/engines/Engine.ts"
import type { Moment } from "../../../src/runtime/plan/Moment.ts"
import * as Plan from "../../../src/runtime/plan/Plan.ts"
import { initial, initialVars } from "../../../src/runtime/step/State.ts"
import * as Step from "../../../src/runtime/step/Step.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"

const estimator = Hypergradient.implicit({
  solver: Solver.identity,
  product: Product.finiteDifference({ radius: 0.1 })
})
const rows = (name: string, columns: number) =>
  Dataset.constant(name, {
    x: NdArray.float32(
      [4, columns],
      Float32Array.from({ length: 4 * columns }, (_, i) => i)
    ),
    y: NdArray.int32([4], [0, 1, 2, 0])
  })

/** Classifiers of two dense layers: pretrained on weighted losses, finetuned near by, and reweighted. */
const classifiers = (sabotage: (loss: tf.Scalar) => tf.Scalar = (loss) => loss) => {
  const sizes = [5, 4, 3]
  const theta = Var.make("theta", Mlp.init(sizes))
  const omega = Var.make("omega", Mlp.init(sizes))
  const tradeoff = Simplex.make("beta", ["one", "two"])
  const loss = (params: Mlp.Params, { x, y }: { x: tf.Tensor2D; y: tf.Tensor1D }) =>
    Objective.crossEntropy(Mlp.apply(params, x), y)
  const pretrain = Level.minimize(theta, {
    name: "pretrain",
    given: [tradeoff],
    data: rows("corpus", 5),
    optimizer: Optimizer.sgd(0.1),
    objective: ({ beta, theta }, batch) =>
      Objective.weighted(Simplex.weights(tradeoff, beta), {
        one: loss(theta, batch),
        two: loss(theta, { ...batch, x: tf.neg(batch.x) })
      })
  }).pipe(Level.hypergradient(estimator))
  const finetune = Level.minimize(omega, {
    name: "finetune",
    upstream: [pretrain],
    data: rows("train", 5),
    optimizer: Optimizer.sgd(0.1),
    objective: ({ omega, theta }, batch) =>
      sabotage(tf.add(loss(omega, batch), tf.mul(0.1, Objective.proximal(omega, theta))) as tf.Scalar)
  }).pipe(Level.hypergradient(estimator))
  const reweight = Level.minimize(tradeoff, {
    name: "reweight",
    upstream: [finetune],
    data: rows("validation", 5),
    optimizer: Optimizer.sgd(0.1),
    objective: ({ omega }, batch) => loss(omega, batch)
  })
  return Problem.close(reweight)
}

const traced = (problem: Problem.Problem.Any, acting: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const plan = yield* Effect.fromResult(Plan.make(problem as never) as never) as Effect.Effect<Plan.Plan, unknown>
    const moment: Moment = { acting, restarting: [], frozen: [], past: {}, diagnostics: false }
    const state = trace(initial(problem, plan), ["vars"], [initialVars(problem, Seed.make(0))]).structure
    const batch = { x: { dtype: "float32", shape: [4, 5] }, y: { dtype: "int32", shape: [4] } }
    const batches = Object.fromEntries(plan.levels.map(({ name }) => [name, [batch]]))
    const found = trace(Step.make(problem, plan, moment) as never, ["state", "batch"], [state, batches])
    const paths = Tree.entries(found.structure).map(([path]) => path)
    return { ...found, named: paths.map((path, i) => [path, found.results[i]!] as const) }
  })

describe("a traced step", () => {
  it.effect("reads as text, and changes only on purpose", () =>
    Effect.gen(function* () {
      const w = Var.make("w", () => NdArray.float32([3], [1, 2, 3]))
      const fit = Level.minimize(w, {
        name: "fit",
        data: Dataset.constant("points", {
          x: NdArray.float32([4, 3], new Float32Array(12)),
          y: NdArray.float32([4, 1], new Float32Array(4))
        }),
        optimizer: Optimizer.sgd(0.1),
        objective: ({ w }, { x, y }) => Objective.meanSquaredError(tf.matMul(x, tf.reshape(w, [3, 1])), y)
      })
      const problem = Problem.close(fit)
      const plan = yield* Effect.fromResult(Plan.make(problem))
      const moment: Moment = { acting: ["fit"], restarting: [], frozen: [], past: {}, diagnostics: false }
      const state = trace(initial(problem, plan), ["vars"], [initialVars(problem, Seed.make(0))]).structure
      const batch = { fit: [{ x: { dtype: "float32", shape: [4, 3] }, y: { dtype: "float32", shape: [4, 1] } }] }
      const { results, structure } = trace(
        Step.make(problem, plan, moment) as never,
        ["state", "batch"],
        [state, batch]
      )
      const text = print(Tree.entries(structure).map(([path], i) => [path, results[i]!] as const))
      expect(text).toMatchInlineSnapshot(`
        "%0 = reshape(state.vars.w): [3, 1]  // fit
        %1 = matmul(batch.fit.0.x, %0, ta=false, tb=false): [4, 1]  // fit
        %2 = sub(%1, batch.fit.0.y): [4, 1]  // fit
        %3 = mul(%2, %2): [4, 1]  // fit
        %4 = sum(%3, axes=[0, 1]): []  // fit
        %5 = mul(%4, 0.25): []  // fit
        %6 = const(0.5): [1, 1]  // fit
        %7 = mul(%2, %6): [4, 1]  // fit
        %8 = matmul(batch.fit.0.x, %7, ta=true, tb=false): [3, 1]  // fit
        %9 = mul(%8, %8): [3, 1]  // fit
        %10 = reshape(%9): [3]  // fit
        %11 = sum(%10, axes=[0]): []  // fit
        %12 = sqrt(%11): []  // fit
        %13 = mul(%8, 0.1): [3, 1]  // fit
        %14 = reshape(%13): [3]  // fit
        %15 = sub(state.vars.w, %14): [3]  // fit
        %16 = add(state.clock.fit, 1): int32[]  // fit
        0.vars.w ← %15
        0.clock.fit ← %16
        1.fit.loss ← %5
        1.fit.gradientNorm ← %12"
      `)
    })
  )

  const matmuls = (nodes: ReadonlyArray<Node>) => count(nodes)["matmul"] ?? 0

  it.effect("pays for a cotangent through a proximal term with no pass through a network", () =>
    Effect.gen(function* () {
      const alone = yield* traced(classifiers(), ["finetune"])
      const of = (problem: ReturnType<typeof classifiers>) => traced(problem, ["reweight"])
      const { named } = yield* of(classifiers())
      const beta = named.flatMap(([path, node]) => (path === "0.vars.beta" ? [node] : []))
      // The validation loss: 2 forward, 3 backward (none to the data). Through the proximal term: 0. Onto the weights: two
      // evaluations of two losses, forward only, 2 each.
      assert.strictEqual(matmuls(beta), 2 + 3 + 0 + 2 * 2 * 2)
      // A finetuning step: 2 forward, 3 backward.
      assert.strictEqual(matmuls(alone.results), 5)
    })
  )
})

describe("nodes are simplified as they are made", () => {
  const g = new Graph()
  const x = g.input("x", [2, 3], "float32")
  const row = g.input("row", [3], "float32")
  const one = g.scalar(1, "float32")
  const ones = g.broadcast(one, [2, 3])
  const text = (node: Node) => print([["y", node]])

  it("does nothing to neutral elements, inverses and repeated moves", () => {
    assert.strictEqual(binary(g, "mul", x, ones), x)
    assert.strictEqual(binary(g, "add", g.scalar(0, "float32"), x), x)
    assert.strictEqual(binary(g, "div", x, ones), x)
    assert.strictEqual(unary(g, "neg", unary(g, "neg", x)), x)
    assert.strictEqual(Layout.transpose(g, Layout.transpose(g, x, [1, 0]), [1, 0]), x)
    assert.strictEqual(Layout.reshape(g, Layout.reshape(g, x, [6]), [2, 3]), x)
    assert.strictEqual(binary(g, "pow", x, g.scalar(2, "float32")), binary(g, "mul", x, x))
  })

  it("makes equal nodes once, whatever the order of a sum", () => {
    assert.strictEqual(binary(g, "add", x, row), binary(g, "add", row, x))
    assert.strictEqual(unary(g, "exp", x), unary(g, "exp", x))
  })

  it("makes them once by what their attributes say, not by the object that says it", () => {
    assert.strictEqual(g.node("exp", [x], {}, x.shape, x.dtype), unary(g, "exp", x))
  })

  it("computes constants at once", () => {
    assert.strictEqual(binary(g, "add", one, one), g.scalar(2, "float32"))
    assert.strictEqual(
      text(unary(g, "exp", g.broadcast(g.scalar(0, "float32"), [2, 3]))),
      "%0 = broadcast(1): [2, 3]\ny ← %0"
    )
  })

  it("computes what is repeated once, and sums it by multiplying", () => {
    const wide = g.broadcast(row, [2, 3])
    assert.strictEqual(unary(g, "exp", wide), g.broadcast(unary(g, "exp", row), [2, 3]))
    assert.strictEqual(reduce(g, "sum", wide, [0], false), binary(g, "mul", row, g.scalar(2, "float32")))
    assert.strictEqual(reduce(g, "sum", ones, [0, 1], false), g.scalar(6, "float32"))
  })

  it("keeps a layout through elementwise work", () => {
    const turned = Layout.transpose(g, x, [1, 0])
    assert.strictEqual(Layout.transpose(g, unary(g, "relu", turned), [1, 0]), unary(g, "relu", x))
    assert.deepStrictEqual(count([reduce(g, "sum", unary(g, "relu", turned), [0, 1], false)]), {
      input: 1,
      relu: 1,
      sum: 1
    })
  })
})

describe("permutations", () => {
  it("are put together again from their moves", () => {
    const orders = (rank: number): ReadonlyArray<ReadonlyArray<number>> =>
      rank === 0
        ? [[]]
        : orders(rank - 1).flatMap((order) => Array.from({ length: rank }, (_, i) => order.toSpliced(i, 0, rank - 1)))
    for (const perm of orders(4)) {
      const back = factors(perm).reduce<ReadonlyArray<number>>(
        (sofar, order) => order.map((axis) => sofar[axis]!),
        [0, 1, 2, 3]
      )
      assert.deepStrictEqual(back, perm)
    }
    assert.deepStrictEqual(factors([3, 2, 0, 1]), [
      [2, 0, 1, 3],
      [3, 0, 1, 2]
    ])
  })
})

describe("what a graph cannot hold is refused", () => {
  const outside = tf.tidy(() => tf.keep(tf.tensor1d([1, 2])))
  const refusals: { readonly [name: string]: readonly [(loss: tf.Scalar) => tf.Scalar, RegExp, RegExp] } = {
    "a host read": [(loss) => (loss.dataSync()[0]! > 0 ? loss : tf.neg(loss)), /a tensor/, /tf\.where/],
    "a host read inside an operation": [
      (loss) => tf.topk(tf.stack([loss, loss])).values.sum() as tf.Scalar,
      /TopK/,
      /eager engine/
    ],
    "host randomness": [(loss) => tf.add(loss, tf.randomNormal([])), /tf\.randomNormal/, /Noise/],
    "seeded host randomness": [
      (loss) => tf.add(loss, tf.randomUniform([], 0, 1, "float32", 7)),
      /tf\.randomUniform/,
      /Noise/
    ],
    "dropout of TensorFlow.js": [
      (loss) => tf.sum(tf.dropout(tf.stack([loss, loss]), 0.5, undefined, 3)),
      /tf\.dropout/,
      /Noise/
    ],
    "Math.random": [(loss) => tf.mul(loss, Math.random()), /Math\.random/, /Noise/],
    "an unknown kernel": [(loss) => tf.mul(loss, tf.sum(tf.einsum("i->i", outside))), /Einsum/, /eager engine/]
  }
  for (const [name, [sabotage, op, remedy]] of Object.entries(refusals)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const [tensors, backend, { random }] = [tf.memory().numTensors, tf.engine().backendName, Math]
        const error = (yield* Effect.flip(
          Effect.suspend(() => traced(classifiers(sabotage), ["finetune"])).pipe(Effect.catchDefect(Effect.fail))
        )) as CompileError
        assert.strictEqual(error._tag, "CompileError", String(error))
        assert.strictEqual(error.level, "finetune")
        assert.match(error.op, op)
        assert.match(error.reason, remedy)
        assert.deepStrictEqual(
          [tf.memory().numTensors, tf.engine().backendName, Math.random],
          [tensors, backend, random]
        )
      })
    )
  }
})
