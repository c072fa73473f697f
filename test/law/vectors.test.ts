import { assert, describe, it } from "@effect/vitest"
import { long } from "../support/long.ts"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
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
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { swept } from "../support/hypergradient.ts"
import * as M from "../../src/testing/Matrix.ts"
import { json, present } from "../support/shared.ts"

const implicit = (solver: Hypergradient.Solver, radius = 1) =>
  Hypergradient.implicit({ solver, product: Product.finiteDifference({ radius }) })
const cpu = Effect.provide(Eager.layer("cpu"))

const closedForm = "vectors/closed_form.json"
describe.skipIf(!present(closedForm))("closed forms", () => {
  it.live("ridge: dw*/dλ to 1e-4", () =>
    Effect.gen(function* () {
      const { X, dw_dlam, lam, w: solution, y } = json(closedForm).jaxopt_ridge
      const derivative: Array<number> = []
      for (let k = 0; k < 3; k++) {
        const w = Var.make("w", () => NdArray.float32([3], solution))
        const lambda = Var.make("lambda", () => NdArray.scalar(lam))
        const fit = Level.minimize(w, {
          given: [lambda],
          data: Dataset.constant("ridge", { x: NdArray.float32([10, 3], X.flat()), y: NdArray.float32([10], y) }),
          optimizer: Optimizer.sgd(0.1),
          objective: ({ lambda, w }, { x, y }) => {
            const residual = tf.sub(tf.reshape(tf.matMul(x, tf.reshape(w, [3, 1])), [10]), y)
            const penalty = tf.mul(lambda, tf.sum(tf.square(w)))
            return tf.mul(0.5, tf.add(tf.mean(tf.square(residual)), penalty)) as tf.Scalar
          }
        }).pipe(Level.hypergradient(implicit(Solver.exact)))
        const top = Level.minimize(lambda, {
          upstream: [fit],
          data: Dataset.none,
          optimizer: Optimizer.sgd(0.1),
          objective: ({ w }) => tf.reshape(tf.slice(w, [k], [1]), []) as tf.Scalar
        })
        derivative.push((yield* swept(Problem.close(top))).gradient[0]!)
      }
      assert.isBelow(M.relativeError(derivative, dw_dlam), 1e-4)
    }).pipe(cpu)
  )

  it.live("DARTS figure 2: exact at w*, and the identity approximation at the current w", () =>
    Effect.gen(function* () {
      const gradientAt = (a: number, w0: number, solver: Hypergradient.Solver) => {
        const w = Var.make("w", () => NdArray.scalar(w0))
        const alpha = Var.make("alpha", () => NdArray.scalar(a))
        const train = Level.minimize(w, {
          given: [alpha],
          data: Dataset.none,
          optimizer: Optimizer.sgd(0.1),
          objective: ({ alpha, w }) =>
            tf.add(tf.sub(tf.square(w), tf.mul(2, tf.mul(alpha, w))), tf.square(alpha)) as tf.Scalar
        }).pipe(Level.hypergradient(implicit(solver)))
        return swept(
          Problem.close(
            Level.minimize(alpha, {
              upstream: [train],
              data: Dataset.none,
              optimizer: Optimizer.sgd(0.1),
              objective: ({ alpha, w }) => tf.add(tf.sub(tf.mul(alpha, w), tf.mul(2, alpha)), 1) as tf.Scalar
            })
          )
        ).pipe(Effect.map(({ gradient }) => gradient[0]!))
      }
      for (const row of json(closedForm).darts_fig2.rows) {
        const exact = yield* gradientAt(row.alpha, row.alpha, Solver.exact)
        assert.closeTo(exact, row.exact_total_grad_at_wstar, 1e-4)
        const identity = yield* gradientAt(row.alpha, row.w, Solver.identity)
        assert.closeTo(identity, row.betty_identity_at_current_w, 1e-4)
      }
    }).pipe(cpu)
  )
})

