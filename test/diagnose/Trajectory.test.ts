import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { CompiledEngine, Dataset, Diagnose, Hypergradient, Init, Level, Optimizer, Problem } from "tapweight"
import { Product, Solver, Var } from "tapweight"

const x = Var.make("x", Init.zeros([]))
const z = Var.make("z", Init.constant(-1, []))

/** z follows x, at once where it is a parabola's minimum; in a double well it keeps to the side that it came to. */
const problem = (upper: Optimizer.Optimizer, options: { readonly well?: boolean; readonly target?: number } = {}) => {
  const { target = 3, well = false } = options
  const lower = Level.minimize(z, {
    name: "lower",
    given: [x],
    data: Dataset.none,
    optimizer: Optimizer.sgd(well ? 0.1 : 1),
    objective: ({ x, z }) =>
      well
        ? tf.sub(tf.mul(0.25, tf.square(tf.sub(tf.square(z), 1))), tf.mul(x, z))
        : tf.mul(0.5, tf.squaredDifference(z, x))
  }).pipe(
    Level.unroll(well ? 5 : 1),
    // By the sign of what a well's z owes to x, whose size it is not.
    Level.hypergradient(
      Hypergradient.implicit({ solver: well ? Solver.identity : Solver.exact, product: Product.exact })
    )
  )
  return Problem.close(
    Level.minimize(x, {
      name: "upper",
      upstream: [lower],
      data: Dataset.none,
      optimizer: upper,
      objective: ({ z }) => tf.mul(0.5, tf.squaredDifference(z, target))
    })
  )
}

const looked = (of: ReturnType<typeof problem>, ticks = 200) =>
  Effect.runPromise(Diagnose.trajectory(of, { seed: 0, ticks }).pipe(Effect.provide(CompiledEngine.layer())))

describe("a trajectory", () => {
  it("raises nothing where a level comes to rest, and to a value that is worth what it was", async () => {
    const found = await looked(problem(Optimizer.sgd(0.1)))
    expect(Diagnose.trajectoryAlarms(found)).toEqual([])
    expect(found.velocity.last).toBeLessThan(1e-4)
    expect(found.retrainGap.retrained).toBeCloseTo(found.retrainGap.online, 6)
    expect(Diagnose.trajectoryText(found)).toContain("retrain gap")
  })

  it("raises where a level never moves, goes to and fro, or is on its way still", async () => {
    expect((await looked(problem(Optimizer.sgd(0)))).velocity.alarm).toMatch(/never moves/)
    // Φ is ½ (x − 3)², whose gradient step at a rate of 2 leads to the other side.
    const swung = (await looked(problem(Optimizer.sgd(2.02)))).velocity
    expect(swung.alarm).toMatch(/to and fro/)
    expect(swung.straight).toBeLessThan(0.1)
    expect((await looked(problem(Optimizer.sgd(1e-4)))).velocity.alarm).toMatch(/on its way/)
  })

  it("raises where levels below are better than those that start anew", async () => {
    // x goes up until z falls into the other well, and comes back to where z, from its initial value, would stay in its own.
    const upper = Optimizer.sgd(0.02)
    const found = (await looked(problem(upper, { well: true, target: 1.05 }), 2000)).retrainGap
    expect(found.online).toBeLessThan(0.01)
    expect(found.retrained).toBeGreaterThan(1)
    expect(found.alarm).toMatch(/start anew/)
  })

  it("refuses a level that there is not", async () => {
    const none = Diagnose.trajectory(problem(Optimizer.sgd(0.1)), { seed: 0, ticks: 20, level: "top" })
    await expect(Effect.runPromise(none.pipe(Effect.provide(CompiledEngine.layer())))).rejects.toThrow(/no level 'top'/)
  })
})
