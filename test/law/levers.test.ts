/** What a hypergradient may leave out: rows of a batch, a side of a difference, an evaluation that an update made. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import { trace } from "../../src/compiler/trace/Trace.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import * as Init from "../../src/models/Init.ts"
import * as Objective from "../../src/objectives/Objective.ts"
import * as Simplex from "../../src/objectives/Simplex.ts"
import type { Moment } from "../../src/runtime/plan/Moment.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as PlanText from "../../src/runtime/plan/PlanText.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { initial, initialVars } from "../../src/runtime/step/State.ts"
import * as Step from "../../src/runtime/step/Step.ts"
import * as M from "../../src/testing/Matrix.ts"
import * as Quadratic from "../../src/testing/Quadratic.ts"
import { matrixFlops } from "../support/flops.ts"
import { swept } from "../support/hypergradient.ts"

const cpu = Effect.provide(Eager.layer("cpu"))
const compiled = Effect.provide(Compiled.layer({ threads: 1 }))
const engines = [
  ["eager", cpu],
  ["compiled", compiled]
] as const
const central = Product.finiteDifference({ radius: 0.01 })
const oneSided = Product.finiteDifference({ radius: 0.01, sides: "one" })

const rows = 8
const points = (name: string) => {
  const x = Seed.normal(Seed.fold(Seed.make(3), name), rows * 3)
  return { x: NdArray.float32([rows, 3], x), y: NdArray.float32([rows], x.slice(0, rows)) }
}
const firstRows = ({ x, y }: ReturnType<typeof points>, count: number) => ({
  x: NdArray.float32([count, 3], x.data.slice(0, count * 3)),
  y: NdArray.float32([count], y.data.slice(0, count))
})

/** A ridge regression, its penalty chosen on other points; what a solver finds for it is a closed form. */
const ridge = (estimator: Hypergradient.Hypergradient, fitted = points("fit")) => {
  const w = Var.make("w", () => NdArray.float32([3], [0.5, -1, 0.25]))
  const penalty = Var.make("penalty", () => NdArray.float32([3], [0.3, 0.6, 0.9]))
  const loss = (w: tf.Tensor1D, { x, y }: { readonly x: tf.Tensor2D; readonly y: tf.Tensor1D }) =>
    Objective.meanSquaredError(tf.reshape(tf.matMul(x, tf.reshape(w, [3, 1])), [-1]), y)
  const fit = Level.minimize(w, {
    name: "fit",
    given: [penalty],
    data: Dataset.constant("fit", fitted),
    optimizer: Optimizer.sgd(0.05),
    objective: ({ penalty, w }, batch) =>
      tf.add(loss(w, batch), tf.sum(tf.mul(penalty, tf.square(tf.square(w))))) as tf.Scalar
  }).pipe(Level.hypergradient(estimator))
  const tune = Level.minimize(penalty, {
    name: "tune",
    upstream: [fit],
    data: Dataset.constant("tune", points("tune")),
    optimizer: Optimizer.sgd(1),
    objective: ({ w }, batch) => loss(w, batch)
  })
  return Problem.close(tune)
}

const solvers = [Solver.identity, Solver.conjugateGradient({ iterations: 3 }), Solver.exact]

