import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { CompiledEngine, Dataset, Diagnose, Hypergradient, Init, Level, NdArray, Optimizer, Problem } from "tapweight"
import { Product, Seed, Solver, Var } from "tapweight"

const sound = Hypergradient.implicit({ solver: Solver.exact, product: Product.exact })

/** z follows x through curvature `a`, bent by a quartic; x is pulled to a target that batches move by `noise`. */
const problem = (
  given: {
    readonly curvature?: ReadonlyArray<number>
    readonly estimator?: Hypergradient.Hypergradient
    readonly quartic?: number
    readonly noise?: number
    readonly inner?: number
    readonly outer?: number
  } = {}
) => {
  const { curvature = [1, 2], estimator = sound, inner = 0.2, noise = 0, outer = 0.1, quartic = 0 } = given
  const size = curvature.length
  const [x, z] = [Var.make("x", Init.ones([size])), Var.make("z", Init.constant(2, [size]))]
  const lower = Level.minimize(z, {
    name: "lower",
    given: [x],
    data: Dataset.none,
    optimizer: Optimizer.sgd(inner),
    objective: ({ x, z }) =>
      tf.add(
        tf.sub(tf.mul(0.5, tf.sum(tf.mul(curvature, tf.square(z)))), tf.sum(tf.mul(z, x))),
        tf.mul(quartic, tf.sum(tf.square(tf.square(z))))
      )
  }).pipe(Level.hypergradient(estimator))
  const target = Dataset.make("target", {
    fields: { t: Dataset.float32([size]) },
    open: Effect.succeed((seed: Seed.Seed, index: number) =>
      Effect.succeed({
        t: NdArray.float32(
          [size],
          Seed.normal(Seed.fold(seed, index), size).map((each) => 3 + noise * each)
        )
      })
    )
  })
  const upper = Level.minimize(x, {
    name: "upper",
    upstream: [lower],
    data: target,
    optimizer: Optimizer.sgd(outer),
    objective: ({ z }, { t }) => tf.mul(0.5, tf.sum(tf.squaredDifference(z, t)))
  })
  return Problem.close(upper)
}

const diagnosed = (of: ReturnType<typeof problem>, solveTicks = 200) =>
  Effect.runPromise(Diagnose.diagnose(of, { seed: 1, solveTicks }).pipe(Effect.provide(CompiledEngine.layer())))

/** What one table says is wrong. */
const alarmOf = (
  of: ReturnType<typeof problem>,
  sweep: (probe: Diagnose.Probe<never>) => Diagnose.Looked<never, { readonly alarm?: string }>,
  solveTicks = 200
) =>
  Effect.runPromise(
    Effect.scoped(Effect.flatMap(Diagnose.open(of, { seed: 1, solveTicks }), sweep)).pipe(
      Effect.map(({ alarm }) => alarm),
      Effect.provide(CompiledEngine.layer())
    )
  )

