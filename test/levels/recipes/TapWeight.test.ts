import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Dataset from "../../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Level from "../../../src/dsl/Level.ts"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Problem from "../../../src/dsl/Problem.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Split from "../../../src/dsl/Split.ts"
import * as Var from "../../../src/dsl/Var.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as TapWeight from "../../../src/levels/recipes/TapWeight.ts"
import * as Objective from "../../../src/objectives/Objective.ts"
import * as Simplex from "../../../src/objectives/Simplex.ts"
import * as Wiring from "../../../src/runtime/plan/Wiring.ts"
import * as M from "../../../src/testing/Matrix.ts"
import * as Run from "../../../src/runtime/run/Run.ts"

type Rows = { readonly x: tf.Tensor2D; readonly y: tf.Tensor2D }
type Model = { readonly body: tf.Tensor2D; readonly head: tf.Tensor2D }
type Statistics = { readonly mean: tf.Tensor1D }

const rows = (name: string) =>
  Dataset.fromRows(
    name,
    {
      x: NdArray.float32([12, 3] as const, Seed.normal(Seed.fold(Seed.make(1), `${name} x`), 36)),
      y: NdArray.float32([12, 2] as const, Seed.normal(Seed.fold(Seed.make(1), `${name} y`), 24))
    },
    { batch: 6 }
  )
const model = (seed: Seed.Seed) => ({
  body: NdArray.float32([3, 4] as const, Seed.normal(Seed.fold(seed, "body"), 12)),
  head: NdArray.float32([4, 2] as const, Seed.normal(Seed.fold(seed, "head"), 8))
})
const theta = Var.make("theta", model)
const omega = Var.make("omega", (_, root) => Var.initial(theta, root))
const statistics = () => ({ mean: NdArray.float32([3] as const, [0, 0, 0]) })
const thetaMean = Var.make("thetaMean", statistics)
const omegaMean = Var.make("omegaMean", statistics)

const hypergradient = Hypergradient.implicit({
  solver: Solver.identity,
  product: Product.finiteDifference({ radius: 0.1 })
})
const optimizer = Optimizer.adam(0.02)

/** Features of a batch less a running mean, and the mean after it. */
const encode = ({ body }: Model, { x }: Rows, { mean }: Statistics) => {
  const next = tf.add(tf.mul(0.9, mean), tf.mul(0.1, tf.mean(x, 0)))
  return { features: tf.matMul(tf.sub(x, mean) as tf.Tensor2D, body) as tf.Tensor2D, buffers: { mean: next } }
}
const fitted = ({ head }: Model, features: tf.Tensor2D, y: tf.Tensor2D): tf.Scalar =>
  Objective.meanSquaredError(tf.matMul(features, head), y)
const mirrored = (model: Model, features: tf.Tensor2D, y: tf.Tensor2D): tf.Scalar => fitted(model, features, tf.neg(y))

const labelled = Split.apart({ train: rows("train"), validation: rows("validation") })
type Estimators = Hypergradient.Hypergradient | Record<"theta" | "omega", Hypergradient.Hypergradient>
const recipeOf = (pace: { readonly every?: number }, estimators: Estimators = hypergradient) =>
  TapWeight.levels({
    theta,
    omega,
    pretrain: {
      buffers: thetaMean,
      data: rows("corpus"),
      optimizer,
      pass: encode,
      objectives: {
        fitted: (theta, { y }, { features }) => fitted(theta, features, y),
        mirrored: (theta, { y }, { features }) => mirrored(theta, features, y),
        small: (_, __, { features }) => tf.mean(tf.square(features)) as tf.Scalar
      }
    },
    initial: { small: 0.5, fitted: 0.3, mirrored: 0.2 },
    finetune: {
      buffers: omegaMean,
      data: labelled.train,
      optimizer,
      loss: (omega, batch, mean) => {
        const { buffers, features } = encode(omega, batch, mean)
        return { loss: fitted(omega, features, batch.y), buffers }
      },
      gamma: 0.3,
      shared: (omega, theta) => [omega.body, theta.body]
    },
    reweight: {
      data: labelled.validation,
      optimizer: Optimizer.adam(0.1),
      loss: (omega, batch, mean) => fitted(omega, encode(omega, batch, mean).features, batch.y),
      warmup: 2,
      ...pace
    },
    hypergradient: estimators
  })
const recipe = recipeOf({})

/** The same levels, each stated by itself. */
const stated = (every = 1) => {
  const beta = Simplex.make("beta", ["fitted", "mirrored", "small"], {
    initial: { fitted: 0.3, mirrored: 0.2, small: 0.5 }
  })
  const pretrain = Level.minimize(theta, {
    name: "pretrain",
    given: [beta],
    buffers: thetaMean,
    data: rows("corpus"),
    optimizer,
    objective: ({ beta, theta, thetaMean }, batch) => {
      const { buffers, features } = encode(theta, batch, thetaMean)
      const losses = [
        fitted(theta, features, batch.y),
        mirrored(theta, features, batch.y),
        tf.mean(tf.square(features)) as tf.Scalar
      ]
      return { loss: tf.sum(tf.mul(tf.softmax(beta), tf.stack(losses))), buffers }
    }
  }).pipe(Level.hypergradient(hypergradient))
  const finetune = Level.minimize(omega, {
    name: "finetune",
    upstream: [pretrain],
    buffers: omegaMean,
    data: rows("train"),
    optimizer,
    objective: ({ omega, omegaMean, theta }, batch) => {
      const { buffers, features } = encode(omega, batch, omegaMean)
      const distance = Objective.proximal(omega.body, theta.body)
      return { loss: tf.add(fitted(omega, features, batch.y), tf.mul(0.3, distance)), buffers }
    }
  }).pipe(Level.unroll(every), Level.hypergradient(hypergradient))
  return Problem.close(
    Level.minimize(beta, {
      name: "reweight",
      upstream: [finetune],
      data: rows("validation"),
      optimizer: Optimizer.adam(0.1),
      objective: ({ omega, omegaMean }, batch) => fitted(omega, encode(omega, batch, omegaMean).features, batch.y)
    }).pipe(Level.warmup(2))
  )
}

