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
import { make, type Optimizer as Optimizing } from "../../src/dsl/Optimizer.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Rate from "../../src/levels/Rate.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { swept } from "../support/hypergradient.ts"
import * as M from "../../src/testing/Matrix.ts"

// The lower level minimizes ½xᵀAx − xᵀCy over x = (a, b), two numbers each; the upper ½‖x − goal‖² over y.
const a = [
  [2, 0.3, 0.4, 0],
  [0.3, 1.5, 0, 0.5],
  [0.4, 0, 1.2, 0.2],
  [0, 0.5, 0.2, 1.8]
]
const coupling = [
  [1, 0.5],
  [-0.3, 1],
  [0.8, -0.6],
  [0.4, 0.9]
]
const start = [0.4, -0.2, 0.3, 0.1]
const at = [0.7, -0.4]
const goal = [0.2, 0.5, -0.3, 0.8]
const rate = 0.3

/** One update in float64, written without any of the code under test. */
type Update = (x: M.Vector, g: M.Vector) => M.Vector
const sgd: Update = (x, g) => x.map((v, i) => v - rate * g[i]!)
const decayed =
  (lambda: number, inner: Update): Update =>
  (x, g) =>
    inner(
      x,
      g.map((v, i) => v + lambda * x[i]!)
    )
const clippedByValue =
  (max: number, inner: Update): Update =>
  (x, g) =>
    inner(
      x,
      g.map((v) => Math.max(-max, Math.min(max, v)))
    )
const clippedByNorm =
  (max: number, inner: Update): Update =>
  (x, g) =>
    inner(
      x,
      g.map((v) => v / Math.max(1, M.norm(g) / max))
    )
const heldSecond =
  (inner: Update): Update =>
  (x, g) =>
    inner(x, g).map((v, i) => (i < 2 ? v : x[i]!))
const clamped =
  (minimum: number, maximum: number, inner: Update): Update =>
  (x, g) =>
    inner(x, g).map((v) => Math.max(minimum, Math.min(maximum, v)))

const anchored: Optimizing = make({
  name: "anchored",
  init: () => ({}),
  update: (g, state, x) => [
    Tree.zipWith(x, g, (p, d) => tf.sub(p, tf.mul(rate, tf.add(d, tf.mul(0.7, tf.sub(p, 1)))))),
    state
  ],
  stationarity: { added: (x) => Tree.map(x, (p) => tf.mul(0.7, tf.sub(p, 1))) }
})

interface Case {
  readonly optimizer: Optimizing
  readonly update: Update
  /** Whether clipping is active where the update stands still, so that its system has no symmetry. */
  readonly asymmetric?: boolean
}