describe("rows that products see", () => {
  for (const [engine, provide] of engines) {
    it.live(`${engine}: all of them are the whole batch, bit for bit`, () =>
      Effect.forEach(solvers, (solver) =>
        Effect.gen(function* () {
          const whole = yield* swept(ridge(Hypergradient.implicit({ solver, product: central })))
          const all = yield* swept(ridge(Hypergradient.implicit({ solver, product: central, rows: { fraction: 1 } })))
          assert.deepStrictEqual(all.gradient, whole.gradient)
        })
      ).pipe(provide)
    )

    it.live(`${engine}: a quarter is the first ⌈n/4⌉ rows, bit for bit, for solvers and what is handed on`, () =>
      Effect.forEach(solvers, (solver) =>
        Effect.gen(function* () {
          const alone = firstRows(points("fit"), 3)
          const small = yield* swept(ridge(Hypergradient.implicit({ solver, product: central }), alone))
          const rows = { fraction: 0.3, fields: ["x", "y"] }
          const part = yield* swept(ridge(Hypergradient.implicit({ solver, product: central, rows })))
          assert.deepStrictEqual(part.gradient, small.gradient)
          const whole = yield* swept(ridge(Hypergradient.implicit({ solver, product: central })))
          // Of the penalty alone the identity's product sees no data at all.
          if (solver !== Solver.identity) assert.notDeepEqual(part.gradient, whole.gradient)
        })
      ).pipe(provide)
    )
  }

  it("are a number above 0 and at most 1", () => {
    for (const fraction of [0, -1, 1.1, NaN]) {
      const rows = { fraction }
      assert.throws(() => Hypergradient.implicit({ solver: Solver.exact, product: central, rows }), /rows\.fraction is/)
      assert.throws(() => Hypergradient.unrolled({ steps: 1, product: central, rows }), /at most 1/)
    }
  })

  const refusal = (data: Dataset.Dataset<any>, rows: Hypergradient.Rows) => {
    const v = Var.make("v", Init.zeros([]))
    const u = Var.make("u", Init.zeros([]))
    const low = Level.minimize(v, {
      given: [u],
      data,
      optimizer: Optimizer.sgd(0.1),
      objective: ({ u, v }) => tf.square(tf.sub(v, u)) as tf.Scalar
    }).pipe(Level.hypergradient(Hypergradient.implicit({ solver: Solver.identity, product: central, rows })))
    const high = Level.minimize(u, {
      upstream: [low],
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective: ({ v }) => tf.square(v) as tf.Scalar
    })
    const found = Plan.make(Problem.close(high as never) as never)
    return Result.isFailure(found) ? found.failure : undefined
  }
  const batch = { x: NdArray.float32([6, 2], new Float32Array(12)), key: NdArray.int32([2], [1, 2]) }

  it("are refused with the reason where data has none, or not one number of them", () => {
    const cases: ReadonlyArray<readonly [ReturnType<typeof refusal>, RegExp]> = [
      [refusal(Dataset.none, { fraction: 0.5 }), /no field with rows/],
      [refusal(Dataset.constant("d", batch), { fraction: 0.5 }), /field 'x' has 6 rows and 'key' has 2/],
      [refusal(Dataset.constant("d", batch), { fraction: 0.5, fields: ["q"] }), /no field 'q' \(it has 'x', 'key'\)/],
      [
        refusal(Dataset.constant("d", { ...batch, s: NdArray.scalar(1) }), { fraction: 0.5, fields: ["s"] }),
        /'s' is one number/
      ]
    ]
    for (const [error, reason] of cases) {
      assert.strictEqual(error?.kind, "Estimator")
      assert.strictEqual(error?.level, "v")
      assert.match(error!.message, reason)
    }
    assert.isUndefined(refusal(Dataset.constant("d", batch), { fraction: 0.5, fields: ["x"] }))
  })
})

describe("differences of one side", () => {
  it.live("are exact on quadratics over random DAGs, to 1e-4", () =>
    Effect.forEach(
      Array.from({ length: 12 }, (_, i) => i),
      (i) =>
        Effect.gen(function* () {
          const product = Product.finiteDifference({ radius: 1, sides: "one" })
          const estimator = Hypergradient.implicit({ solver: Solver.exact, product })
          const quadratic = Quadratic.random(Seed.make(i), 2 + (i % 5), estimator)
          const { gradient } = yield* swept(quadratic.problem)
          assert.isBelow(M.relativeError(gradient, quadratic.gradient), 1e-4, `seed ${i}`)
        })
    ).pipe(cpu)
  )

  it.live("are off by ε times half the second derivative, where central ones are by ε² of the third", () =>
    Effect.gen(function* () {
      yield* Effect.void
      const [x, d] = [0.7, -2]
      // The gradient of x⁴/4, along d: 3x²d; one side adds 3x ε d², both add ε² d³.
      const cube = (at: { readonly w: tf.Tensor }) => ({ w: tf.pow(at.w, 3) })
      for (const radius of [0.5, 0.25, 0.125]) {
        const error = (sides: "one" | "two") =>
          tf.tidy(() => {
            const product = Product.finiteDifference({ radius, sides })
            return product.derivative(cube, { w: tf.scalar(x) }, { w: tf.scalar(d) }).w.dataSync()[0]! - 3 * x * x * d
          })
        const epsilon = radius / Math.abs(d)
        assert.approximately(error("one"), 3 * x * epsilon * d * d + epsilon ** 2 * d ** 3, 2e-5)
        assert.approximately(error("two"), epsilon ** 2 * d ** 3, 2e-5)
      }
    }).pipe(cpu)
  )
})

