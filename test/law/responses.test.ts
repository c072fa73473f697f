/** Responses of responses: hypergradients equal central differences of problems that are solved again, level within level. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Compiled from "../../src/engines/compiled/CompiledEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as PlanText from "../../src/runtime/plan/PlanText.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as Verify from "../../src/runtime/run/Verify.ts"
import * as M from "../../src/testing/Matrix.ts"
import * as Games from "../support/games.ts"
import { long } from "../support/long.ts"
import { swept } from "../support/hypergradient.ts"

const chain: ReadonlyArray<Games.Player> = [
  { name: "w", given: ["m", "y"] },
  { name: "m", given: ["y"], upstream: ["w"] },
  { name: "y", upstream: ["m", "w"] }
]
const diamond: ReadonlyArray<Games.Player> = [
  { name: "a", given: ["m"] },
  { name: "b", given: ["m", "y"], upstream: ["a"] },
  { name: "c", given: ["y"], upstream: ["a"] },
  { name: "m", upstream: ["b", "c"] },
  { name: "y", upstream: ["m", "c"] }
]
const four: ReadonlyArray<Games.Player> = [
  { name: "w", given: ["m", "x", "y"] },
  { name: "m", given: ["x"], upstream: ["w"] },
  { name: "x", given: ["y"], upstream: ["m"] },
  { name: "y", upstream: ["x", "w"] }
]

const by = (solver: Hypergradient.Solver, product: Hypergradient.Product = Product.exact) =>
  Hypergradient.implicit({ solver, product })
const exact = by(Solver.exact)
const errorOf = (game: Games.Game, estimator: (name: string) => Hypergradient.Hypergradient = () => exact) =>
  Effect.map(swept(game.problem(estimator)), ({ gradient }) => M.relativeError(gradient, game.gradient))
const bent = Games.make(Seed.make(0), chain, { bent: true, size: 1 })

describe("hypergradients of problems whose levels learn from responses", () => {
  for (const [what, players, size, seeds] of [
    ["a chain of three", chain, 2, [1]],
    ["a diamond below a level that learns", diamond, 1, [1]],
    ["a chain of four", four, 1, [0]]
  ] as const) {
    it.live(`${what}: 2e-6 on quadratics, 1e-3 on bent losses, by exact products`, () =>
      Effect.gen(function* () {
        for (const seed of seeds) {
          // Compiling what the chain of four needs of bent losses takes a while.
          for (const bent of players === four && !long ? [false] : [false, true]) {
            const error = yield* errorOf(Games.make(Seed.make(seed), players, { bent, size }))
            assert.isBelow(error, bent ? 1e-3 : 2e-6, `seed ${seed}`)
          }
        }
      }).pipe(Effect.provide(Compiled.layer()))
    )
  }

  it.live("every solver that solves, and a level that keeps its own solution on top of them", () =>
    Effect.gen(function* () {
      for (const solver of [
        Solver.conjugateGradient({ iterations: 1 }),
        Solver.minres({ iterations: 1 }),
        Solver.neumann({ terms: 6, rate: 0.3 })
      ]) {
        assert.isBelow(yield* errorOf(bent, () => by(solver)), 1e-3, solver.name)
      }
      const nystrom = Solver.nystrom({ rank: 1, damping: 1e-4 })
      assert.isBelow(yield* errorOf(bent, () => by(nystrom)), 3e-3)
    }).pipe(Effect.provide(Compiled.layer()))
  )

  it.live("finite differences of sweeps on an eager engine", () =>
    Effect.gen(function* () {
      const quadratic = by(Solver.exact, Product.finiteDifference({ radius: 1 }))
      assert.isBelow(yield* errorOf(Games.make(Seed.make(5), chain, { bent: false }), () => quadratic), 1e-4)
      const near = by(Solver.exact, Product.finiteDifference({ radius: 0.1 }))
      assert.isBelow(yield* errorOf(bent, () => near), 5e-3)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it.live("levels are solved where their weight decays let them stand still", () =>
    Effect.gen(function* () {
      const options = { bent: true, decay: 0.4, size: 1 }
      const decayed = Games.make(Seed.make(0), chain, options)
      assert.isBelow(yield* errorOf(decayed), 1e-3)
      // Without the decay in the curvature this is what it would be.
      assert.isAbove(M.relativeError(bent.gradient, decayed.gradient), 0.01)
    }).pipe(Effect.provide(Compiled.layer()))
  )

  it.live("what leaves a part out is told apart: followers held, or the upper solve replaced", () =>
    Effect.gen(function* () {
      for (const without of [
        (name: string) => (name === "w" ? Hypergradient.detached : exact),
        (name: string) => (name === "m" ? Hypergradient.detached : exact),
        (name: string) => (name === "m" ? by(Solver.identity) : exact)
      ])
        assert.isAbove(yield* errorOf(bent, without), 0.01)
    }).pipe(Effect.provide(Compiled.layer()))
  )

  it.live("and `verify` finds the same from a run's own ticks", () =>
    Effect.gen(function* () {
      const problem = Games.make(Seed.make(0), chain, { bent: true, optimizer: Optimizer.sgd(0.2), size: 1 }).problem(
        () => exact
      )
      const { error } = yield* Verify.verify(problem, { seed: 0 })
      assert.isBelow(error, 1e-3)
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("the plan of a response of a response", () => {
  it.live("costs what it says, evaluation by evaluation", () =>
    Effect.gen(function* () {
      for (const [players, solver] of [
        [chain, Solver.conjugateGradient({ iterations: 2 })],
        [diamond, Solver.minres({ iterations: 1 })],
        [chain, Solver.neumann({ terms: 3, rate: 0.1 })]
      ] as const) {
        const estimator = by(solver, Product.finiteDifference({ radius: 0.5 }))
        const problem = Games.make(Seed.make(0), players, { bent: false, size: 1 }).problem(() => estimator)
        let evaluations = 0
        const counting = problem.pipe(
          Problem.mapLevels((level) => {
            const objective = (vars: never, batch: never) => {
              evaluations++
              return level.objective(vars, batch)
            }
            return Object.assign(Object.create(Object.getPrototypeOf(level)), level, { objective })
          })
        )
        yield* Stream.runDrain(Run.ticks(counting, { ticks: 1, seed: 0 }))
        const { cost } = Result.getOrThrow(Plan.make(problem))
        assert.strictEqual(
          evaluations,
          cost.reduce((sum, level) => sum + level.evaluations, 0),
          solver.name
        )
      }
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it("says which levels follow, and of dense solves within dense solves the product of sizes", () => {
    const text = PlanText.text(Result.getOrThrow(Plan.make(bent.problem(() => exact))))
    assert.match(text, /solve at m\s+exact × exact\s+→ y\s+while w follows/)
    assert.match(text, /× size of 'm × w'/)
  })

  it("refuses, with the reason, what no estimator can do", () => {
    const refusal = (of: (name: string) => Hypergradient.Hypergradient) => {
      const plan = Plan.make(bent.problem(of))
      return Result.isFailure(plan) ? plan.failure : undefined
    }
    for (const stiff of [
      by(Solver.identity),
      by(Solver.sama),
      by(Solver.warm(Solver.conjugateGradient({ iterations: 2 }))),
      Hypergradient.unrolled({ steps: 1, product: Product.exact })
    ]) {
      const failure = refusal((name) => (name === "w" ? stiff : exact))!
      assert.strictEqual(failure.kind, "ResponseOfResponse")
      assert.include(
        failure.message,
        `'${Hypergradient.describe(stiff)}' of 'w' is no solve that can be differentiated`
      )
    }
    const unrolled = Hypergradient.unrolled({ steps: 1, product: Product.exact })
    assert.match(refusal((name) => (name === "m" ? unrolled : exact))!.message, /does not differentiate its optimality/)
    assert.isUndefined(refusal((name) => (name === "m" ? by(Solver.warm(Solver.exact)) : exact)))
  })
})