const perFeature = "vectors/logistic_per_feature_l2.json"
describe.skipIf(!present(perFeature))("logistic regression with one penalty per feature", () => {
  const data = present(perFeature) ? json(perFeature) : undefined
  const rows = (split: "train" | "val") =>
    Dataset.constant(split, {
      x: NdArray.float32([500, 20], data[`x_${split}`].flat()),
      y: NdArray.float32([500], data[`y_${split}`])
    })
  // softplus(z) − z·y: right at second order too, unlike TensorFlow.js's own cross-entropies.
  const bce = (x: tf.Tensor2D, w: tf.Tensor1D, y: tf.Tensor1D): tf.Scalar => {
    const z = tf.reshape(tf.matMul(x, tf.reshape(w, [20, 1])), [500])
    return tf.mean(tf.sub(tf.softplus(z), tf.mul(z, y))) as tf.Scalar
  }
  const program = (start: ReadonlyArray<number>, estimator: Hypergradient.Hypergradient, unroll = 1) => {
    const w = Var.make("w", () => NdArray.float32([20], start))
    const h = Var.make("h", () => NdArray.float32([20], new Float32Array(20).fill(1)))
    const fit = Level.minimize(w, {
      given: [h],
      data: rows("train"),
      optimizer: Optimizer.sgd(0.1),
      objective: ({ h, w }, { x, y }) => tf.add(bce(x, w, y), tf.mul(0.5, tf.sum(tf.mul(h, tf.square(w))))) as tf.Scalar
    }).pipe(Level.hypergradient(estimator), Level.unroll(unroll), Level.restart)
    return Problem.close(
      Level.minimize(h, {
        upstream: [fit],
        data: rows("val"),
        optimizer: Optimizer.momentum(1, { momentum: 0.9 }).pipe(Optimizer.clamp({ minimum: 1e-8 })),
        objective: ({ w }, { x, y }) => bce(x, w, y)
      })
    )
  }

  for (const [name, solver] of [
    ["exact", Solver.exact],
    ["identity", Solver.identity],
    ["neumann_K5_alpha1", Solver.neumann({ terms: 5, rate: 1 })],
    ["neumann_K5_alpha_1_over_L", Solver.neumann({ terms: 5, rate: 1 / (data?.computed.lambda_max ?? 1) })]
  ] as const) {
    it.live(`${name}: hypergradient at w* to 1e-4`, () =>
      Effect.gen(function* () {
        const { gradient } = yield* swept(program(data.computed.w_star, implicit(solver, 0.02)))
        assert.isBelow(M.relativeError(gradient, data.computed[`hypergrad_${name}`]), 1e-4)
      }).pipe(cpu)
    )
    it.live(`${name} with exact products on the compiled engine: to 2e-6`, () =>
      Effect.gen(function* () {
        const estimator = Hypergradient.implicit({ solver, product: Product.exact })
        const { gradient } = yield* swept(program(data.computed.w_star, estimator))
        assert.isBelow(M.relativeError(gradient, data.computed[`hypergrad_${name}`]), 2e-6)
      }).pipe(Effect.provide(Compiled.layer({ threads: 1 })))
    )
  }

  it.live.skipIf(!long)(
    "reverse through the last 10 of 100 steps: the published validation losses at outer steps 10 to 100, to 1e-3",
    () =>
      Effect.gen(function* () {
        const estimator = Hypergradient.unrolled({ steps: 10, product: Product.finiteDifference({ radius: 0.1 }) })
        const problem = program(
          Array.from({ length: 20 }, () => 0),
          estimator,
          100
        )
        const losses: Array<number> = []
        yield* Run.ticks(problem, { ticks: 10_100, seed: 0 }).pipe(
          Stream.runForEach((tick) => Effect.sync(() => void ("h" in tick.levels && losses.push(tick.levels.h!.loss))))
        )
        const published = data.published.val_loss_reverse_T100_K10_sgd1_mom0p9_clamp1e_8
        for (let step = 0; step <= 100; step += 10)
          assert.closeTo(losses[step]!, published[step], 1e-3, `outer step ${step}`)
      }).pipe(Effect.provide(Eager.layer("wasm")))
  )
})