/** One level of which only ∂²L/∂w∂c = w² matters, and a level above it with the gradient 1. */
const cubic = (estimator: Hypergradient.Hypergradient, at = [2, 3], repeat = 1) => {
  const w = Var.make("w", () => NdArray.scalar(at[0]!))
  const c = Var.make("c", () => NdArray.scalar(at[1]!))
  const low = Level.minimize(w, {
    name: "low",
    given: [c],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.1),
    objective: ({ c, w }) => tf.mul(c, tf.div(tf.pow(w, 3), 3)) as tf.Scalar
  }).pipe(Level.repeat(repeat), Level.hypergradient(estimator))
  const high = Level.minimize(c, {
    name: "high",
    upstream: [low],
    data: Dataset.none,
    optimizer: Optimizer.sgd(1),
    objective: ({ w }) => w
  })
  return Problem.close(high)
}

/** The one update that the first tick made to `c`, downwards. */
const fall = (problem: ReturnType<typeof cubic>) =>
  Run.ticks(problem, { ticks: 1, seed: 0 }).pipe(
    Stream.mapEffect((tick) => tick.read(["c"])),
    Stream.runHead,
    Effect.map((vars) => 3 - (Option.getOrThrow(vars).c as NdArray.NdArray).data[0]!)
  )

describe("a level differentiated where its last update was made from", () => {
  const at = (point: Hypergradient.Point, product: Product.Product = central) =>
    Hypergradient.implicit({ solver: Solver.identity, product, at: point })
  const after = (w: number) => w - 0.1 * 3 * w * w

  for (const [engine, provide] of engines) {
    it.live(`${engine}: is at the value before the update, else at that after it`, () =>
      Effect.gen(function* () {
        // −∂c⟨c w², 1⟩ at w.
        assert.approximately(yield* fall(cubic(at("update"))), -(2 ** 2), 2e-3)
        assert.approximately(yield* fall(cubic(at("present"))), -(after(2) ** 2), 2e-3)
        // Of two updates in a turn it is the second.
        assert.approximately(yield* fall(cubic(at("update"), [2, 3], 2)), -(after(2) ** 2), 2e-3)
        const together = (point: Hypergradient.Point) => cubic(at(point)).pipe(Problem.simultaneous)
        assert.strictEqual(yield* fall(together("update")), yield* fall(together("present")))
      }).pipe(provide)
    )
  }

  it.live("comes to the same where the update comes to nothing", () =>
    Effect.gen(function* () {
      const gap = (w: number) =>
        Effect.gen(function* () {
          const before = yield* fall(cubic(at("update"), [w, 3]))
          return Math.abs(before / (yield* fall(cubic(at("present"), [w, 3]))) - 1)
        })
      for (const w of [0.8, 0.4, 0.2])
        assert.approximately((yield* gap(w)) / ((w / after(w)) ** 2 - 1), 1, 0.05, `${w}`)
    }).pipe(cpu)
  )

  it("is refused where the level above may come without that update", () => {
    const level = (name: string, below: ReadonlyArray<any>, given: ReadonlyArray<any> = []) =>
      Level.minimize(Var.make(name, Init.zeros([])), {
        upstream: below,
        given,
        data: Dataset.none,
        optimizer: Optimizer.sgd(0.1),
        objective: ((vars: any) => Object.values(vars).reduce((a: any, b: any) => tf.add(a, b))) as never
      } as never) as any
    const u = Var.make("u", Init.zeros([]))
    const bottom = level("bottom", []).pipe(Level.unroll(2), Level.hypergradient(Hypergradient.detached))
    const slow = level("slow", [bottom], [u]).pipe(Level.hypergradient(at("update")))
    const quick = level("quick", []).pipe(Level.unroll(3), Level.hypergradient(Hypergradient.detached))
    const top = Level.minimize(
      u as any,
      {
        upstream: [slow, quick] as never,
        data: Dataset.none,
        optimizer: Optimizer.sgd(0.1),
        objective: (({ slow }: any) => slow) as never
      } as never
    )
    const error = Result.getOrThrow(Result.flip(Plan.make(Problem.close(top as never) as never)))
    assert.strictEqual(error.level, "slow")
    assert.match(error.message, /'u', which does so every 3 ticks, does not always come .* every 2/)
  })
})

