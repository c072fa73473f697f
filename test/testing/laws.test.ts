import { assert, describe, expect, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import type { Engine, EngineError } from "../../src/engines/Engine.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Law from "../../src/testing/Law.ts"
import "../../src/testing/vitest.ts"
import { triLevel } from "../support/programs.ts"

const compiled = Compiled.layer({ threads: 1 })
const cpu = Eager.layer("cpu")

/** A small problem of two levels that obeys every law, and places in it to plant a fault. */
interface Plants {
  readonly lower?: (vars: { readonly [name: string]: tf.Tensor }, y: tf.Tensor) => tf.Tensor
  readonly upper?: (vars: { readonly [name: string]: tf.Tensor }) => tf.Tensor
  readonly data?: Dataset.Dataset<{ readonly y: tf.Tensor1D }>
}
const pull = ({ lambda, w, z }: { readonly [name: string]: tf.Tensor }, y: tf.Tensor): tf.Tensor =>
  tf.add(
    tf.mean(tf.squaredDifference(w!, y)),
    tf.sum(tf.mul(tf.exp(lambda!), tf.squaredDifference(w!, tf.mul(0.5, z!))))
  )
const drawn = Dataset.make("drawn", {
  fields: { y: Dataset.float32([2]) },
  open: Effect.succeed((seed, index) =>
    Effect.succeed({ y: NdArray.float32([2], Seed.normal(Seed.fold(seed, index), 2)) })
  )
})
const planted = ({ data = drawn, lower = pull, upper }: Plants = {}) => {
  const w = Var.make("w", (seed) => NdArray.float32([2], Seed.normal(seed, 2)))
  const z = Var.make("z", (seed) => NdArray.float32([2], Seed.normal(Seed.fold(seed, "z"), 2)))
  const lambda = Var.make("lambda", () => NdArray.float32([2], [0.1, -0.2]))
  const estimator = Hypergradient.implicit({
    solver: Solver.conjugateGradient({ iterations: 4 }),
    product: Product.finiteDifference({ radius: 0.1 })
  })
  const lowest = Level.minimize(z, {
    name: "lowest",
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.2),
    objective: ({ z }) => tf.sum(tf.squaredDifference(z, tf.tensor1d([1, -1])))
  }).pipe(Level.hypergradient(Hypergradient.detached))
  const below = Level.minimize(w, {
    name: "lower",
    given: [lambda],
    upstream: [lowest],
    data,
    optimizer: Optimizer.sgd(0.1),
    objective: (vars, { y }) => lower(vars, y)
  }).pipe(Level.hypergradient(estimator))
  return Problem.close(
    Level.minimize(lambda, {
      name: "upper",
      upstream: [below, lowest],
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective: (vars) => upper?.(vars) ?? tf.sum(tf.squaredDifference(vars.w, tf.tensor1d([0.7, 0.2])))
    })
  )
}

/** A position of its own, in place of the index that it is asked for. */
const forgetful = Dataset.make("forgetful", {
  fields: { y: Dataset.float32([2]) },
  open: Effect.sync(() => {
    let next = 0
    return (seed: Seed.Seed) =>
      Effect.sync(() => ({ y: NdArray.float32([2], Seed.normal(Seed.fold(seed, next++), 2)) }))
  })
})

/** A square that hands on half of its gradient. */
const halved = (x: tf.Tensor): tf.Tensor =>
  tf.customGrad((...args) => {
    const [y, save] = args as unknown as [tf.Tensor, tf.GradSaveFunc]
    save([y])
    return { value: tf.square(y), gradFunc: (dy: tf.Tensor, [y]: Array<tf.Tensor>) => tf.mul(dy, y!) }
  })(x)

const laws: ReadonlyArray<
  readonly [
    name: string,
    law: Law.Law,
    fault: string,
    broken: () => Problem.Problem<Var.Var.Any>,
    engine: Layer.Layer<Engine, EngineError>,
    says: RegExp
  ]