const ofA = Optimizer.masked((path) => path === "a")
const cases: { readonly [name: string]: Case } = {
  plain: { optimizer: Optimizer.sgd(rate), update: sgd },
  masked: { optimizer: Optimizer.sgd(rate).pipe(ofA), update: heldSecond(sgd) },
  "weight decay": { optimizer: Optimizer.sgd(rate).pipe(Optimizer.weightDecay(2)), update: decayed(2, sgd) },
  "masked weight decay": {
    optimizer: Optimizer.sgd(rate).pipe(Optimizer.weightDecay(2), ofA),
    update: heldSecond(decayed(2, sgd))
  },
  "two weight decays": {
    optimizer: Optimizer.sgd(rate).pipe(Optimizer.weightDecay(1), Optimizer.weightDecay(0.5)),
    update: decayed(1.5, sgd)
  },
  "a clip that is inactive": {
    optimizer: Optimizer.sgd(rate).pipe(Optimizer.weightDecay(0.5), Optimizer.clipByGlobalNorm(5)),
    update: clippedByNorm(5, decayed(0.5, sgd))
  },
  "a norm that is clipped": {
    optimizer: Optimizer.sgd(rate).pipe(Optimizer.weightDecay(1), Optimizer.clipByGlobalNorm(0.3)),
    update: clippedByNorm(0.3, decayed(1, sgd)),
    asymmetric: true
  },
  "values that are clipped": {
    optimizer: Optimizer.sgd(rate).pipe(Optimizer.weightDecay(1), Optimizer.clipByValue(0.15)),
    update: clippedByValue(0.15, decayed(1, sgd)),
    asymmetric: true
  },
  clamped: {
    optimizer: Optimizer.sgd(rate).pipe(Optimizer.clamp({ minimum: -0.25, maximum: 0.2 })),
    update: clamped(-0.25, 0.2, sgd)
  },
  "clamped weight decay": {
    optimizer: Optimizer.sgd(rate).pipe(Optimizer.weightDecay(0.4), Optimizer.clamp({ maximum: 0.2 })),
    update: clamped(-Infinity, 0.2, decayed(0.4, sgd))
  },
  groups: {
    optimizer: Optimizer.groups(
      { first: Optimizer.sgd(rate).pipe(Optimizer.weightDecay(2)), second: Optimizer.sgd(rate) },
      (path) => (path === "a" ? "first" : "second")
    ),
    update: (x, g) => [...decayed(2, sgd)(x, g).slice(0, 2), ...sgd(x, g).slice(2)]
  },
  "a group at rate zero": {
    optimizer: Optimizer.groups({ first: Optimizer.sgd(rate), second: Optimizer.sgd(0) }, (path) =>
      path === "a" ? "first" : "second"
    ),
    update: heldSecond(sgd)
  },
  "an optimizer of one's own": {
    optimizer: anchored,
    update: (x, g) => x.map((v, i) => v - rate * (g[i]! + 0.7 * (v - 1)))
  }
}

const iterate = (update: Update, y: M.Vector, steps: number): M.Vector => {
  let x: M.Vector = start
  for (let t = 0; t < steps; t++) x = update(x, M.minus(M.apply(a, x), M.apply(coupling, y)))
  return x
}
const differenced = (update: Update, steps: number): M.Vector =>
  at.map((_, i) => {
    const loss = (h: number) => {
      const y = at.map((v, j) => (i === j ? v + h : v))
      return 0.5 * M.norm(M.minus(iterate(update, y, steps), goal)) ** 2
    }
    return (loss(1e-5) - loss(-1e-5)) / 2e-5
  })

const tensor = (m: M.Matrix) => tf.tensor2d(m as Array<Array<number>>)
const column = (...parts: ReadonlyArray<tf.Tensor>) => tf.reshape(tf.concat(parts as Array<tf.Tensor>), [-1, 1])
const problem = (optimizer: Optimizing, estimator: Hypergradient.Hypergradient, from: M.Vector, unroll = 1) => {
  const x = Var.make("x", () => ({
    a: NdArray.float32([2], from.slice(0, 2)),
    b: NdArray.float32([2], from.slice(2))
  }))
  const y = Var.make("y", () => NdArray.float32([2], at))
  const inner = Level.minimize(x, {
    name: "inner",
    given: [y],
    data: Dataset.none,
    optimizer,
    objective: ({ x, y }) => {
      const whole = column(x.a, x.b)
      return tf.sub(
        tf.mul(0.5, tf.sum(tf.mul(whole, tf.matMul(tensor(a), whole)))),
        tf.sum(tf.mul(whole, tf.matMul(tensor(coupling), column(y))))
      ) as tf.Scalar
    }
  }).pipe(Level.hypergradient(estimator), Level.unroll(unroll))
  const outer = Level.minimize(y, {
    name: "outer",
    upstream: [inner],
    data: Dataset.none,
    // With rate 1 an update is the negative gradient itself.
    optimizer: Optimizer.sgd(1),
    objective: ({ x }) => tf.mul(0.5, tf.sum(tf.square(tf.sub(tf.concat([x.a, x.b]), tf.tensor1d(goal))))) as tf.Scalar
  })
  return Problem.close(outer)
}

const product = Product.finiteDifference({ radius: 1 })
const implicit = (solver: Hypergradient.Solver, how = product) => Hypergradient.implicit({ solver, product: how })
const solvers: ReadonlyArray<readonly [Hypergradient.Solver, tolerance: number, symmetric: boolean]> = [
  [Solver.exact, 1e-5, false],
  [Solver.conjugateGradient({ iterations: 6 }), 1e-5, true],
  [Solver.warm(Solver.conjugateGradient({ iterations: 6 })), 1e-5, true],
  [Solver.neumann({ terms: 80, rate: 0.25 }), 1e-5, false],
  [Solver.preconditioned({ terms: 80 }), 1e-5, true],
  [Solver.nystrom({ rank: 2, damping: 1e-4 }), Infinity, true]
]