/** Classifiers of two dense layers: pretrained on weighted losses, finetuned near by, and reweighted. */
const classifiers = (estimator: Hypergradient.Hypergradient, size = 16) => {
  const sizes = [6, 5, 3]
  const data = (name: string) =>
    Dataset.constant(name, {
      x: NdArray.float32([size, 6], Seed.normal(Seed.fold(Seed.make(1), name), size * 6)),
      y: NdArray.int32([size], Seed.integers(Seed.fold(Seed.make(2), name), size, 3))
    })
  const theta = Var.make("theta", Mlp.init(sizes))
  const omega = Var.make("omega", Mlp.init(sizes))
  const tradeoff = Simplex.make("beta", ["one", "two"])
  const loss = (params: Mlp.Params, { x, y }: { x: tf.Tensor2D; y: tf.Tensor1D }) =>
    Objective.crossEntropy(Mlp.apply(params, x), y)
  const pretrain = Level.minimize(theta, {
    name: "pretrain",
    given: [tradeoff],
    data: data("corpus"),
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
    data: data("train"),
    optimizer: Optimizer.sgd(0.1),
    objective: ({ omega, theta }, batch) =>
      tf.add(loss(omega, batch), tf.mul(0.1, Objective.proximal(omega, theta))) as tf.Scalar
  }).pipe(Level.hypergradient(estimator))
  const reweight = Level.minimize(tradeoff, {
    name: "reweight",
    upstream: [finetune],
    data: data("validation"),
    optimizer: Optimizer.sgd(0.1),
    objective: ({ omega }, batch) => loss(omega, batch)
  })
  return Problem.close(reweight)
}

/** Operations of the matrix products of a tick. */
const flopsOf = (estimator: Hypergradient.Hypergradient, acting = ["pretrain", "finetune", "reweight"]) => {
  const problem = classifiers(estimator)
  const plan = Result.getOrThrow(Plan.make(problem))
  const past = Object.fromEntries(["pretrain", "finetune"].map((name) => [name, 1]))
  const moment: Moment = { acting, restarting: [], frozen: [], past, diagnostics: false }
  const state = trace(initial(problem, plan), ["vars"], [initialVars(problem, Seed.make(0))]).structure
  const batch = { x: { dtype: "float32", shape: [16, 6] }, y: { dtype: "int32", shape: [16] } }
  const batches = Object.fromEntries(plan.levels.map(({ name }) => [name, [batch]]))
  return matrixFlops(trace(Step.make(problem, plan, moment) as never, ["state", "batch"], [state, batches]).results)
}

