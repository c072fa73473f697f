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
import type { Optimizer as Optimizing } from "../../src/dsl/Optimizer.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Adjoint from "../../src/runtime/step/Adjoint.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as PlanText from "../../src/runtime/plan/PlanText.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as Reference from "../levels/reference.ts"
import { swept } from "../support/hypergradient.ts"
import * as M from "../../src/testing/Matrix.ts"
import { triLevel } from "../support/programs.ts"
import * as Quadratic from "../../src/testing/Quadratic.ts"

const cpu = Effect.provide(Eager.layer("cpu"))
const product = Product.finiteDifference({ radius: 1 })
const implicit = (solver: Hypergradient.Solver) => Hypergradient.implicit({ solver, product })
const draw = (seed: number, name: string, n: number): M.Vector =>
  Array.from(Seed.normal(Seed.fold(Seed.make(seed), name), n))
const n = 6

/** D v at one update of an optimizer, from numbers. */
const applied = (
  optimizer: Optimizing,
  at: { readonly own: M.Vector; readonly gradient: M.Vector; readonly state: unknown; readonly clock: number },
  v: M.Vector
): M.Vector =>
  tf.tidy(() => {
    const vector = (x: M.Vector) => tf.tensor1d([...x])
    const own = vector(at.own)
    const state = Object.fromEntries(
      Object.entries(at.state as { readonly [k: string]: M.Vector }).map(([k, x]) => [k, vector(x)])
    )
    const clock = tf.scalar(at.clock, "int32")
    const past = { own, gradient: vector(at.gradient), optimizer: state, clock }
    return Array.from(Adjoint.preconditioner({ optimizer }, past)(vector(v)).dataSync())
  })

const optimizers: { readonly [name: string]: readonly [Optimizing, Reference.Reference] } = {
  sgd: [Optimizer.sgd(0.3), Reference.sgd(() => 0.3)],
  momentum: [Optimizer.momentum(0.2, { momentum: 0.8 }), Reference.momentum(0.2, 0.8, false)],
  nesterov: [Optimizer.momentum(0.2, { momentum: 0.8, nesterov: true }), Reference.momentum(0.2, 0.8, true)],
  // Adam's first update is nearly a sign: an epsilon of the gradient's size gives it a derivative worth comparing.
  adam: [Optimizer.adam(0.1, { epsilon: 0.5 }), Reference.adam(0.1, 0.9, 0.999, 0.5)],
  "adam with weight decay": [
    Optimizer.adam(0.1, { epsilon: 0.5 }).pipe(Optimizer.weightDecay(0.05)),
    Reference.couple(0.05)(Reference.adam(0.1, 0.9, 0.999, 0.5))
  ]
}

describe("the preconditioner", () => {
  it.live("is η for gradient descent, whatever the state", () =>
    Effect.sync(() => {
      const [own, gradient, v] = [draw(1, "x", n), draw(1, "g", n), draw(1, "v", n)]
      const found = applied(Optimizer.sgd(0.3), { own, gradient, state: {}, clock: 7 }, v)
      assert.isBelow(
        M.relativeError(
          found,
          v.map((x) => 0.3 * x)
        ),
        1e-6
      )
    }).pipe(cpu)
  )

  it.live(
    "is, for Adam, minus the derivative of its third update by the gradient: central differences in float64",
    () =>
      Effect.sync(() => {
        for (let seed = 0; seed < 20; seed++) {
          const [own, v] = [draw(seed, "x", n), draw(seed, "v", n)]
          const gradients = [0, 1, 2].map((t) => draw(seed, `g${t}`, n))
          const third = (h: number): M.Vector => {
            const update = Reference.adam(0.1, 0.9, 0.999, 1e-8)()
            const shifted = [gradients[0]!, gradients[1]!, gradients[2]!.map((g) => g + h)]
            return shifted.map((g, t) => update(own, g, t))[2]!
          }
          const slope = M.minus(third(1e-5), third(-1e-5)).map((x, i) => (-x / 2e-5) * v[i]!)
          const blend = (beta: number, f: (g: number) => number) =>
            own.map((_, i) => (1 - beta) * (beta * f(gradients[0]![i]!) + f(gradients[1]![i]!)))
          const state = { first: blend(0.9, (g) => g), second: blend(0.999, (g) => g * g) }
          const found = applied(Optimizer.adam(0.1), { own, gradient: gradients[2]!, state, clock: 2 }, v)
          assert.isBelow(M.relativeError(found, slope), 1e-4, `seed ${seed}`)
        }
      }).pipe(cpu)
  )

  it.live("is Betty's closed form for Adam once the bias corrections have died out", () =>
    Effect.sync(() => {
      const [rate, b1, b2, e] = [0.1, 0.9, 0.999, 1e-8]
      for (let seed = 0; seed < 20; seed++) {
        const [own, g, m, v] = ["x", "g", "m", "v"].map((name) => draw(seed, name, n)) as [
          M.Vector,
          M.Vector,
          M.Vector,
          M.Vector
        ]
        const s = draw(seed, "s", n).map((x) => 0.1 + x * x)
        const betty = v.map((x, i) => {
          const now = b2 * s[i]! + (1 - b2) * g[i]! ** 2
          const top = (1 - b1) * b2 * s[i]! - b1 * (1 - b2) * g[i]! * m[i]!
          return (x * rate * top) / (Math.sqrt(now) + e) ** 3
        })
        // 1 − βᵗ is 1 to the last bit at this many updates.
        const at = { own, gradient: g, state: { first: m, second: s }, clock: 1_000_000 }
        assert.isBelow(M.relativeError(applied(Optimizer.adam(rate), at, v), betty), 1e-5, `seed ${seed}`)
      }
    }).pipe(cpu)
  )
})

