import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Dataset from "../../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Level from "../../../src/dsl/Level.ts"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Problem from "../../../src/dsl/Problem.ts"
import * as Var from "../../../src/dsl/Var.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import * as CompiledEngine from "../../../src/engines/compiled/CompiledEngine.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Rate from "../../../src/levels/Rate.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Curves from "../../../src/runs/report/Curves.ts"
import * as Records from "../../../src/runs/folder/Records.ts"
import * as Trial from "../../../src/runs/trial/Trial.ts"
import { triLevel } from "../../support/programs.ts"

const eager = Effect.provide([Eager.layer("cpu"), NodeServices.layer])
const services = Effect.provide([CompiledEngine.layer({ threads: 1 }), NodeServices.layer])
const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tapweight-records-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)
const folder = (path: string) => ({ id: "r", program: "p", path })
const only = <T extends Records.Record["t"]>(records: ReadonlyArray<Records.Record>, t: T) =>
  records.filter((record): record is Extract<Records.Record, { readonly t: T }> => record.t === t)

/** min over λ of (w − 3)² + λ²/2 where w minimizes (w − λ)²: everything of it is known. */
const quadratic = (lower: Optimizer.Optimizer) => {
  const lambda = Var.make("lambda", () => NdArray.float32([1], [1]))
  const w = Var.make("w", () => ({ a: NdArray.float32([1], [3]), b: NdArray.float32([1], [4]) }))
  const fit = Level.minimize(w, {
    name: "fit",
    given: [lambda],
    data: Dataset.none,
    optimizer: lower,
    objective: ({ lambda, w }) =>
      tf.add(tf.sum(tf.square(tf.sub(w.a, lambda))), tf.sum(tf.square(tf.sub(w.b, lambda)))) as tf.Scalar
  }).pipe(Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact })))
  const tune = Level.minimize(lambda, {
    name: "tune",
    upstream: [fit],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0),
    objective: ({ lambda, w }) =>
      tf.add(tf.sum(tf.square(tf.sub(w.a, 3))), tf.mul(0.5, tf.sum(tf.square(lambda)))) as tf.Scalar
  })
  return Problem.close(tune)
}