describe("what a tick costs under them, in operations of matrix products", () => {
  const implicit = (options: Omit<Parameters<typeof Hypergradient.implicit>[0], "solver">) =>
    Hypergradient.implicit({ solver: Solver.identity, ...options })
  // A pass of a classifier forward, by layer: 16 rows of 6 · 5 and 5 · 3.
  const pass = 2 * 16 * (6 * 5 + 5 * 3)
  const lower = flopsOf(implicit({ product: central }), ["pretrain", "finetune"])
  const validation = 2 * pass + 2 * 16 * (5 * 3)
  /** Forward passes of level I's two losses that the hop onto their weights costs. */
  const hop = (estimator: Hypergradient.Hypergradient) => (flopsOf(estimator) - lower - validation) / (2 * pass)

  it("is two passes, one of one side where an update made the other, and the fraction of either", () => {
    assert.strictEqual(hop(implicit({ product: central })), 2)
    assert.strictEqual(hop(implicit({ product: oneSided })), 2)
    assert.strictEqual(hop(implicit({ product: oneSided, at: "update" })), 1)
    assert.strictEqual(hop(implicit({ product: central, at: "update" })), 2)
    assert.strictEqual(hop(implicit({ product: central, rows: { fraction: 0.25 } })), 0.5)
    assert.strictEqual(hop(implicit({ product: oneSided, at: "update", rows: { fraction: 0.25 } })), 0.5)
    assert.strictEqual(hop(Hypergradient.unrolled({ steps: 1, product: oneSided })), 1)
  })

  it("is said by the plan, with what is shared", () => {
    const plan = (estimator: Hypergradient.Hypergradient, simultaneous = false) => {
      const problem = classifiers(estimator)
      return Result.getOrThrow(Plan.make(simultaneous ? problem.pipe(Problem.simultaneous) : problem))
    }
    const cost = (...of: Parameters<typeof plan>) => plan(...of).cost.find((c) => c.level === "reweight")!.evaluations
    // Beside the level's own gradient there are two hops.
    assert.strictEqual(cost(implicit({ product: central })), 1 + 2 * 2)
    assert.strictEqual(cost(implicit({ product: oneSided })), 1 + 2 * 2)
    assert.strictEqual(cost(implicit({ product: oneSided, at: "update" })), 1 + 2 * 1)
    assert.strictEqual(cost(implicit({ product: oneSided }), true), 1 + 2 * 1)
    assert.strictEqual(cost(Hypergradient.unrolled({ steps: 1, product: oneSided })), 1 + 2 * 1)
    assert.strictEqual(cost(implicit({ product: Product.exact })), 1 + 2 * 3)
    assert.strictEqual(cost(implicit({ product: Product.exact, at: "update" })), 1 + 2 * 2)
    assert.strictEqual(cost(implicit({ product: central, rows: { fraction: 0.25 } })), 1 + 2 * 0.5)
    assert.strictEqual(cost(implicit({ product: oneSided, at: "update", rows: { fraction: 0.25 } })), 1 + 2 * 0.5)
    const shown = PlanText.text(plan(implicit({ product: oneSided, at: "update" })))
    assert.include(
      shown,
      "identity × finiteDifference(0.01, one side) at its update  → beta   begins with the evaluation of pretrain's own update"
    )
    assert.notInclude(PlanText.text(plan(implicit({ product: oneSided }))), "begins with")
  })

  it.live("and both engines agree on what comes of it", () =>
    Effect.gen(function* () {
      const estimator = implicit({
        product: Product.finiteDifference({ radius: 0.1, sides: "one" }),
        at: "update",
        rows: { fraction: 0.5 }
      })
      const weights = Run.ticks(classifiers(estimator), { ticks: 5, seed: 0 }).pipe(
        Stream.filter((tick) => tick.index === 5),
        Stream.mapEffect((tick) => tick.read(["beta"])),
        Stream.runHead,
        Effect.map((vars) => Tree.hostEntries(Option.getOrThrow(vars).beta as never).map(([, { data }]) => data[0]!))
      )
      const [one, other] = [yield* cpu(weights), yield* compiled(weights)]
      assert.notStrictEqual(one[0], 0)
      assert.approximately(one[0]! / other[0]!, 1, 1e-2)
    })
  )
})