const a = [
  [1.5, 0.3],
  [0.3, 0.8]
]
const coupling = [
  [1, 0.5],
  [-0.3, 1]
]
const [start, at, goal] = [
  [0.4, -0.9],
  [0.7, -0.4],
  [0.2, 0.5]
] as const
const tensor = (m: M.Matrix) => tf.tensor2d(m as Array<Array<number>>)
const column = (v: tf.Tensor) => tf.reshape(v, [2, 1])

/** Gradient of the outer loss after `steps` inner updates from `start`. */
const outerGradient = (
  estimator: Hypergradient.Hypergradient,
  optimizer: Optimizing,
  steps: number,
  bend: "constant mixed derivative" | "mixed derivative that moves" = "constant mixed derivative"
) =>
  Effect.gen(function* () {
    const x = Var.make("x", () => NdArray.float32([2], [...start]))
    const y = Var.make("y", () => NdArray.float32([2], [...at]))
    let calls = 0
    const inner = Level.minimize(x, {
      given: [y],
      data: Dataset.none,
      optimizer,
      objective: ({ x, y }) => {
        calls++
        const pull = tf.matMul(tensor(coupling), column(y))
        const seen = bend === "constant mixed derivative" ? column(x) : tf.softplus(column(x))
        return tf.addN([
          tf.mul(0.5, tf.sum(tf.mul(column(x), tf.matMul(tensor(a), column(x))))),
          tf.sum(tf.softplus(x)),
          tf.neg(tf.sum(tf.mul(seen, pull)))
        ]) as tf.Scalar
      }
    }).pipe(Level.hypergradient(estimator), Level.unroll(steps), Level.restart)
    // With rate 1 the outer update is the negative gradient itself.
    const outer = Level.minimize(y, {
      upstream: [inner],
      data: Dataset.none,
      optimizer: Optimizer.sgd(1),
      objective: ({ x }) => tf.mul(0.5, tf.sum(tf.square(tf.sub(x, tf.tensor1d([...goal]))))) as tf.Scalar
    })
    const problem = Problem.close(outer)
    const last = yield* Run.ticks(problem, { ticks: steps, seed: 0 }).pipe(
      Stream.filter((tick) => tick.index === steps),
      Stream.mapEffect((tick) => tick.read(["y"])),
      Stream.runHead
    )
    const gradient = M.minus(at, Array.from((Option.getOrThrow(last).y as NdArray.NdArray).data))
    return { gradient, calls, problem }
  }).pipe(cpu)

/** Derivative of the outer loss through the last of `steps` updates, all before it held: central differences in float64. */
const throughLast = (reference: Reference.Reference, steps: number): M.Vector => {
  const loss = (y: M.Vector): number => {
    const update = reference()
    let x: M.Vector = start
    for (let t = 0; t < steps; t++) {
      const pull = M.apply(coupling, t === steps - 1 ? y : at)
      const g = M.minus(
        M.apply(a, x).map((v, i) => v + 1 / (1 + Math.exp(-x[i]!))),
        pull
      )
      x = update(x, g, t)
    }
    return 0.5 * M.norm(M.minus(x, goal)) ** 2
  }
  return at.map((_, i) => {
    const moved = (h: number) => loss(at.map((v, j) => (i === j ? v + h : v)))
    return (moved(1e-5) - moved(-1e-5)) / 2e-5
  })
}

