import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Dataset from "../../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Level from "../../../src/dsl/Level.ts"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Problem from "../../../src/dsl/Problem.ts"
import * as Var from "../../../src/dsl/Var.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Rate from "../../../src/levels/Rate.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as Plan from "../../../src/runtime/plan/Plan.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import { triLevel } from "../../support/programs.ts"

const cpu = Effect.provide(Eager.layer("cpu"))
const x = Var.make("x", () => NdArray.float32([2], [1, -2]))
const rows = (n: number) => ({ a: NdArray.float32([n, 2], new Float32Array(2 * n).fill(0.5)) })
const square = ({ x }: { readonly x: tf.Tensor1D }): tf.Tensor => tf.sum(tf.square(x))

const one = (objective: (vars: any, batch: any) => any, data: Dataset.Dataset<any, any> = Dataset.none) =>
  Problem.close(Level.minimize(x, { name: "only", data, optimizer: Optimizer.sgd(0.1), objective: objective as never }))

/** Runs a problem that must fail; gives its error and checks that nothing is left. */
const failing = (problem: Problem.Problem<any, any, any>) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const before = yield* engine.live
    const error = yield* Effect.flip(Stream.runDrain(Run.ticks(problem, { ticks: 5, seed: 0 })))
    assert.strictEqual(yield* engine.live, before)
    return error as Error & { readonly _tag: string; readonly kind?: string; readonly level?: string }
  })

/** A level whose updates grow ten thousandfold, below one whose loss ends first. */
const growing = () => {
  const w = Var.make("w", () => NdArray.scalar(1))
  const lower = Level.minimize(w, {
    name: "lower",
    data: Dataset.none,
    optimizer: Optimizer.sgd(5000),
    objective: ({ w }) => tf.square(w)
  }).pipe(Level.hypergradient(Hypergradient.detached))
  const objective = ({ w, x }: { readonly w: tf.Scalar; readonly x: tf.Tensor1D }) =>
    tf.add(tf.pow(w, 4), square({ x }))
  return Problem.close(
    Level.minimize(x, {
      name: "upper",
      upstream: [lower],
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective
    })
  )
}

describe("bad input is a clear typed error with nothing left behind", () => {
  const cases: ReadonlyArray<readonly [string, Problem.Problem<any, any, any>, string, ReadonlyArray<string>]> = [
    [
      "NaN",
      one(({ x }) => tf.mul(tf.sum(x), Number.NaN)),
      "StepError",
      ["tick 1", "'only'", "the loss is NaN", "lower the learning rate"]
    ],
    [
      "a level that another one's growth ends",
      growing(),
      "StepError",
      ["tick 3", "'upper'", "the loss is Infinity: 'lower' has grown to a loss of 1.00e+16", "lower its rate"]
    ],
    [
      "infinite gradient",
      one(({ x }) => tf.sum(tf.sqrt(tf.sub(x, x)))),
      "StepError",
      ["'only'", "norm of the gradient"]
    ],
    ["a loss that is no scalar", one(({ x }) => tf.square(x)), "StepError", ["'only'", "shape [2]", "tf.mean"]],
    ["no loss", one(() => undefined), "StepError", ["'only'", "returned no loss"]],
    [
      "an undeclared variable",
      one(({ theta }) => tf.sum(theta)),
      "StepError",
      ["'only'", "'theta'", "declares x", "given or upstream"]
    ],
    [
      "a field the data lacks",
      one((_, { b }) => tf.sum(b), Dataset.constant("table", rows(3))),
      "StepError",
      ["field 'b'", "'table'", "it has a"]
    ],
    [
      "an objective that throws",
      one(() => {
        throw new Error("out of cheese")
      }),
      "StepError",
      ["'only'", "out of cheese"]
    ],
    [
      "an empty dataset",
      one(square, Dataset.fromRows("corpus", rows(0), { batch: 4 })),
      "DataError",
      ["'corpus'", "0 rows", "batch of 4"]
    ],
    [
      "columns of unequal length",
      one(
        square,
        Dataset.fromRows("t", { a: NdArray.float32([2, 1], [1, 2]), b: NdArray.float32([3], [1, 2, 3]) }, { batch: 1 })
      ),
      "DataError",
      ["'a' has 2 rows", "'b' has 3"]
    ],
    [
      "a missing field",
      one(
        square,
        Dataset.make("d", {
          fields: { a: Dataset.float32([2]) },
          open: Effect.succeed(() => Effect.succeed({} as never))
        })
      ),
      "DataError",
      ["'d'", "batch 0", "lacks field 'a'", "float32[2]"]
    ],
    [
      "a field of another shape",
      one(
        square,
        Dataset.make("d", {
          fields: { a: Dataset.float32([2]) },
          open: Effect.succeed(() => Effect.succeed({ a: NdArray.float32([3], [1, 2, 3]) } as never))
        })
      ),
      "DataError",
      ["float32[3]", "declared as float32[2]"]
    ]
  ]
  for (const [name, problem, tag, sentences] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const error = yield* failing(problem)
        assert.strictEqual(error._tag, tag)
        for (const sentence of sentences) assert.include(error.message, sentence)
      }).pipe(cpu)
    )
  }

  it.live("a metric that is no tensor", () =>
    Effect.gen(function* () {
      const error = yield* failing(one(({ x }) => ({ loss: tf.sum(x), metrics: { rate: 0.1 } })))
      assert.include(error.message, "metric 'rate' is 0.1")
    }).pipe(cpu)
  )

  it("a variable held constant at two values", () => {
    const y = Var.make("y", () => NdArray.scalar(0))
    const read = { given: [y], data: Dataset.none, optimizer: Optimizer.sgd(0.1) }
    const loss = ({ y }: { readonly y: tf.Scalar }) => tf.square(y)
    const left = Level.minimize(
      Var.make("left", () => NdArray.scalar(0)),
      { ...read, objective: loss }
    )
    const right = Level.minimize(
      Var.make("right", () => NdArray.scalar(0)),
      { ...read, objective: loss }
    )
    const top = Level.minimize(x, {
      upstream: [left.pipe(Level.fix(y, NdArray.scalar(1))), right.pipe(Level.fix(y, NdArray.scalar(2)))],
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective: square
    })
    const plan = Plan.make(Problem.close(top))
    assert.isTrue(Result.isFailure(plan) && plan.failure.kind === "FixedTwice")
  })

  it("a negative rate", () => {
    assert.throws(() => Optimizer.sgd(-0.1), /-0\.1/)
    assert.throws(() => Product.finiteDifference({ radius: 0 }), /radius is 0/)
    assert.throws(() => Solver.neumann({ terms: 2, rate: -1 }), /rate is -1/)
    assert.throws(() => Level.unroll(0), /unroll: 0/)
  })

  it.live("an engine that is not installed", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(Effect.void, Eager.layer("tensorflow-gpu")))
      assert.deepInclude(error, { _tag: "EngineError", kind: "Refused" })
      assert.include(error.message, "npm install @tensorflow/tfjs-node-gpu")
    })
  )
})

