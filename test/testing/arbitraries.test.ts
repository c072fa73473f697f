import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import fc from "fast-check"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as Arbitrary from "../../src/testing/Arbitrary.ts"
import * as Law from "../../src/testing/Law.ts"
import * as M from "../../src/testing/Matrix.ts"
import { holds } from "../../src/testing/Property.ts"
import { swept } from "../support/hypergradient.ts"
import { defects } from "../support/wiringOracle.ts"

const cpu = Eager.layer("cpu")
const compiled = Compiled.layer({ threads: 1 })
const identity = Hypergradient.implicit({ solver: Solver.identity, product: Product.finiteDifference({ radius: 1 }) })

describe("wirings", () => {
  it("are accepted by the plan exactly where they have no defect, and some of both are drawn", () => {
    const seen = { accepted: 0, refused: 0 }
    fc.assert(
      fc.property(Arbitrary.wiring(), (wiring) => {
        const accepted = Result.isSuccess(Plan.fromWiring(wiring))
        seen[accepted ? "accepted" : "refused"]++
        return accepted === (defects(wiring).size === 0)
      }),
      { seed: 1, numRuns: 1000 }
    )
    assert.isAbove(Math.min(seen.accepted, seen.refused), 200)
  })

  it("shrink to few levels", () => {
    const found = fc.check(
      fc.property(Arbitrary.wiring(), ({ levels }) => levels.length < 3),
      { seed: 1 }
    )
    assert.strictEqual(found.counterexample?.[0].levels.length, 3)
  })
})

describe("quadratic problems", () => {
  const closedForm = (options: Parameters<typeof Arbitrary.quadratic>[0], bound: number) =>
    holds("closed form", Arbitrary.quadratic(options), { cases: 8 }, ({ gradient, problem }) =>
      Effect.map(swept(problem), (found) => {
        const error = M.relativeError(found.gradient, gradient)
        return error < bound ? undefined : `the swept gradient is off by ${error}`
      })
    )

  it.live("have the hypergradient that they say", () => closedForm({}, 2e-6).pipe(Effect.provide(compiled)))

  it.live("and a solver that does not solve is found by it, as a small case", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(closedForm({ estimator: identity }, 1e-4))
      assert.match(error.case, /^\{"levels":1,"seed":\d+\}$/)
    }).pipe(Effect.provide(cpu))
  )
})

describe("laws of drawn problems", () => {
  const each = <A>(arbitrary: fc.Arbitrary<A>, numRuns: number) => fc.sample(arbitrary, { seed: 5, numRuns })
  const once = { cases: 1, ticks: 4 }

  it.live("quadratics: order of declaration, and a gradient everywhere", () =>
    Effect.forEach(each(Arbitrary.quadratic(), 6), ({ problem }) =>
      Effect.andThen(Law.declarationOrder(problem, once), Law.gradientReaches(problem, once))
    ).pipe(Effect.provide(compiled))
  )

  it.live("quadratics: the hypergradient, by differences of the problem solved again", () =>
    Effect.forEach(each(Arbitrary.quadratic({ levels: 3 }), 2), ({ problem }) =>
      Law.hypergradient(problem, { cases: 1, radius: 0.1, solveTicks: 110, tolerance: 1e-3 })
    ).pipe(Effect.provide(compiled))
  )

  it.live("nets: order of declaration, engines, resumption, endings", () =>
    Effect.forEach(each(Arbitrary.problem(), 4), (problem) =>
      Effect.forEach([Law.declarationOrder, Law.engines, Law.resume, Law.nothingLeft], (law) => law(problem, once))
    ).pipe(Effect.provide(compiled))
  )
})

describe("batches", () => {
  const fields = { x: Dataset.float32([4, 3]), y: Dataset.int32([4]), key: Dataset.int32([2]) }
  const dataset = Dataset.make("drawn", { fields, open: Effect.die("nothing opens it") })

  it("have the fields that a dataset declares, and whole numbers within bounds", () => {
    const numbers = new Set<number>()
    let zeros = 0
    fc.assert(
      fc.property(Arbitrary.batch(dataset, { integers: { min: -1, max: 3 } }), (batch) => {
        assert.sameMembers(Object.keys(batch), Object.keys(fields))
        for (const [name, { dtype, shape }] of Object.entries(fields)) {
          const field = batch[name as keyof typeof fields]
          assert.deepStrictEqual([field.dtype, [...field.shape]], [dtype, [...shape]])
          assert.isTrue(field.data.every(Number.isFinite))
        }
        for (const n of [...batch.y.data, ...batch.key.data]) numbers.add(n)
        if (batch.x.data.every((x) => x === 0)) zeros++
      }),
      { seed: 1 }
    )
    assert.deepStrictEqual([...numbers].sort(), [-1, 0, 1, 2, 3])
    assert.isAbove(zeros, 0)
  })
})
