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
import * as Eager from "../../../src/engines/eager/Eager.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Plan from "../../../src/runtime/plan/Plan.ts"
import * as Run from "../../../src/runtime/run/Run.ts"

const product = Product.finiteDifference({ radius: 1 })
const cg = Hypergradient.implicit({ solver: Solver.conjugateGradient({ iterations: 2 }), product })
const unrolled = Hypergradient.unrolled({ steps: 1, product })

interface Parts {
  readonly estimator?: Hypergradient.Hypergradient
  readonly inner?: (vars: { readonly x: tf.Tensor; readonly y: tf.Tensor }) => tf.Tensor
  readonly outer?: (vars: { readonly x: tf.Tensor; readonly y: tf.Tensor }) => tf.Tensor
  readonly schedule?: <L extends Level.Definition>(level: L) => L
  readonly optimizer?: Optimizer.Optimizer
}
const problem = (parts: Parts) => {
  const { inner = ({ x, y }) => tf.square(tf.sub(x, y)), outer = ({ x }) => tf.square(tf.sub(x, 2)) } = parts
  const { estimator = cg, optimizer = Optimizer.sgd(0.1), schedule = (level) => level } = parts
  const x = Var.make("x", () => NdArray.float32([], [0]))
  const y = Var.make("y", () => NdArray.float32([], [1]))
  const lower = Level.minimize(x, {
    name: "lower",
    given: [y],
    data: Dataset.none,
    optimizer,
    objective: (vars) => inner(vars) as tf.Scalar
  }).pipe(Level.hypergradient(estimator))
  const upper = Level.minimize(y, {
    name: "upper",
    upstream: [schedule(lower)],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.1),
    objective: (vars) => outer(vars) as tf.Scalar
  })
  return Problem.close(upper)
}
const ran = (parts: Parts, ticks = 3) => Stream.runDrain(Run.ticks(problem(parts), { ticks, seed: 0 }))

const unmoved: { readonly [what: string]: readonly [Parts, ReadonlyArray<string>] } = {
  "an objective that reads neither its own variable nor the response": [
    { outer: () => tf.square(3) },
    ["level 'upper'", "does not depend on 'y'", "through the solutions of lower"]
  ],
  "an objective that names a variable and makes no use of it": [
    { outer: ({ x, y }) => (assert.isDefined(x), assert.isDefined(y), tf.scalar(1)) },
    ["level 'upper'", "nothing moves 'y'"]
  ],
  "a level below whose objective does not use what it is given": [
    { inner: ({ x }) => tf.square(x) },
    ["level 'upper'", "does not depend on 'y'"]
  ],
  "the same, unrolled": [
    { inner: ({ x }) => tf.square(x), estimator: unrolled },
    ["level 'upper'", "nothing moves 'y'"]
  ],
  "a level below that does not use its own variable": [
    { inner: ({ y }) => tf.square(y) },
    ["level 'lower'", "does not depend on 'x', neither itself nor through a level below"]
  ],
  "a mask that matches no path": [
    { optimizer: Optimizer.sgd(0.1).pipe(Optimizer.masked((path) => path === "w")) },
    ["level 'lower'", "accepts no path", "paths are ''"]
  ]
}

describe("what nothing can train is refused, and the level named", () => {
  for (const [name, layer] of [
    ["eager", Eager.layer("cpu")],
    ["compiled", Compiled.layer({ threads: 1 })]
  ] as const) {
    for (const [what, [parts, sentences]] of Object.entries(unmoved)) {
      it.live(`${name}: ${what}`, () =>
        Effect.gen(function* () {
          const error = (yield* Effect.flip(ran(parts))) as Error
          for (const sentence of sentences) assert.include(error.message, sentence)
        }).pipe(Effect.provide(layer))
      )
    }
  }
  it.live("not where it was said that nothing should respond", () =>
    Effect.gen(function* () {
      yield* ran({ estimator: Hypergradient.detached })
      yield* ran({ schedule: Level.freeze(1) })
      yield* ran({ outer: ({ y }) => tf.square(y) })
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})

describe("a level whose turn never comes", () => {
  const planned = (parts: Parts) => Result.getOrThrow(Plan.make(problem(parts)))
  it("in a run of that length", () => {
    const unrolledTen = planned({ schedule: Level.unroll(10) })
    const { message } = Plan.idle(unrolledTen, 5)!
    for (const sentence of ["level 'upper'", "first turn is at tick 10", "ends after tick 5", "run longer"]) {
      assert.include(message, sentence)
    }
    assert.isUndefined(Plan.idle(unrolledTen, 10))
    const late = planned({ schedule: Level.warmup(7) })
    assert.include(Plan.idle(late, 7)!.message, "level 'lower': its first turn is at tick 8")
    assert.isUndefined(Plan.idle(late, 8))
  })
  it("because it is frozen before is a defect of the plan; frozen from the beginning is a wish", () => {
    const frozen = (level: Level.Definition) => Level.freeze(3)(Level.warmup(5)(level))
    const error = Option.getOrThrow(Result.getFailure(Plan.make(problem({ schedule: frozen as never }))))
    assert.include(error.message, "level 'lower': it is held constant after tick 3, before its first turn at tick 6")
    planned({ schedule: Level.freeze(0) })
  })
})
