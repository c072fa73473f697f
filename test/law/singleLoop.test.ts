import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as M from "../../src/testing/Matrix.ts"
import { long } from "../support/long.ts"

// One step of H u = v a tick, from zero and from where the last tick stopped.
const oneStep = Solver.neumann({ terms: 0, rate: 0.4 })
const estimator = (solver: Hypergradient.Solver) =>
  Hypergradient.implicit({ solver, product: Product.finiteDifference({ radius: 1 }) })

const a = [
  [2, 0.5],
  [0.5, 1]
]
const b = [
  [1, -0.5],
  [0.25, 1]
]
const target = [1, -1]
const pull = 0.5

const tensor = (m: M.Matrix) => tf.tensor2d(m as Array<Array<number>>)
const column = (x: tf.Tensor) => tf.reshape(x, [2, 1])
/** ½xᵀAx − xᵀBy: solved by A⁻¹By. */
const response = (x: tf.Tensor, y: tf.Tensor): tf.Scalar =>
  tf.sub(
    tf.mul(0.5, tf.sum(tf.mul(column(x), tf.matMul(tensor(a), column(x))))),
    tf.sum(tf.mul(column(x), tf.matMul(tensor(b), column(y))))
  ) as tf.Scalar
const distance = (x: tf.Tensor, y: tf.Tensor): tf.Scalar =>
  tf.add(
    tf.mul(0.5, tf.sum(tf.square(tf.sub(x, tf.tensor1d(target))))),
    tf.mul(pull / 2, tf.sum(tf.square(y)))
  ) as tf.Scalar

const variable = <const N extends string>(name: N) => Var.make(name, () => NdArray.float32([2], [0, 0]))
const [x, z, y] = [variable("x"), variable("z"), variable("y")]

/** argmin over y of ½‖J y − c‖² + pull/2 ‖y‖². */
const optimum = (jacobian: M.Matrix): M.Vector => {
  const normal = M.multiply(M.transpose(jacobian), jacobian).map((row, i) =>
    row.map((v, j) => v + (i === j ? pull : 0))
  )
  return M.solve(
    normal,
    M.apply(M.transpose(jacobian), target).map((v) => [v])
  ).map((row) => row[0]!)
}
const once = M.solve(a, b)

const two = (solver: Hypergradient.Solver) => {
  const inner = Level.minimize(x, {
    given: [y],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.4),
    objective: ({ x, y }) => response(x, y)
  }).pipe(Level.hypergradient(estimator(solver)))
  const outer = Level.minimize(y, {
    upstream: [inner],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.2),
    objective: ({ x, y }) => distance(x, y)
  })
  return Problem.close(outer)
}

const three = (solver: Hypergradient.Solver) => {
  const bottom = Level.minimize(x, {
    given: [y],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.4),
    objective: ({ x, y }) => response(x, y)
  }).pipe(Level.hypergradient(estimator(solver)))
  const middle = Level.minimize(z, {
    upstream: [bottom],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.4),
    objective: ({ x, z }) => response(z, x)
  }).pipe(Level.hypergradient(estimator(solver)))
  const top = Level.minimize(y, {
    upstream: [middle],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.03),
    objective: ({ y, z }) => distance(z, y)
  })
  return Problem.close(top)
}

/** Distance of the top's variable to the optimum after some ticks. */
const errorAfter = (problem: Problem.Problem.Any, ticks: number, best: M.Vector) =>
  Run.ticks(problem as Problem.Problem<any>, { ticks, seed: 0 }).pipe(
    Stream.filter((tick) => tick.index === ticks),
    Stream.mapEffect((tick) => tick.read(["y"])),
    Stream.runHead,
    Effect.map((vars) => M.norm(M.minus(Array.from((Option.getOrThrow(vars).y as NdArray.NdArray).data), best))),
    Effect.provide(Eager.layer("cpu"))
  )

describe("one inner step and one solver step a tick", () => {
  for (const [name, problem, best] of [
    ["two levels", two, optimum(once)],
    ["a chain of three, one u per level", three, optimum(M.multiply(once, once))]
  ] as const) {
    for (const together of [false, true]) {
      it.live.skipIf(!long && problem === three)(
        `${name}${together ? ", simultaneously" : ""}: warm reaches the optimum to 1e-6, cold stalls far from it`,
        () =>
          Effect.gen(function* () {
            const run = (solver: Hypergradient.Solver) =>
              errorAfter(together ? problem(solver).pipe(Problem.simultaneous) : problem(solver), 1500, best)
            const warm = yield* run(Solver.warm(oneStep))
            const cold = yield* run(oneStep)
            assert.isBelow(warm, 1e-6)
            assert.isAbove(cold, 0.05)
          })
      )
    }
  }
})