describe("SAMA", () => {
  for (const [name, [optimizer, reference]] of Object.entries(optimizers)) {
    it.live(`${name}: is the exact derivative through the last update where the mixed derivative is constant`, () =>
      Effect.gen(function* () {
        for (const steps of [1, 2, 5]) {
          const { gradient } = yield* outerGradient(implicit(Solver.sama), optimizer, steps)
          assert.isBelow(M.relativeError(gradient, throughLast(reference, steps)), 2e-5, `${steps} updates`)
        }
      })
    )
  }

  it.live("is unrolled(1) there, and not where the mixed derivative moves with the iterate", () =>
    Effect.gen(function* () {
      const optimizer = Optimizer.adam(0.1)
      const unrolled = Hypergradient.unrolled({ steps: 1, product })
      for (const bend of ["constant mixed derivative", "mixed derivative that moves"] as const) {
        const one = yield* outerGradient(implicit(Solver.sama), optimizer, 4, bend)
        const other = yield* outerGradient(unrolled, optimizer, 4, bend)
        const apart = M.relativeError(one.gradient, other.gradient)
        if (bend === "constant mixed derivative") assert.isBelow(apart, 1e-5)
        else assert.isAbove(apart, 1e-3)
      }
    })
  )

  it.live("evaluates no gradient that the identity does not, and the plan counts what is evaluated", () =>
    Effect.gen(function* () {
      for (const solver of [Solver.identity, Solver.sama, Solver.preconditioned({ terms: 3 })]) {
        const { calls, problem } = yield* outerGradient(implicit(solver), Optimizer.adam(0.1), 1)
        const { cost } = Result.getOrThrow(Plan.make(problem))
        // The outer level's own evaluation is not one of the inner objective.
        assert.strictEqual(calls, cost.reduce((sum, c) => sum + c.evaluations, 0) - 1, solver.name)
        assert.strictEqual(calls, 3 + 2 * solver.cost.products, solver.name)
      }
      const { calls, problem } = yield* outerGradient(
        Hypergradient.unrolled({ steps: 2, product }),
        Optimizer.adam(0.1),
        2
      )
      assert.strictEqual(calls, 2 + 4)
      assert.strictEqual(Result.getOrThrow(Plan.make(problem)).cost.find((c) => c.level === "y")!.evaluations, 1 + 4)
    })
  )

  it("is printed by the plan, and refused where levels update from one snapshot", () => {
    const problem = triLevel({ estimator: implicit(Solver.sama) })
    assert.include(PlanText.text(Result.getOrThrow(Plan.make(problem))), "sama × finiteDifference(1)")
    const refused = Plan.make(problem.pipe(Problem.simultaneous))
    if (Result.isSuccess(refused)) return assert.fail("accepted")
    assert.strictEqual(refused.failure.kind, "Schedule")
    assert.include(refused.failure.message, "'sama × finiteDifference(1)' uses its last update")
    assert.isTrue(Result.isSuccess(Plan.make(triLevel().pipe(Problem.simultaneous))))
  })

  it.live("a solver that uses the preconditioner must say so", () =>
    Effect.gen(function* () {
      const silent = { ...Solver.sama, preconditioned: false }
      const error = yield* Effect.flip(outerGradient(implicit(silent), Optimizer.sgd(0.1), 1))
      assert.include(error.message, "preconditioned: true")
    })
  )
})

describe("the series preconditioned by gradient descent", () => {
  it("refuses a number of terms that is none", () => {
    assert.throws(() => Solver.preconditioned({ terms: -1 }), /terms is -1/)
    assert.throws(() => Solver.preconditioned({ terms: 0.5 }), /terms is 0\.5/)
  })

  it.live("is the Neumann series of the same rate, warm or not", () =>
    Effect.forEach([1, 2, 3], (seed) =>
      Effect.gen(function* () {
        // Levels of these problems descend with rate 0.1.
        for (const terms of [0, 1, 4]) {
          for (const start of [(solver: Hypergradient.Solver) => solver, Solver.warm]) {
            const gradient = (solver: Hypergradient.Solver) =>
              Effect.map(
                swept(Quadratic.random(Seed.make(seed), 4, implicit(start(solver))).problem),
                (s) => s.gradient
              )
            const one = yield* gradient(Solver.preconditioned({ terms }))
            const other = yield* gradient(Solver.neumann({ terms, rate: 0.1 }))
            assert.isBelow(M.relativeError(one, other), 1e-5)
          }
        }
      })
    ).pipe(cpu)
  )
})