describe("a level's solution is where its update stands still, not where its gradient is zero", () => {
  for (const [name, { asymmetric, optimizer, update }] of Object.entries(cases)) {
    const solution = iterate(update, at, 4000)
    const expected = differenced(update, 4000)

    it.live(`${name}: every solver answers the difference of the re-solved problem`, () =>
      Effect.gen(function* () {
        for (const [solver, tolerance, symmetric] of solvers) {
          if ((asymmetric === true && symmetric) || tolerance === Infinity) continue
          const { gradient, residuals } = yield* swept(problem(optimizer, implicit(solver), solution))
          assert.isBelow(M.relativeError(gradient, expected), tolerance, solver.name)
          assert.isBelow(residuals["inner"]!, 1e-4, solver.name)
        }
      }).pipe(Effect.provide(Eager.layer("cpu")))
    )

    it.live(`${name}: also with exact products, compiled`, () =>
      Effect.gen(function* () {
        const { gradient } = yield* swept(problem(optimizer, implicit(Solver.exact, Product.exact), solution))
        assert.isBelow(M.relativeError(gradient, expected), 3e-6)
      }).pipe(Effect.provide(Compiled.layer({ threads: 1 })))
    )

    it.live(`${name}: unrolled is the difference of the whole loop`, () =>
      Effect.gen(function* () {
        const steps = 5
        const unrolled = problem(optimizer, Hypergradient.unrolled({ steps, product }), start, steps)
        const last = yield* Run.ticks(unrolled, { ticks: steps, seed: 0 }).pipe(
          Stream.filter((tick) => tick.index === steps),
          Stream.mapEffect((tick) => tick.read(["y"])),
          Stream.runHead
        )
        const gradient = M.minus(at, Array.from((Option.getOrThrow(last)["y"] as NdArray.NdArray).data))
        assert.isBelow(M.relativeError(gradient, differenced(update, steps)), 2e-5)
      }).pipe(Effect.provide(Eager.layer("cpu")))
    )
  }
})