> = [
  [
    "hypergradient",
    (problem, options) => Law.hypergradient(problem, { cases: 1, solveTicks: 60, ...options }),
    "a wrong gradient",
    () => planted({ upper: ({ w }) => tf.sum(halved(tf.sub(w!, tf.tensor1d([0.7, 0.2])))) }),
    cpu,
    /gradient of 'upper' is off by 5\.\de-1/
  ],
  [
    "engines",
    Law.engines,
    "an objective that computes something else when it is traced",
    () =>
      planted({
        lower: (vars, y) => tf.mul(pull(vars, y), tf.getBackend() === "cpu" ? 1 : 1.001)
      }),
    compiled,
    /differ in: vars\.w by/
  ],
  [
    "declarationOrder",
    Law.declarationOrder,
    "variables taken by their place",
    () => planted({ upper: (vars) => tf.sum(tf.squaredDifference(Object.values(vars)[1]!, 0.5)) }),
    cpu,
    /another order of given and upstream changes: vars\.w by/
  ],
  [
    "resume",
    Law.resume,
    "a dataset with a position of its own",
    () => planted({ data: forgetful }),
    cpu,
    /after tick 1 .*vars\.w by/
  ],
  [
    "nothingLeft",
    Law.nothingLeft,
    "an objective that keeps a tensor",
    () =>
      planted({
        lower: (vars, y) => {
          tf.keep(tf.scalar(1))
          return pull(vars, y)
        }
      }),
    cpu,
    /tensors are left of a run that ended so/
  ],
  [
    "gradientReaches",
    Law.gradientReaches,
    "terms that never meet",
    () =>
      planted({
        lower: ({ lambda, w }, y) => tf.add(tf.mean(tf.squaredDifference(w!, y)), tf.sum(tf.square(lambda!)))
      }),
    cpu,
    /no gradient arrives at 'lambda', which 'upper' minimizes, nor at 'lambda' through the response of 'lower'/
  ]
]

describe("a law", () => {
  for (const [name, law, fault, broken, engine, says] of laws) {
    it.live(`${name}: holds for a problem without a fault, and finds ${fault}, again by what it prints`, () =>
      Effect.gen(function* () {
        yield* law(planted())
        const error = yield* Effect.flip(law(broken()))
        assert.strictEqual(error._tag, "LawError")
        assert.match(error.message, says)
        assert.include(error.message, `{ seed: ${error.seed}, path: "${error.path}" }`)
        // One case, and the same one.
        const { path, seed } = error
        const again = yield* Effect.flip(law(broken(), { cases: 1, path, seed }))
        assert.deepStrictEqual([again.case, again.reason], [error.case, error.reason])
      }).pipe(Effect.provide(engine))
    )
  }

  it.live(
    "holds for a stochastic problem of three levels: all but the hypergradient, whose levels it leaves unsolved",
    () =>
      Effect.forEach(
        [Law.engines, Law.declarationOrder, Law.resume, Law.nothingLeft, Law.gradientReaches],
        (law) => law(triLevel(), { cases: 1 }),
        { discard: true }
      ).pipe(Effect.provide(compiled))
  )

  it.live("says where it has nothing to go by, and does not hold then", () =>
    Effect.gen(function* () {
      const lone = Problem.close(
        Level.minimize(
          Var.make("w", () => NdArray.float32([2], [1, 2])),
          { data: Dataset.none, optimizer: Optimizer.sgd(0.1), objective: ({ w }) => tf.sum(tf.square(w)) }
        )
      )
      const nothing = yield* Effect.flip(Law.hypergradient(lone))
      assert.match(nothing.message, /no level's gradient contains the response of another/)
      const rough = planted({ upper: ({ w }) => tf.sum(tf.sin(tf.mul(1e5, w!))) })
      const noise = yield* Effect.flip(Law.hypergradient(rough, { cases: 1, solveTicks: 20 }))
      assert.match(noise.message, /differences of the loss of 'upper' say nothing: at half the radius/)
    }).pipe(Effect.provide(cpu))
  )

  it.live("says what an engine or data did wrong in its own error", () =>
    Effect.gen(function* () {
      const starved = Dataset.fromRows("starved", { y: NdArray.float32([0, 2], []) }, { batch: 1 })
      const error = yield* Effect.flip(Law.resume(planted({ data: starved as never })))
      assert.match(error.message, /dataset 'starved': it has 0 rows/)
    }).pipe(Effect.provide(cpu))
  )
})

describe("the matcher toObey", () => {
  it("passes, fails with the law's words, and knows .not", async () => {
    await expect(planted()).toObey(Law.resume, { cases: 1, ticks: 3 })
    await expect(planted({ data: forgetful })).not.toObey(Law.resume, { cases: 2, engine: cpu })
    // A law's own options are the matcher's.
    await expect(planted()).not.toObey(Law.hypergradient, { cases: 1, solveTicks: 1, tolerance: 1e-12, engine: cpu })
    const failure = expect(planted({ data: forgetful })).toObey(Law.resume, { cases: 2, engine: cpu })
    await expect(failure).rejects.toThrow(/the law 'resume' does not hold: .*have it again with \{ seed: 1, path: "/s)
  })

  it("throws what is wrong with the options, with .not too", async () => {
    await expect(expect(planted()).not.toObey(Law.resume, { cases: 0 })).rejects.toThrow(/resume: cases is 0/)
  })
})