describe("the records of a tick that is looked at", () => {
  it.live(
    "say rates by group, what an update moved, what clips left of a gradient, and each part of a hypergradient",
    () =>
      Effect.gen(function* () {
        const path = yield* scratch
        // The gradient of fit is 2 (3 − 1, 4 − 1) = (4, 6).
        const problem = quadratic(
          Optimizer.groups(
            {
              slow: Optimizer.sgd(Rate.step({ rate: 0.5, every: 1, factor: 0.5 })).pipe(Optimizer.clipByGlobalNorm(1)),
              fast: Optimizer.sgd(0.25)
            },
            (at) => (at === "a" ? "slow" : "fast")
          )
        )
        yield* Trial.run(folder(path), { problem, ticks: 2, seed: 0, diagnosticsEvery: 1 })
        const records = yield* Records.read(folder(path))
        const [fit, tune] = only(records, "step")
        const close = (value: number | undefined, wanted: number) => assert.closeTo(value!, wanted, 1e-5)
        assert.deepStrictEqual(fit!.rates, { slow: 0.5, fast: 0.25 })
        close(fit!.gnorm, Math.hypot(4, 6))
        close(fit!.taken, Math.hypot(1, 6))
        close(fit!.moved, Math.hypot(0.5 * 1, 0.25 * 6))
        assert.deepStrictEqual(tune!.rates, { "": 0 })
        assert.strictEqual(tune!.moved, 0)
        assert.isUndefined(tune!.taken)
        // a = 3 − 0.5, and the response of w to λ is one: 2 (2.5 − 3) via fit, λ = 1 by itself.
        const [hyper] = only(records, "hyper")
        close(hyper!.direct, 1)
        close(hyper!.parts[0]!.norm, 1)
        close(hyper!.norm, 0)
        assert.strictEqual(only(records, "hyper").length, 2)
        assert.strictEqual(only(records, "hyper")[0]!.level, "tune")
        assert.isAtMost(hyper!.solves[0]!.residual!, 1e-5)
        assert.isTrue(hyper!.solves[0]!.ok)
        assert.strictEqual(only(records, "step")[2]!.rates!["slow"], 0.25)
        // Of the second tick a = 2.5 − 0.25.
        const second = only(records, "hyper")[1]!
        close(second.norm, 0.5)
        close(second.parts[0]!.norm, 1.5)
        close(second.parts[0]!.cos, -1 * -1)
        close(second.parts[0]!.share, 3)
        // Costs and memory: at each look, and the turns of all.
        const costs = only(records, "cost")
        assert.deepStrictEqual(
          costs.map(({ level, turns }) => [level, turns]),
          [
            ["fit", 1],
            ["tune", 1],
            ["fit", 1],
            ["tune", 1]
          ]
        )
        // Two floats and a clock, and one and a clock.
        assert.deepStrictEqual(
          costs.slice(0, 2).map(({ bytes }) => bytes),
          [12, 8]
        )
        const [memory] = only(records, "memory")
        assert.isAtLeast(memory!.peak, memory!.resident * 0.5)
        assert.isAbove(memory!.heap, 2 ** 20)
        assert.isAbove(memory!.arrays, 0)
      }).pipe(Effect.scoped, services)
  )

  it.live("come by themselves, so far apart as the plan says; and with costs at the end", () =>
    Effect.gen(function* () {
      const path = yield* scratch
      yield* Trial.run(folder(path), { problem: quadratic(Optimizer.sgd(0.1)), ticks: 300, seed: 0 })
      const records = yield* Records.read(folder(path))
      const ks = only(records, "hyper").map(({ k }) => k)
      assert.isAtLeast(ks.length, 1)
      assert.deepStrictEqual(
        ks,
        ks.map((_, i) => (i + 1) * ks[0]!)
      )
      assert.strictEqual(only(records, "memory").at(-1)!.k, 300)
      assert.strictEqual(
        only(records, "cost").reduce((sum, { level, turns }) => sum + (level === "fit" ? turns : 0), 0),
        300
      )
    }).pipe(Effect.scoped, services)
  )

  it.live("a run that is stopped and goes on records what an undisturbed one does, but for time, cost and memory", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* scratch, yield* scratch]
      const options = { problem: triLevel(), ticks: 30, seed: 2, checkpointEvery: 8, diagnosticsEvery: 4 }
      yield* Trial.run(folder(one), options)
      for (const stop of [11, 21]) {
        const reached = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Trial.run(folder(other), {
            ...options,
            // A tick is recorded whole: the interruption comes after it.
            onTick: ({ index }) =>
              index < stop ? Effect.void : Effect.andThen(Deferred.succeed(reached, undefined), Effect.sleep(50))
          })
        )
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
      }
      yield* Trial.run(folder(other), options)
      const said = (records: ReadonlyArray<Records.Record>) =>
        records.flatMap((record) => {
          if (!["step", "lambda", "hyper", "eval"].includes(record.t)) return []
          const { w: _, wait: __, ...rest } = record as { w?: number; wait?: number }
          return [rest]
        })
      const [whole, joined] = [yield* Records.read(folder(one)), yield* Records.read(folder(other))]
      assert.strictEqual(joined.filter(({ t }) => t === "head").length, 3)
      assert.deepStrictEqual(said(joined), said(whole))
      assert.isAbove(only(whole, "hyper").length, 4)
      // As curves they are the same lines, each step once and in order.
      const { costs: _, peak: __, ...curves } = Curves.of(joined)
      const { costs: _1, peak: _2, ...undisturbed } = Curves.of(whole)
      assert.deepStrictEqual(curves, undisturbed)
      for (const { loss } of curves.levels)
        for (const [i, [x]] of loss.entries()) assert.isAbove(x, loss[i - 1]?.[0] ?? 0)
    }).pipe(Effect.scoped, eager)
  )
})