const bitsAfter = (problem: Problem.Problem<any, any, any>, ticks: number, seed: number) =>
  Run.ticks(problem, { ticks, seed }).pipe(
    Stream.filter((tick) => tick.index === ticks),
    Stream.mapEffect((tick) => tick.snapshot),
    Stream.runHead,
    Effect.map((state) => JSON.stringify(Option.getOrThrow(state)))
  )

describe("Run", () => {
  for (const [engine, layer] of [
    ["cpu", Eager.layer("cpu")],
    ["compiled", Compiled.layer()]
  ] as const) {
    it.live(`${engine}: is a function of program and seed, bit for bit`, () =>
      Effect.gen(function* () {
        const first = yield* bitsAfter(triLevel(), 12, 5)
        assert.strictEqual(yield* bitsAfter(triLevel(), 12, 5), first)
        assert.notStrictEqual(yield* bitsAfter(triLevel(), 12, 6), first)
      }).pipe(Effect.provide(layer))
    )

    it.live(`${engine}: goes on from a state with the bits of an undisturbed run, at every tick`, () =>
      Effect.gen(function* () {
        const whole = yield* bitsAfter(triLevel(), 9, 1)
        for (const at of [1, 2, 5, 8]) {
          const state = yield* Run.ticks(triLevel(), { ticks: at, seed: 1 }).pipe(
            Stream.filter((tick) => tick.index === at),
            Stream.mapEffect((tick) => tick.snapshot),
            Stream.runHead
          )
          const resumed = yield* Run.ticks(triLevel(), {
            ticks: 9,
            seed: 1,
            from: { tick: at, state: Option.getOrThrow(state) }
          }).pipe(
            Stream.filter((tick) => tick.index === 9),
            Stream.mapEffect((tick) => tick.snapshot),
            Stream.runHead
          )
          assert.strictEqual(JSON.stringify(Option.getOrThrow(resumed)), whole, `from tick ${at}`)
        }
      }).pipe(Effect.provide(layer))
    )
  }

  it.live("wasm agrees with cpu", () =>
    Effect.gen(function* () {
      const values = (json: string) => Object.values(JSON.parse(json).vars.theta.w1.data) as ReadonlyArray<number>
      const sgd = { optimizer: Optimizer.sgd(0.05) }
      const one = values(yield* bitsAfter(triLevel(sgd), 6, 2).pipe(cpu))
      const other = values(yield* bitsAfter(triLevel(sgd), 6, 2).pipe(Effect.provide(Eager.layer("wasm"))))
      one.forEach((v, i) => assert.closeTo(other[i]!, v, 1e-5))
    })
  )

  it.live("follows schedules: repeat, warm-up, freeze and restart", () =>
    Effect.gen(function* () {
      const y = Var.make("y", () => NdArray.scalar(4))
      // Each update of x adds 1 and each of y halves it, so that values count updates.
      const lower = Level.minimize(x, {
        name: "lower",
        data: Dataset.none,
        optimizer: Optimizer.sgd(1),
        objective: ({ x }) => tf.neg(tf.sum(x))
      }).pipe(Level.unroll(2), Level.freeze(7), Level.restart, Level.hypergradient(Hypergradient.detached))
      const upper = Level.minimize(y, {
        name: "upper",
        upstream: [lower],
        data: Dataset.none,
        optimizer: Optimizer.sgd(0.5),
        objective: ({ y }) => tf.mul(0.5, tf.square(y))
      }).pipe(Level.repeat(2), Level.warmup(3))
      const seen = yield* Run.ticks(Problem.close(upper), { ticks: 10, seed: 0 }).pipe(
        Stream.mapEffect((tick) =>
          Effect.map(tick.read(["x", "y"]), (vars) => [
            Object.keys(tick.levels).join("+"),
            (vars.x as NdArray.NdArray).data[0],
            (vars.y as NdArray.NdArray).data[0]
          ])
        ),
        Stream.runCollect
      )
      assert.deepStrictEqual(seen, [
        ["lower", 2, 4],
        ["lower", 3, 4],
        ["lower", 2, 4],
        ["lower+upper", 3, 1],
        ["lower", 2, 1],
        ["lower+upper", 3, 0.25],
        ["lower", 2, 0.25],
        ["upper", 2, 0.0625],
        ["", 2, 0.0625],
        ["upper", 2, 0.015625]
      ])
    }).pipe(cpu)
  )

  for (const [name, optimizer] of Object.entries({
    "a rate of the clock": Optimizer.sgd(Rate.linear({ peak: 0.3, warmup: 2, total: 9 })),
    momentum: Optimizer.momentum(0.05, { momentum: 0.9 }),
    adam: Optimizer.adam(0.1)
  })) {
    it.live(`a restart forgets the optimizer, its clock included: every round under ${name} is the first`, () =>
      Effect.gen(function* () {
        const lower = Level.minimize(x, {
          name: "lower",
          data: Dataset.none,
          optimizer,
          objective: square
        }).pipe(Level.unroll(3), Level.repeat(2), Level.restart, Level.hypergradient(Hypergradient.detached))
        const upper = Level.minimize(
          Var.make("y", () => NdArray.scalar(4)),
          {
            name: "upper",
            upstream: [lower],
            data: Dataset.none,
            optimizer: Optimizer.sgd(0.5),
            objective: ({ y }) => tf.square(y)
          }
        )
        const seen = yield* Run.ticks(Problem.close(upper), { ticks: 9, seed: 0 }).pipe(
          Stream.mapEffect((tick) => Effect.map(tick.read(["x"]), (vars) => Array.from(vars.x.data))),
          Stream.runCollect
        )
        assert.deepStrictEqual(seen.slice(3, 6), seen.slice(0, 3))
        assert.deepStrictEqual(seen.slice(6), seen.slice(0, 3))
        assert.strictEqual(new Set(seen.slice(0, 3).map(String)).size, 3)
      }).pipe(cpu)
    )
  }

  it.live("reports contributions and residuals on diagnostic ticks", () =>
    Effect.gen(function* () {
      const ticks = yield* Stream.runCollect(Run.ticks(triLevel(), { ticks: 4, seed: 0, diagnosticsEvery: 4 }))
      assert.isUndefined(ticks[1]!.levels["reweight"]!.report)
      const report = ticks[3]!.levels["reweight"]!.report!
      assert.hasAllKeys(report.residuals, ["finetune", "pretrain"])
      assert.hasAllKeys(report.parts, ["pretrain"])
      assert.closeTo(report.parts["pretrain"]!.norm, ticks[3]!.levels["reweight"]!.gradientNorm, 1e-6)
      assert.closeTo(report.parts["pretrain"]!.cosine, 1, 1e-5)
      assert.strictEqual(report.direct, 0)
    }).pipe(cpu)
  )
})
