import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import type { Problem } from "../../../src/dsl/Problem.ts"
import * as Seed from "../../../src/dsl/Seed.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as Verify from "../../../src/runtime/run/Verify.ts"
import * as M from "../../support/matrix.ts"
import * as Quadratic from "../../support/quadratic.ts"

const estimator = (solver: Hypergradient.Solver) =>
  Hypergradient.implicit({ solver, product: Product.finiteDifference({ radius: 1 }) })

describe("Verify", () => {
  it.live("agrees with the closed form, and tells a right hypergradient from a wrong one", () =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const before = yield* engine.live
      const quadratic = (solver: Hypergradient.Solver) => Quadratic.random(Seed.make(5), 4, estimator(solver))
      const right = yield* Verify.verify(
        quadratic(Solver.conjugateGradient({ iterations: 6 })).problem as Problem<any>,
        { seed: 0, radius: 0.1 }
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
      const wrong = yield* Verify.verify(quadratic(Solver.identity).problem as Problem<any>, { seed: 0, radius: 0.1 })
      assert.isAbove(wrong.relativeError, 0.05)
      assert.include(Verify.text(wrong), "relative error")
      assert.strictEqual(yield* engine.live, before)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it.live("refuses a level that is not there", () =>
    Effect.gen(function* () {
      const { problem } = Quadratic.random(Seed.make(1), 2, estimator(Solver.identity))
      const error = yield* Effect.flip(Verify.verify(problem as Problem<any>, { seed: 0, level: "nobody" }))
      assert.include((error as Error).message, "levels are")
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})