type Names = "fitted" | "mirrored" | "small"
const trained = Effect.fnUntraced(function* (problem: ReturnType<typeof stated>) {
  const ticks = yield* Stream.runCollect(
    Run.ticks(problem, { ticks: 6, seed: 4 }).pipe(
      Stream.mapEffect((tick) =>
        Effect.map(tick.read(["theta", "thetaMean", "omega", "omegaMean", "beta"]), (vars) => ({ tick, vars }))
      )
    )
  )
  return ticks.at(-1)!
})

describe("the recipe", () => {
  it.live("with a shared pass and buffers, is the three levels stated one by one: the same bits", () =>
    Effect.gen(function* () {
      const [ours, theirs] = yield* Effect.forEach([Problem.close(recipe.reweight), stated()], trained)
      assert.deepStrictEqual(ours!.vars, theirs!.vars)
      const { beta, omegaMean, thetaMean } = ours!.vars
      assert.isTrue([...thetaMean.mean.data, ...omegaMean.mean.data].every((value) => value !== 0))
      const shares: { readonly [N in Names]: number } = Simplex.shares(recipe.beta, beta)
      assert.isAbove(Math.abs(shares.small - 0.5), 1e-3)
      const { metrics } = ours!.tick.levels["pretrain"]!
      assert.deepStrictEqual(Object.keys(metrics), ["fitted", "mirrored", "small"])
    }).pipe(Effect.provide(Compiled.layer({ threads: 1 })))
  )

  it.live("has λ move at every second tick, as two turns of level II for one of level III do", () =>
    Effect.gen(function* () {
      const every = yield* trained(Problem.close(recipeOf({ every: 2 }).reweight))
      assert.deepStrictEqual(every.vars, (yield* trained(stated(2))).vars)
      assert.notDeepEqual(every.vars, (yield* trained(stated())).vars)
    }).pipe(Effect.provide(Compiled.layer({ threads: 1 })))
  )

  it.live("takes an estimator for each of θ and ω: λ looks back through the updates of θ between its own", () =>
    Effect.gen(function* () {
      const product = Product.exact
      const [forward, unrolled, both] = yield* Effect.forEach(
        [
          { theta: Hypergradient.forward({ updates: 3, product }), omega: hypergradient },
          { theta: Hypergradient.unrolled({ steps: 3, product }), omega: hypergradient },
          hypergradient
        ],
        (estimators) =>
          Effect.map(trained(Problem.close(recipeOf({ every: 3 }, estimators).reweight)), ({ vars }) =>
            Array.from(vars.beta.data)
          )
      )
      assert.isBelow(M.relativeError(forward!, unrolled!), 1e-5)
      assert.isAbove(M.relativeError(forward!, both!), 1e-3)
    }).pipe(Effect.provide(Compiled.layer({ threads: 1 })))
  )

  it("has its names, their order and their losses from one record, which the level of λ keeps", () => {
    assert.deepStrictEqual(recipe.beta.elements, ["fitted", "mirrored", "small"])
    const names = Wiring.elements(Problem.close(recipe.reweight))
    assert.deepStrictEqual(names, { reweight: ["fitted", "mirrored", "small"] })
  })

  it("refuses whole numbers as names", () => {
    const objectives = { first: () => tf.scalar(1), 2: () => tf.scalar(2) }
    assert.throws(() => TapWeight.weightsOf(objectives), RangeError, /'2' is a whole number/)
  })
})

// What follows must not compile.
export const refusals = () => {
  const spec = { optimizer, loss: () => tf.scalar(0), warmup: 0 }
  type Third = TapWeight.Spec<
    Model,
    Model,
    Rows,
    Rows,
    Rows,
    "one",
    never,
    never,
    never,
    Dataset.DataError,
    never
  >["reweight"]
  // @ts-expect-error: level III reads validation data, and this is trained on
  const trained: Third = { ...spec, data: labelled.train }
  // @ts-expect-error: rows that no split has named
  const anybodys: Third = { ...spec, data: rows("validation") }
  const validated: Third = { ...spec, data: labelled.validation }
  assert.isDefined([trained, anybodys, validated])
  const data = rows("corpus")
  const one = { one: () => tf.scalar(1) }
  TapWeight.pretraining(theta, Simplex.make("beta", ["one"]), {
    name: "pretrain",
    buffers: thetaMean,
    data,
    optimizer,
    hypergradient,
    // @ts-expect-error: a pass of a level with buffers says what they are after it
    pass: () => ({ features: 1 }),
    objectives: one
  })
  // @ts-expect-error: weights of other names
  TapWeight.mixture(Simplex.make("beta", ["one", "two"]), { objectives: one })
  // @ts-expect-error: a loss is missing
  Objective.weighted(Simplex.weights(Simplex.make("beta", ["one", "two"]), tf.tensor1d([0, 0])), { one: tf.scalar(1) })
  // @ts-expect-error: a share is missing
  Simplex.make("beta", ["one", "two"], { initial: { one: 1 } })
}
