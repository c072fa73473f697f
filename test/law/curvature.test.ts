/** Curvatures other than the Hessian, as dense matrices against what they are defined as, and through a hypergradient. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Compiled from "../../src/engines/compiled/CompiledEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { Engine } from "../../src/engines/Engine.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Objective from "../../src/objectives/Objective.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as Curvature from "../../src/runtime/step/Curvature.ts"
import * as Evaluation from "../../src/runtime/step/Evaluation.ts"
import * as Law from "../../src/testing/Law.ts"
import * as M from "../../src/testing/Matrix.ts"
import { swept } from "../support/hypergradient.ts"

const draw = (label: string, n: number, scale = 1) =>
  Array.from(Seed.normal(Seed.fold(Seed.make(3), label), n)).map((v) => scale * v)
const rows = 5
const xs = draw("x", rows * 2)
const decay = 0.05

interface Model {
  readonly size: number
  readonly at: ReadonlyArray<number>
  readonly targets: ReadonlyArray<number>
  /** Outputs [rows] of parameters [size], by tensors and in numbers. */
  readonly apply: (w: tf.Tensor) => tf.Tensor
  readonly numbers: (w: M.Vector, x: M.Vector) => number
  /** The loss of each row, and its second derivative by the output. */
  readonly loss: (z: tf.Tensor, y: tf.Tensor) => tf.Tensor
  readonly row: (z: number, y: number) => number
  readonly bend: (z: number, y: number) => number
}
const data = tf.tidy(() => xs)
const x2 = () => tf.tensor2d(data, [rows, 2])
const sigmoid = (z: number) => 1 / (1 + Math.exp(-z))
const squared = {
  targets: draw("y", rows, 2),
  loss: (z: tf.Tensor, y: tf.Tensor) => tf.mul(0.5, tf.square(tf.sub(z, y))),
  row: (z: number, y: number) => 0.5 * (z - y) ** 2,
  bend: () => 1
}
const linear = {
  size: 2,
  at: [0.4, -0.7],
  apply: (w: tf.Tensor) => tf.reshape(tf.matMul(x2(), tf.reshape(w, [2, 1])), [rows]),
  numbers: (w: M.Vector, x: M.Vector) => w[0]! * x[0]! + w[1]! * x[1]!
}
const models: { readonly [name: string]: Model } = {
  "linear, squares": { ...linear, ...squared },
  "linear, logistic": {
    ...linear,
    targets: [0, 1, 1, 0, 1],
    loss: (z, y) => tf.sub(tf.softplus(z), tf.mul(z, y)),
    row: (z, y) => Math.log(1 + Math.exp(z)) - z * y,
    bend: (z) => sigmoid(z) * (1 - sigmoid(z))
  },
  "two tanh, squares": {
    size: 6,
    at: draw("net", 6),
    apply: (w) => {
      const hidden = tf.tanh(tf.matMul(x2(), tf.reshape(tf.slice(w, [0], [4]), [2, 2])))
      return tf.reshape(tf.matMul(hidden, tf.reshape(tf.slice(w, [4], [2]), [2, 1])), [rows])
    },
    numbers: (w, x) => [0, 1].reduce((sum, k) => sum + w[4 + k]! * Math.tanh(x[0]! * w[k]! + x[1]! * w[2 + k]!), 0),
    ...squared
  }
}

const rowsOf = (model: Model) =>
  Array.from({ length: rows }, (_, i) => ({ x: [xs[2 * i]!, xs[2 * i + 1]!], y: model.targets[i]! }))
/** Central differences in float64. */
const slope = (f: (w: M.Vector) => number, w: M.Vector): M.Vector =>
  w.map((_, k) => {
    const moved = (d: number) => f(w.map((v, j) => (j === k ? v + d : v)))
    return (moved(1e-5) - moved(-1e-5)) / 2e-5
  })
const outer = (a: M.Vector, scale: number): M.Matrix => a.map((v) => a.map((u) => scale * v * u))
const sum = (all: ReadonlyArray<M.Matrix>) => all.reduce(M.add)
const ridge = (n: number): M.Matrix =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_v, j) => (i === j ? decay : 0)))

