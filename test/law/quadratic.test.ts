import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { swept } from "../support/hypergradient.ts"
import * as M from "../../src/testing/Matrix.ts"
import * as Quadratic from "../../src/testing/Quadratic.ts"

const product = Product.finiteDifference({ radius: 1 })
const implicit = (solver: Hypergradient.Solver) => Hypergradient.implicit({ solver, product })
const cpu = Effect.provide(Eager.layer("cpu"))
const cases = Array.from({ length: 40 }, (_, i) => i)

describe("on random quadratic problems over random DAGs the swept hypergradient is the derivative of the composed best response", () => {
  for (const [name, solver] of [
    ["conjugate gradient", Solver.conjugateGradient({ iterations: 6 })],
    ["exact", Solver.exact]
  ] as const) {
    it.live(`with ${name}, to 1e-4`, () =>
      Effect.forEach(cases, (i) =>
        Effect.gen(function* () {
          const quadratic = Quadratic.random(Seed.make(i), 2 + (i % 7), implicit(solver))
          const { gradient } = yield* swept(quadratic.problem)
          assert.isBelow(M.relativeError(gradient, quadratic.gradient), 1e-4, `seed ${i}`)
        })
      ).pipe(cpu)
    )
  }

  for (const [name, solver] of [
    ["conjugate gradient", Solver.conjugateGradient({ iterations: 6 })],
    ["exact", Solver.exact]
  ] as const) {
    it.live(`with ${name} and exact products on the compiled engine, to 2e-6`, () =>
      Effect.forEach(cases.slice(0, 8), (i) =>
        Effect.gen(function* () {
          const estimator = Hypergradient.implicit({ solver, product: Product.exact })
          const quadratic = Quadratic.random(Seed.make(i), 2 + (i % 7), estimator)
          const { gradient } = yield* swept(quadratic.problem)
          assert.isBelow(M.relativeError(gradient, quadratic.gradient), 2e-6, `seed ${i}`)
        })
      ).pipe(Effect.provide(Compiled.layer({ threads: 1 })))
    )
  }

  it.live("Neumann converges to it as terms grow", () =>
    Effect.forEach([1, 2, 3], (i) =>
      Effect.gen(function* () {
        const errors: Array<number> = []
        for (const terms of [0, 2, 8, 32, 128]) {
          const quadratic = Quadratic.random(Seed.make(i), 4, implicit(Solver.neumann({ terms, rate: 0.25 })))
          const { gradient } = yield* swept(quadratic.problem)
          errors.push(M.relativeError(gradient, quadratic.gradient))
        }
        for (let k = 1; k < errors.length; k++)
          assert.isTrue(errors[k]! < errors[k - 1]! || errors[k]! < 1e-4, `${errors}`)
        assert.isBelow(errors.at(-1)!, 1e-4)
      })
    ).pipe(cpu)
  )

  it.live("identity is told apart from it", () =>
    Effect.gen(function* () {
      const quadratic = Quadratic.random(Seed.make(5), 4, implicit(Solver.identity))
      const { gradient } = yield* swept(quadratic.problem)
      assert.isAbove(M.relativeError(gradient, quadratic.gradient), 0.05)
    }).pipe(cpu)
  )

  it.live("declaration order changes no bit", () =>
    Effect.forEach(cases.slice(0, 10), (i) =>
      Effect.gen(function* () {
        const estimator = implicit(Solver.conjugateGradient({ iterations: 4 }))
        const one = yield* swept(Quadratic.random(Seed.make(i), 6, estimator).problem)
        const other = yield* swept(Quadratic.random(Seed.make(i), 6, estimator, true).problem)
        assert.deepStrictEqual(one.gradient, other.gradient)
      })
    ).pipe(cpu)
  )

  it.live("residuals say how well each solve went", () =>
    Effect.gen(function* () {
      const good = yield* swept(
        Quadratic.random(Seed.make(3), 5, implicit(Solver.conjugateGradient({ iterations: 6 }))).problem
      )
      const poor = yield* swept(Quadratic.random(Seed.make(3), 5, implicit(Solver.identity)).problem)
      assert.isNotEmpty(good.residuals)
      for (const level of Object.keys(good.residuals)) {
        assert.isBelow(good.residuals[level]!, 1e-4)
        assert.isAbove(poor.residuals[level]!, 1e-2)
      }
    }).pipe(cpu)
  )
})
