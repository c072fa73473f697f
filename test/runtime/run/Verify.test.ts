import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Dataset from "../../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Level from "../../../src/dsl/Level.ts"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import type { Optimizer as Optimizing } from "../../../src/dsl/Optimizer.ts"
import * as Problem from "../../../src/dsl/Problem.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Var from "../../../src/dsl/Var.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as Verify from "../../../src/runtime/run/Verify.ts"
import * as M from "../../../src/testing/Matrix.ts"
import * as Quadratic from "../../../src/testing/Quadratic.ts"

const estimator = (solver: Hypergradient.Solver) =>
  Hypergradient.implicit({ solver, product: Product.finiteDifference({ radius: 1 }) })

describe("Verify", () => {
  it.live("agrees with the closed form, and tells a right hypergradient from a wrong one", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const before = yield* engine.live
      const quadratic = (solver: Hypergradient.Solver) => Quadratic.random(Seed.make(5), 4, estimator(solver))
      const right = yield* Verify.verify(
        quadratic(Solver.conjugateGradient({ iterations: 6 })).problem as Problem.Problem<any>,
        { seed: 0, radius: 0.1, solveTicks: 110 }
      )
      const { gradient } = quadratic(Solver.identity)
      assert.isBelow(
        M.relativeError(
          right.directions.map((d) => d.swept),
          gradient
        ),
        1e-3
      )
      assert.isBelow(
        M.relativeError(
          right.directions.map((d) => d.difference),
          gradient
        ),
        1e-3
      )
      assert.isBelow(right.relativeError, 1e-3)
      for (const norm of Object.values(right.solved)) assert.isBelow(norm, 1e-4)
      const wrong = yield* Verify.verify(quadratic(Solver.identity).problem as Problem.Problem<any>, {
        seed: 0,
        radius: 0.1
      })
      assert.isAbove(wrong.relativeError, 0.05)
      assert.include(Verify.text(wrong), "relative error")
      assert.strictEqual(yield* engine.live, before)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it("refuses numbers that are none", () => {
    const { problem } = Quadratic.random(Seed.make(1), 2, estimator(Solver.identity))
    const options = { directions: 0, solveTicks: 1.5, radius: Number.NaN }
    for (const [name, value] of Object.entries(options)) {
      assert.throws(
        () => Verify.verify(problem as Problem.Problem<any>, { seed: 0, [name]: value }),
        `${name} is ${value}`
      )
    }
  })

  it.live("refuses a level that is not there", () =>
    Effect.gen(function* () {
      const { problem } = Quadratic.random(Seed.make(1), 2, estimator(Solver.identity))
      const error = yield* Effect.flip(Verify.verify(problem as Problem.Problem<any>, { seed: 0, level: "nobody" }))
      assert.include((error as Error).message, "levels are")
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  // The lower level minimizes ½a(x − y)² from x₀ = 0.5, four numbers in two leaves; the upper ½‖x − 2‖² over y.
  const pair = (
    estimator: Hypergradient.Hypergradient,
    options: {
      readonly optimizer?: Optimizing
      readonly schedule?: (level: Level.Level.Any) => Level.Level.Any
      readonly curvature?: number
      readonly reads?: (y: { readonly first: tf.Tensor; readonly second: tf.Tensor }) => tf.Tensor
    } = {}
  ) => {
    const { curvature = 1, optimizer = Optimizer.sgd(0.1), schedule = (level) => level } = options
    const { reads = ({ first, second }) => tf.concat([first, second]) } = options
    const x = Var.make("x", () => NdArray.float32([4], [0.5, 0.5, 0.5, 0.5]))
    const y = Var.make("y", () => ({
      first: NdArray.float32([2], [1, 0.3]),
      second: NdArray.float32([2], [-0.2, 0.7])
    }))
    const inner = Level.minimize(x, {
      name: "inner",
      given: [y],
      data: Dataset.none,
      optimizer,
      objective: ({ x, y }) => tf.mul(curvature / 2, tf.sum(tf.square(tf.sub(x, reads(y))))) as tf.Scalar
    }).pipe(Level.hypergradient(estimator))
    const outer = Level.minimize(y, {
      name: "outer",
      upstream: [schedule(inner) as typeof inner],
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective: ({ x }) => tf.mul(0.5, tf.sum(tf.square(tf.sub(x, 2)))) as tf.Scalar
    })
    return Problem.close(outer)
  }
  const product = Product.finiteDifference({ radius: 1 })
  const unrolled = (steps: number) => Hypergradient.unrolled({ steps, product })
  const implicit = (solver: Hypergradient.Solver) => Hypergradient.implicit({ solver, product })
  const cpu = Effect.provide(Eager.layer("cpu"))
  const radius = 0.03

  const kStep: ReadonlyArray<readonly [string, Parameters<typeof pair>]> = [
    ["without a restart", [unrolled(3)]],
    ["from a restart", [unrolled(3), { schedule: (level) => level.pipe(Level.unroll(3), Level.restart) as never }]],
    [
      "shorter than the round",
      [unrolled(2), { schedule: (level) => level.pipe(Level.unroll(5), Level.restart) as never }]
    ],
    ["with several updates a turn", [unrolled(3), { schedule: (level) => level.pipe(Level.repeat(2)) as never }]],
    [
      "of an optimizer with moments",
      [
        unrolled(3),
        {
          optimizer: Optimizer.adam(0.1, { epsilon: 1 }),
          schedule: (level) => level.pipe(Level.unroll(3), Level.restart) as never
        }
      ]
    ]
  ]
  for (const [name, program] of kStep) {
    it.live(`an unrolled level claims its last updates, ${name}`, () =>
      Effect.gen(function* () {
        const found = yield* Verify.verify(pair(...program), { seed: 0, radius, solveTicks: 40 })
        assert.isBelow(found.error, 1e-3, Verify.text(found))
        assert.isAbove(found.cosine, 0.9999)
        assert.closeTo(found.scale, 1, 1e-3)
        assert.isUndefined(Verify.failing(found, 1e-3))
      }).pipe(cpu)
    )
  }
  it.live("the k-step derivative is that of the loop, in closed form", () =>
    Effect.gen(function* () {
      const [, program] = kStep[1]!
      const found = yield* Verify.verify(pair(...program), { seed: 0, radius, solveTicks: 10 })
      // x₃ = y + 0.9³ (x₀ − y)
      const expected = [1, 0.3, -0.2, 0.7].map((y) => (y + 0.729 * (0.5 - y) - 2) * (1 - 0.729))
      const [swept, difference] = [found.directions.map((d) => d.swept), found.directions.map((d) => d.difference)]
      assert.isBelow(M.relativeError(swept, expected), 1e-3)
      assert.isBelow(M.relativeError(difference, expected), 1e-3)
      assert.include(Verify.text(found), "inner: the last 3 updates again, from a restart")
    }).pipe(cpu)
  )
  it.live("a detached level claims to be a constant, so that no gradient arrives, which is no pass", () =>
    Effect.gen(function* () {
      const found = yield* Verify.verify(pair(Hypergradient.detached), { seed: 0, radius, solveTicks: 10 })
      assert.deepStrictEqual(found.silent, ["first", "second"])
      assert.include(Verify.text(found), "no gradient arrives at 'y.first', 'y.second'")
      assert.include(Verify.failing(found, 1e9) ?? "", "no gradient arrives")
    }).pipe(cpu)
  )
  it.live("says what is above its bound, and whether differences could tell", () =>
    Effect.gen(function* () {
      const found = yield* Verify.verify(pair(implicit(Solver.exact)), { seed: 0, radius, solveTicks: 100 })
      const wrong = { ...found, error: 0.27419, noise: 0.001 }
      assert.strictEqual(Verify.failing(wrong, 0.02), "relative error 2.74e-1 is above 0.02")
      assert.match(
        Verify.failing({ ...wrong, noise: 1.7 }, 0.02) ?? "",
        /good to 1.70e\+0 only: solve the levels below further/
      )
      const lost = Verify.failing({ ...wrong, error: NaN, noise: NaN, solved: { inner: NaN } }, 0.02) ?? ""
      assert.match(
        lost,
        /^relative error NaN is above 0.02: 'inner' came to a gradient norm of NaN, .* lower its rate$/
      )
    }).pipe(cpu)
  )
  it.live("a leaf that nothing reads is named", () =>
    Effect.gen(function* () {
      const half = pair(implicit(Solver.exact), { reads: ({ first }) => tf.concat([first, first]) })
      const found = yield* Verify.verify(half, { seed: 0, radius, solveTicks: 100 })
      assert.deepStrictEqual(found.silent, ["second"])
      assert.strictEqual(Verify.failing(found, 1), "no gradient arrives at 'y.second'")
    }).pipe(cpu)
  )
  it.live("the identity claims a direction: its size is shown and not checked", () =>
    Effect.gen(function* () {
      const options = { seed: 0, radius, solveTicks: 20 }
      const found = yield* Verify.verify(pair(implicit(Solver.identity), { curvature: 5 }), options)
      assert.closeTo(found.scale, 5, 1e-2)
      assert.closeTo(found.relativeError, 4, 1e-2)
      assert.isBelow(found.error, 1e-3)
      assert.isUndefined(Verify.failing(found, 1e-3))
      assert.include(Verify.text(found), "inner: the estimator answers in a size of its own")
      const backwards = {
        ...Solver.identity,
        update: ((_: unknown, v: tf.Tensor, state: unknown) => [tf.neg(v), state]) as never
      }
      const wrong = yield* Verify.verify(pair(implicit(backwards), { curvature: 5 }), options)
      assert.closeTo(wrong.error, 2, 1e-2)
      const truncated = yield* Verify.verify(
        pair(implicit(Solver.neumann({ terms: 1, rate: 0.1 })), { curvature: 5 }),
        options
      )
      assert.closeTo(truncated.error, 0.25, 1e-2)
    }).pipe(cpu)
  )
  it.live("a warm solver is asked until it has come to its answer", () =>
    Effect.gen(function* () {
      const soba = implicit(Solver.warm(Solver.neumann({ terms: 0, rate: 0.3 })))
      const found = yield* Verify.verify(pair(soba), { seed: 0, radius, solveTicks: 80 })
      assert.isBelow(found.error, 1e-3)
    }).pipe(cpu)
  )
  it.live("directions of a large variable stay measurable, and name their leaves", () =>
    Effect.gen(function* () {
      const n = 4000
      const x = Var.make("x", () => NdArray.float32([n], Seed.normal(Seed.make(1), n)))
      const y = Var.make("y", () => ({
        big: NdArray.float32([n], Seed.normal(Seed.make(2), n)),
        one: NdArray.float32([], [1])
      }))
      const inner = Level.minimize(x, {
        given: [y],
        data: Dataset.none,
        optimizer: Optimizer.sgd(1),
        objective: ({ x, y }) => tf.mul(0.5, tf.sum(tf.square(tf.sub(x, tf.mul(y.big, y.one))))) as tf.Scalar
      }).pipe(Level.hypergradient(implicit(Solver.conjugateGradient({ iterations: 1 }))))
      const outer = Level.minimize(y, {
        upstream: [inner],
        data: Dataset.none,
        optimizer: Optimizer.sgd(0.1),
        objective: ({ x }) => tf.mul(1 / n, tf.sum(tf.square(tf.sub(x, 2)))) as tf.Scalar
      })
      const found = yield* Verify.verify(Problem.close(outer), { seed: 0, radius, solveTicks: 5, directions: 6 })
      assert.isBelow(found.error, 5e-3, Verify.text(found))
      const names = found.directions.map((d) => d.name)
      assert.deepStrictEqual(names.slice(0, 3), ["the gradient", "the gradient in one", "the gradient in big"])
      assert.include(names, "half of it in big")
      assert.isBelow(found.noise, 5e-3)
    }).pipe(cpu)
  )
})