const levelOf = (model: Model, mark: "outputs" | "losses" | "nothing") =>
  Level.minimize(
    Var.make("w", () => NdArray.float32([model.size], model.at as never)),
    {
      data: Dataset.constant("rows", { y: NdArray.float32([rows], model.targets as never) }),
      optimizer: Optimizer.sgd(0.1),
      objective: ({ w }, { y }) => {
        const z = model.apply(w)
        const losses = model.loss(mark === "outputs" ? Objective.outputs(z) : z, y)
        const marked = mark === "losses" ? Objective.outputs(losses) : losses
        return tf.add(tf.mean(marked), tf.mul(decay / 2, tf.sum(tf.square(w)))) as tf.Scalar
      }
    }
  )

/** A curvature by its columns; the Hessian where no kind is named. */
const dense = (model: Model, kind: Hypergradient.Curvature | undefined, product = Product.exact) =>
  Effect.scoped(
    Effect.gen(function* () {
      const engine = yield* Engine
      const level = levelOf(model, kind === "empiricalFisher" ? "losses" : "outputs")
      const observe = yield* engine.observe((vars: { readonly w: tf.Tensor }, batch: { readonly y: tf.Tensor }) => {
        const map =
          kind === undefined
            ? (w: tf.Tensor) => Evaluation.gradient(level, { w }, batch, ["w"]).gradient["w"] as tf.Tensor
            : (Curvature.map(kind, level, vars, batch) as (w: tf.Tensor) => tf.Tensor)
        const units = tf.unstack(tf.eye(model.size))
        return { columns: tf.stack(units.map((unit) => product.derivative(map, vars.w, unit))), here: map(vars.w) }
      })
      const state = yield* engine.upload({ w: NdArray.float32([model.size], model.at as never) })
      const found = yield* observe(state as never, { y: NdArray.float32([rows], model.targets as never) } as never)
      yield* engine.release(state)
      const flat = Array.from(found.columns.data)
      return {
        matrix: Array.from({ length: model.size }, (_, i) => flat.slice(i * model.size, (i + 1) * model.size)),
        here: Array.from(found.here.data)
      }
    })
  )
const near = (found: M.Matrix, wanted: M.Matrix, within: number, what: string) =>
  assert.isBelow(M.relativeError(found.flat(), wanted.flat()), within, what)
/** The least ⟨v, H v⟩ / ⟨v, v⟩ over many directions. */
const least = (h: M.Matrix): number =>
  Math.min(
    ...Array.from({ length: 2000 }, (_, i) => {
      const v = draw(`v${i}`, h.length)
      return M.apply(h, v).reduce((total, hv, k) => total + hv * v[k]!, 0) / M.norm(v) ** 2
    })
  )

