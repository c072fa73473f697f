import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { swept } from "../support/hypergradient.ts"
import * as M from "../../src/testing/Matrix.ts"

// The lower level minimizes ½ Σ hᵢ xᵢ² − Σ xᵢ yᵢ, with curvatures h of one's choice; the upper ½‖x − 1‖² over y.
const problem = (
  solver: Hypergradient.Solver,
  h: ReadonlyArray<number>,
  product = Product.finiteDifference({ radius: 1 })
) => {
  const n = h.length
  const x = Var.make("x", () =>
    NdArray.float32(
      [n],
      Array.from(h, () => 0)
    )
  )
  const y = Var.make("y", () =>
    NdArray.float32(
      [n],
      Array.from(h, (_, i) => i + 1)
    )
  )
  const lower = Level.minimize(x, {
    name: "lower",
    given: [y],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.01),
    objective: ({ x, y }) =>
      tf.sub(
        tf.mul(0.5, tf.sum(tf.mul(tf.tensor1d(h as Array<number>), tf.square(x)))),
        tf.sum(tf.mul(x, y))
      ) as tf.Scalar
  }).pipe(Level.hypergradient(Hypergradient.implicit({ solver, product })))
  const upper = Level.minimize(y, {
    name: "upper",
    upstream: [lower],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.01),
    objective: ({ x }) => tf.mul(0.5, tf.sum(tf.square(tf.sub(x, 1)))) as tf.Scalar
  })
  return Problem.close(upper)
}

const singular = [2, 0, 0]
const steep = [40, 1, 0.5]
const ill: { readonly [what: string]: readonly [Hypergradient.Solver, ReadonlyArray<number>, ReadonlyArray<string>] } =
  {
    "conjugate gradient on a singular H": [
      Solver.conjugateGradient({ iterations: 40 }),
      singular,
      ["cg(40) at level 'lower'", "curvature is not positive along the solve", "Solver.damped"]
    ],
    "a Neumann series with too high a rate": [
      Solver.neumann({ terms: 60, rate: 1 }),
      steep,
      ["neumann(60, 1) at level 'lower'", "the series diverges", "lower the rate"]
    ],
    "a warm solver that runs away": [
      Solver.warm(Solver.neumann({ terms: 1, rate: 1 })),
      steep,
      ["warm neumann(1, 1) at level 'lower'", "runs away from tick to tick"]
    ],
    "a dense solve of a singular H": [Solver.exact, singular, ["exact at level 'lower'", "singular", "Solver.damped"]]
  }

describe("a solve that goes wrong says so, where numbers end", () => {
  for (const [engine, layer, product] of [
    ["eager", Eager.layer("cpu"), Product.finiteDifference({ radius: 1 })],
    ["compiled", Compiled.layer({ threads: 1 }), Product.exact]
  ] as const) {
    for (const [what, [solver, h, sentences]] of Object.entries(ill)) {
      // Finite differences of a solution beyond 1e8 are all rounding: zero, and nothing ends.
      if (engine === "eager" && solver.name.startsWith("warm")) continue
      it.live(`${engine}: ${what}`, () =>
        Effect.gen(function* () {
          const ticks = Run.ticks(problem(solver, h, product), { ticks: 200, seed: 0 })
          const error = (yield* Effect.flip(Stream.runDrain(ticks))) as Error
          for (const sentence of sentences) assert.include(error.message, sentence)
          assert.notInclude(error.message, "learning rate, clip")
        }).pipe(Effect.provide(layer))
      )
    }
  }

  it.live("and damped, it is the solution of H + ρI", () =>
    Effect.gen(function* () {
      const damping = 0.5
      const solvers = [
        Solver.conjugateGradient({ iterations: 3 }),
        Solver.exact,
        Solver.neumann({ terms: 200, rate: 0.4 })
      ]
      for (const solver of solvers) {
        // v = x − 1 = −1, and −∂⟨∇L, u⟩/∂y = u.
        const expected = singular.map((value) => -1 / (value + damping))
        const { gradient } = yield* swept(problem(Solver.damped(solver, { damping }), singular))
        assert.isBelow(M.relativeError(gradient, expected), 1e-4, solver.name)
      }
      assert.strictEqual(Solver.damped(Solver.exact, { damping }).name, "damped(0.5) exact")
      assert.throws(() => Solver.damped(Solver.exact, { damping: 0 }), RangeError)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it.live("MINRES solves where the curvature is indefinite, and of a singular one gives least squares", () =>
    Effect.gen(function* () {
      const minres = Solver.minres({ iterations: 3 })
      // The right-hand side is x − 1 = −1, and what arrives at y is u itself.
      const solved = yield* swept(problem(minres, [2, -1, 0.5]))
      assert.isBelow(M.relativeError(solved.gradient, [-0.5, 1, -2]), 1e-4)
      const least = yield* swept(problem(minres, singular))
      assert.isBelow(Math.abs(least.gradient[0]! + 0.5), 1e-4)
      assert.isTrue(least.gradient.every(Number.isFinite))
      const one = yield* swept(problem(Solver.minres({ iterations: 1 }), [2, -1, 0.5]))
      assert.isAbove(M.relativeError(one.gradient, [-0.5, 1, -2]), 0.1)
      // Along its first direction this curvature is zero: conjugate gradient cannot begin.
      const opposed = [1, -1]
      const breaking = problem(Solver.conjugateGradient({ iterations: 2 }), opposed)
      assert.isAbove(M.relativeError((yield* swept(breaking)).gradient, [-1, 1]), 0.5)
      const through = yield* swept(problem(Solver.minres({ iterations: 2 }), opposed))
      assert.isBelow(M.relativeError(through.gradient, [-1, 1]), 1e-4)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it.live("diagnostics say that a curvature is negative or zero, and which is the least", () =>
    Effect.gen(function* () {
      for (const solver of [
        Solver.conjugateGradient({ iterations: 3 }),
        Solver.minres({ iterations: 3 }),
        Solver.identity
      ]) {
        const negative = yield* swept(problem(solver, [2, -3, 0.5]))
        assert.isBelow(negative.curvatures["lower"]!, 0, solver.name)
        const positive = yield* swept(problem(solver, [2, 3, 0.5]))
        assert.isAbove(positive.curvatures["lower"]!, 0.4, solver.name)
      }
      const found = yield* Run.ticks(problem(Solver.identity, [0, 0, 0]), {
        ticks: 1,
        seed: 0,
        diagnosticsEvery: 1
      }).pipe(Stream.runCollect)
      assert.strictEqual(found[0]?.levels["upper"]?.report?.curvatures["lower"], 0)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it.live("a sound solve leaves numbers that end for another reason to that reason", () =>
    Effect.gen(function* () {
      const tooFast = problem(Solver.conjugateGradient({ iterations: 3 }), [500, 1, 1])
      const error = (yield* Effect.flip(Stream.runDrain(Run.ticks(tooFast, { ticks: 200, seed: 0 })))) as Error
      assert.include(error.message, "'lower' has grown")
      assert.include(error.message, "lower its rate")
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})