describe("a diagnosis", () => {
  it("raises nothing where all is well, and its readings are the closed form's", async () => {
    const found = await diagnosed(problem())
    expect(Diagnose.alarms(found)).toEqual([])
    // z* = x / a and Φ = ½ Σ (x / a − 3)², so ∇Φ = (x / a − 3) / a.
    const norm = Math.hypot((1 - 3) / 1, (0.5 - 3) / 2)
    for (const { readings, title } of found.tables) {
      if (title === "damped solves") continue
      expect(readings.at(-1)!.norm, title).toBeCloseTo(norm, 3)
    }
    // One update moves x by −0.1 ∇Φ, and ∇Φ with it by 1/a²; a tick closes 0.2 of what is slowest.
    const change = Math.hypot(0.1 * (1 - 3), (0.1 * (0.5 - 3)) / 8) / norm
    expect(found.timeScale.change).toBeCloseTo(change, 2)
    expect(Diagnose.text(found)).toContain("longer solves")
  })

  it("raises where the levels below are not solved", async () => {
    expect(await alarmOf(problem(), Diagnose.innerSweep, 0)).toMatch(/give the levels below more updates/)
  })

  it("raises where the stated solver is far from the solution", async () => {
    const identity = Hypergradient.implicit({ solver: Solver.identity, product: Product.exact })
    const found = alarmOf(problem({ curvature: [0.3, 3], estimator: identity }), Diagnose.termsSweep)
    expect(await found).toMatch(/more iterations/)
  })

  it("raises where the curvature is nearly singular", async () => {
    expect(await alarmOf(problem({ curvature: [1e-4, 1] }), Diagnose.dampingSweep)).toMatch(/nearly singular/)
    expect(await alarmOf(problem({ curvature: [0.5, 1] }), Diagnose.dampingSweep)).toBeUndefined()
  })

  it("raises where the radius of differences is off, and names a better one", async () => {
    const solver = Solver.conjugateGradient({ iterations: 2 })
    const wide = Hypergradient.implicit({ solver, product: Product.finiteDifference({ radius: 3 }) })
    const bent = { curvature: [1, 2], quartic: 0.5, inner: 0.05 }
    expect(await alarmOf(problem({ ...bent, estimator: wide }), Diagnose.radiusSweep)).toMatch(/Product.exact/)
    // A quadratic has no radius that is too large.
    expect(await alarmOf(problem({ estimator: wide }), Diagnose.radiusSweep)).toBeUndefined()
  })

  it("raises where batches do not agree", async () => {
    expect(await alarmOf(problem({ noise: 20 }), Diagnose.batchSweep)).toMatch(/larger batches/)
    expect(await alarmOf(problem({ noise: 0.1 }), Diagnose.batchSweep)).toBeUndefined()
  })

  it("raises where a level outruns those below", async () => {
    const outrun = problem({ inner: 0.01, outer: 1 })
    expect(await alarmOf(outrun, (probe) => Diagnose.timeScale(probe, 2000), 2000)).toMatch(/lower this level's rate/)
  })

  it("says nothing of a hypergradient at rest, of which rounding is left", async () => {
    // The target is 3, so that x = 3 a; a poor estimator is as good as any there.
    const curvature = [0.3, 3]
    const estimator = Hypergradient.implicit({ solver: Solver.identity, product: Product.exact })
    const x = NdArray.float32([2], [3 * 0.3 + 1e-7, 3 * 3])
    const looked = (first?: number) => {
      const at = { seed: 1, vars: { x, z: NdArray.float32([2], [3, 3]) }, ...(first === undefined ? {} : { first }) }
      return Effect.runPromise(
        Diagnose.diagnose(problem({ curvature, estimator }), at).pipe(Effect.provide(CompiledEngine.layer()))
      )
    }
    expect(Diagnose.alarms(await looked(1))).toEqual([])
    expect(Diagnose.alarms(await looked())).not.toEqual([])
  })

  it("refuses an estimator that looks back, and a level with nothing below", async () => {
    const unrolled = problem({ estimator: Hypergradient.unrolled({ steps: 2, product: Product.exact }) })
    await expect(diagnosed(unrolled)).rejects.toThrow(/looks back \(Unrolled\)/)
    const none = Effect.runPromise(
      Diagnose.diagnose(problem(), { seed: 0, level: "lower" }).pipe(Effect.provide(CompiledEngine.layer()))
    )
    await expect(none).rejects.toThrow(/no hypergradient to look at/)
  })
})

describe("a spread of shares", () => {
  it("is whole where they are equal, and one where one has all", () => {
    expect(Diagnose.spread([0.25, 0.25, 0.25, 0.25])).toEqual({ effective: 4, entropy: 1, largest: 0.25 })
    const one = Diagnose.spread([1, 0])
    expect(one.effective).toBe(1)
    expect(one.entropy).toBeCloseTo(0)
  })
})