describe("Gauss-Newton", () => {
  for (const [name, model] of Object.entries(models)) {
    it.live(`${name}: JᵀBJ and the penalty's own, never negative`, () =>
      Effect.gen(function* () {
        const wanted = sum([
          ridge(model.size),
          ...rowsOf(model).map(({ x, y }) =>
            outer(
              slope((w) => model.numbers(w, x), model.at),
              model.bend(model.numbers(model.at, x), y) / rows
            )
          )
        ])
        const { here, matrix } = yield* dense(model, "gaussNewton")
        near(matrix, wanted, 1e-5, "matrix")
        const hessian = yield* dense(model, undefined)
        assert.isBelow(M.relativeError(here, hessian.here), 1e-6, "the gradient itself")
        assert.isAtLeast(least(matrix), 0)
        if (name === "two tanh, squares") assert.isBelow(least(hessian.matrix), -0.05)
        else near(matrix, hessian.matrix, 1e-5, "of a linear model: the Hessian")
      }).pipe(Effect.provide(Compiled.layer()))
    )
  }
  it.live("and by finite differences on an eager backend", () =>
    Effect.gen(function* () {
      const model = models["two tanh, squares"]!
      const exact = yield* Effect.provide(dense(model, "gaussNewton"), Compiled.layer())
      const found = yield* dense(model, "gaussNewton", Product.finiteDifference({ radius: 0.03 }))
      near(found.matrix, exact.matrix, 2e-3, "matrix")
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})

describe("the empirical Fisher", () => {
  for (const [name, model] of Object.entries(models)) {
    it.live(`${name}: the mean outer product of the rows' gradients`, () =>
      Effect.gen(function* () {
        const wanted = sum([
          ridge(model.size),
          ...rowsOf(model).map(({ x, y }) =>
            outer(
              slope((w) => model.row(model.numbers(w, x), y), model.at),
              1 / rows
            )
          )
        ])
        const { here, matrix } = yield* dense(model, "empiricalFisher")
        near(matrix, wanted, 1e-5, "matrix")
        assert.isBelow(M.relativeError(here, (yield* dense(model, undefined)).here), 1e-6)
        assert.isAtLeast(least(matrix), 0)
      }).pipe(Effect.provide(Compiled.layer()))
    )
  }
  it.live("of labels that the model draws, in the mean: the Hessian of a logistic regression", () =>
    Effect.gen(function* () {
      const model = models["linear, logistic"]!
      const chances = rowsOf(model).map(({ x }) => sigmoid(model.numbers(model.at, x)))
      const all: Array<M.Matrix> = []
      for (let mask = 0; mask < 2 ** rows; mask++) {
        const targets = chances.map((_, i) => (mask >> i) & 1)
        const chance = targets.reduce((p, y, i) => p * (y === 1 ? chances[i]! : 1 - chances[i]!), 1)
        const { matrix } = yield* dense(
          { ...model, targets },
          "empiricalFisher",
          Product.finiteDifference({ radius: 0.01 })
        )
        all.push(matrix.map((row) => row.map((v) => chance * v)))
      }
      const hessian = yield* dense(model, undefined, Product.finiteDifference({ radius: 0.01 }))
      near(sum(all), hessian.matrix, 1e-3, "mean")
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})

describe("in a hypergradient", () => {
  const problem = (
    curvature: Hypergradient.Curvature | undefined,
    mark: "outputs" | "nothing" = "outputs",
    product = Product.exact
  ) => {
    const model = models["linear, logistic"]!
    const lambda = Var.make("lambda", () => NdArray.float32([2], [0.3, -0.2]))
    const fit = Level.minimize(
      Var.make("w", () => NdArray.float32([2], model.at as never)),
      {
        given: [lambda],
        data: Dataset.constant("rows", { y: NdArray.float32([rows], model.targets as never) }),
        optimizer: Optimizer.sgd(0.1),
        objective: ({ lambda, w }, { y }) => {
          const z = model.apply(w)
          const losses = model.loss(mark === "outputs" ? Objective.outputs(z) : z, y)
          return tf.add(tf.mean(losses), tf.mul(0.5, tf.sum(tf.mul(tf.exp(lambda), tf.square(w))))) as tf.Scalar
        }
      }
    ).pipe(
      Level.hypergradient(
        Hypergradient.implicit({
          solver: Solver.exact,
          product,
          ...(curvature === undefined ? {} : { curvature })
        })
      )
    )
    return Problem.close(
      Level.minimize(lambda, {
        upstream: [fit],
        data: Dataset.none,
        optimizer: Optimizer.sgd(0.1),
        objective: ({ w }) => tf.sum(tf.square(tf.sub(w, 1)))
      })
    )
  }
  it.live("of a linear model it is the exact one; what marks nothing is refused", () =>
    Effect.gen(function* () {
      const [exact, bent] = [yield* swept(problem(undefined)), yield* swept(problem("gaussNewton"))]
      assert.isBelow(M.relativeError(bent.gradient, exact.gradient), 1e-6)
      const refused = yield* Effect.flip(swept(problem("gaussNewton", "nothing")))
      assert.match(`${refused}`, /marks no outputs/)
    }).pipe(Effect.provide(Compiled.layer()))
  )
  it.live("and leaves nothing alive on an eager backend", () =>
    Law.nothingLeft(problem("gaussNewton", "outputs", Product.finiteDifference({ radius: 0.01 })), {
      cases: 1,
      ticks: 3
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
  it("is in a plan's words and price", () => {
    const plan = Result.getOrThrow(Plan.make(problem("gaussNewton")))
    assert.strictEqual(plan.levels[0]?.estimator?.name, "exact × exact of gaussNewton")
    assert.deepStrictEqual(plan.cost[1]?.evaluationsPerElement, { w: 6 })
  })
})
