import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { CompiledEngine, Dataset, Diagnose, Hypergradient, Init, Level, NdArray, Optimizer, Problem } from "tapweight"
import { Product, Solver, Var } from "tapweight"

const sound = Solver.conjugateGradient({ iterations: 2 })
const x = Var.make("x", Init.zeros([2]))
const z = Var.make("z", Init.zeros([2]))
const matrix = [
  [2, 0.5],
  [0.5, 1]
]
/** Eigenvalues of `matrix`. */
const [least, most] = [1.5 - Math.SQRT1_2, 1.5 + Math.SQRT1_2]

/** ½ z·A z − x·z, and a double well in z beside where `well` is 1: at zero its curvature is −1. */
const problem = (solver: Hypergradient.Solver, well = 0) => {
  const lower = Level.minimize(z, {
    name: "lower",
    given: [x],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.1),
    objective: ({ x, z }) => {
      const bent = tf.sub(tf.mul(0.25, tf.sum(tf.square(tf.square(z)))), tf.mul(0.5, tf.sum(tf.square(z))))
      const quadratic = tf.mul(0.5, tf.sum(tf.mul(z, tf.dot(tf.tensor2d(matrix), z))))
      return tf.sub(well === 1 ? bent : quadratic, tf.sum(tf.mul(x, z)))
    }
  }).pipe(Level.hypergradient(Hypergradient.implicit({ solver, product: Product.exact })))
  return Problem.close(
    Level.minimize(x, {
      name: "upper",
      upstream: [lower],
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective: ({ z }) => tf.sum(tf.squaredDifference(z, 1))
    })
  )
}

const spectraOf = (of: ReturnType<typeof problem>) =>
  Effect.runPromise(
    Effect.scoped(Effect.flatMap(Diagnose.open(of, { seed: 1, solveTicks: 100 }), Diagnose.spectra)).pipe(
      Effect.provide(CompiledEngine.layer())
    )
  )

describe("a spectrum", () => {
  it("is the curvature's, and what a solver leaves of an error is what it should", async () => {
    const [found] = await spectraOf(problem(Solver.descent(Optimizer.sgd(0.1), { hands: "before" })))
    expect(found!.dominant).toBeCloseTo(most, 4)
    expect(found!.opposite).toBeCloseTo(least, 4)
    expect(found!.contraction).toBeCloseTo(1 - 0.1 * least, 4)
    expect(found!.alarm).toBeUndefined()
    const [series] = await spectraOf(problem(Solver.neumann({ terms: 2, rate: 0.1 })))
    expect(series!.contraction).toBeCloseTo((1 - 0.1 * least) ** 3, 4)
    const [solved] = await spectraOf(problem(sound))
    expect(solved!.contraction).toBeLessThan(1e-3)
  })

  it("raises where a solver makes errors larger, and asks the identity for nothing", async () => {
    const [fast] = await spectraOf(problem(Solver.descent(Optimizer.sgd(1.2))))
    expect(fast!.contraction).toBeCloseTo(1.2 * most - 1, 3)
    expect(fast!.alarm).toMatch(/lower its rate/)
    const [identity] = await spectraOf(problem(Solver.identity))
    expect(identity!.contraction).toBeCloseTo(most - 1, 4)
    expect(identity!.alarm).toBeUndefined()
  })

  it("raises where the curvature is indefinite", async () => {
    const [found] = await spectraOf(problem(sound, 1))
    expect(found!.dominant).toBeCloseTo(-1, 4)
    expect(found!.alarm).toMatch(/at no minimum/)
    expect((await spectraOf(problem(sound)))[0]!.alarm).toBeUndefined()
  })

  it("is that at the values that are given", async () => {
    const two = NdArray.float32([2], [2, 2])
    const found = await Effect.runPromise(
      Effect.scoped(
        Effect.flatMap(
          Diagnose.open(problem(sound, 1), { seed: 1, solveTicks: 0, vars: { x: two, z: two } }),
          Diagnose.spectra
        )
      ).pipe(Effect.provide(CompiledEngine.layer()))
    )
    // 3 z² − 1.
    expect(found[0]!.dominant).toBeCloseTo(11, 4)
  })

  it("has the curvature of what responds in it", async () => {
    const y = Var.make("y", Init.ones([]))
    const [w, v] = [Var.make("w", Init.ones([])), Var.make("v", Init.zeros([]))]
    const exact = Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact }))
    const data = { data: Dataset.none, optimizer: Optimizer.sgd(0.1) }
    // w* = 3 y, so that ½ y² + w² has a curvature of 1 + 18 in y.
    const low = Level.minimize(w, {
      ...data,
      given: [y],
      objective: ({ w, y }) => tf.mul(0.5, tf.squaredDifference(w, tf.mul(3, y)))
    }).pipe(exact)
    const middle = Level.minimize(y, {
      ...data,
      given: [v],
      upstream: [low],
      objective: ({ v, w, y }) => tf.sub(tf.add(tf.mul(0.5, tf.square(y)), tf.square(w)), tf.mul(v, y))
    }).pipe(exact)
    const top = Level.minimize(v, {
      ...data,
      upstream: [middle],
      objective: ({ y }) => tf.squaredDifference(y, 1)
    })
    const found = await spectraOf(Problem.close(top) as never)
    expect(found.map(({ dominant, level, opposite }) => [level, dominant, opposite])).toEqual([["y", 19, 19]])
  })
})