describe("what does not move answers nothing", () => {
  const held = ["masked", "a group at rate zero"] as const
  it.live("with the identity and with SAMA, which solve nothing", () =>
    Effect.gen(function* () {
      for (const name of held) {
        const { optimizer, update } = cases[name]!
        const solution = iterate(update, at, 4000)
        const v = M.minus(solution, goal).map((value, i) => (i < 2 ? value : 0))
        const expected = M.apply(M.transpose(coupling), v)
        const { gradient } = yield* swept(problem(optimizer, implicit(Solver.identity), solution))
        assert.isBelow(M.relativeError(gradient, expected), 1e-5, name)
        const weighed = yield* swept(problem(optimizer, implicit(Solver.sama), solution))
        assert.isBelow(
          M.relativeError(
            weighed.gradient,
            expected.map((value) => rate * value)
          ),
          1e-5,
          name
        )
      }
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
  it.live("and a projected element with the identity neither", () =>
    Effect.gen(function* () {
      const { optimizer, update } = cases["clamped"]!
      const solution = iterate(update, at, 4000)
      const v = M.minus(solution, goal).map((value, i) => (solution[i]! > -0.25 && solution[i]! < 0.2 ? value : 0))
      assert.isAbove(v.filter((value) => value === 0).length, 0)
      assert.isAbove(v.filter((value) => value !== 0).length, 0)
      const { gradient } = yield* swept(problem(optimizer, implicit(Solver.identity), solution))
      assert.isBelow(M.relativeError(gradient, M.apply(M.transpose(coupling), v)), 1e-5)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
  it.live("Nyström spends no direction on it", () =>
    Effect.gen(function* () {
      const { optimizer, update } = cases["masked"]!
      const solution = iterate(update, at, 4000)
      const solver = Solver.nystrom({ rank: 2, damping: 1e-4 })
      const { gradient } = yield* swept(problem(optimizer, implicit(solver), solution))
      assert.isBelow(M.relativeError(gradient, differenced(update, 4000)), 1e-3)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
  it.live("so that λ comes to rest where the masked problem has its optimum", () =>
    Effect.gen(function* () {
      const x = Var.make("x", () => ({ a: NdArray.float32([], [0]), b: NdArray.float32([], [1]) }))
      const lambda = Var.make("lambda", () => NdArray.float32([], [0]))
      const inner = Level.minimize(x, {
        given: [lambda],
        data: Dataset.none,
        optimizer: Optimizer.sgd(0.1).pipe(ofA),
        objective: ({ lambda, x }) =>
          tf.add(tf.square(tf.sub(tf.add(x.a, x.b), lambda)), tf.square(tf.sub(x.b, tf.mul(2, lambda)))) as tf.Scalar
      }).pipe(Level.hypergradient(implicit(Solver.conjugateGradient({ iterations: 2 }))))
      const outer = Level.minimize(lambda, {
        upstream: [inner],
        data: Dataset.none,
        optimizer: Optimizer.sgd(0.02),
        objective: ({ x }) => tf.square(tf.sub(x.a, 2)) as tf.Scalar
      })
      const last = yield* Run.ticks(Problem.close(outer), { ticks: 1000, seed: 0 }).pipe(
        Stream.filter((tick) => tick.index === 1000),
        Stream.mapEffect((tick) => tick.read(["lambda"])),
        Stream.runHead
      )
      assert.closeTo((Option.getOrThrow(last)["lambda"] as NdArray.NdArray).data[0]!, 3, 1e-3)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})

describe("the plan refuses a response that its optimizer leaves undefined", () => {
  const cg = implicit(Solver.conjugateGradient({ iterations: 2 }))
  const error = (optimizer: Optimizing, estimator: Hypergradient.Hypergradient) =>
    Result.getFailure(Plan.make(problem(optimizer, estimator, start))).pipe(Option.getOrThrow).message
  const accepted = (optimizer: Optimizing, estimator: Hypergradient.Hypergradient) =>
    Result.getOrThrow(Plan.make(problem(optimizer, estimator, start)))

  it("decoupled decay, save where nothing is solved or every update is differentiated", () => {
    const adamw = Optimizer.adamw(0.1)
    const sentence = error(adamw, cg)
    assert.include(sentence, "level 'inner': 'cg(2)' cannot solve for where adamw(0.1")
    assert.include(sentence, "Optimizer.weightDecay(λ)")
    accepted(adamw, implicit(Solver.identity))
    accepted(adamw, implicit(Solver.sama))
    accepted(adamw, Hypergradient.unrolled({ steps: 1, product }))
    accepted(Optimizer.adamw(0.1, { weightDecay: 0 }), cg)
    assert.include(error(adamw.pipe(ofA), cg), "cannot solve")
  })
  it("decays around a clip, and a clip around a mask", () => {
    const around = Optimizer.sgd(1).pipe(Optimizer.weightDecay(1), Optimizer.clipByValue(1), Optimizer.weightDecay(1))
    assert.include(error(around, cg), "decay once")
    const outside = Optimizer.sgd(1).pipe(Optimizer.weightDecay(1), ofA, Optimizer.clipByGlobalNorm(1))
    assert.include(error(outside, cg), "last in the pipe")
  })
  it("a level that never moves", () => {
    const still = [
      Optimizer.sgd(0),
      Optimizer.adam(Rate.cosine({ peak: 0, total: 3 })),
      Optimizer.sgd(0).pipe(Optimizer.weightDecay(1), ofA),
      Optimizer.groups({ all: Optimizer.momentum(0, { momentum: 0.5 }) }, () => "all")
    ]
    for (const optimizer of still) {
      for (const estimator of [cg, implicit(Solver.identity), Hypergradient.unrolled({ steps: 1, product })]) {
        assert.include(error(optimizer, estimator), "never moves it")
      }
      accepted(optimizer, Hypergradient.detached)
    }
  })
})
