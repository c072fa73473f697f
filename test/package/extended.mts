// What one writes beside levels: an engine, a product, an objective with second derivatives, scores, a program, laws for it.
import assert from "node:assert/strict"
import { rmSync } from "node:fs"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Config, Dataset, EagerEngine, Engine, Hypergradient, Init, Level, Metrics, NdArray } from "tapweight"
import { NodeServices, OnnxEngine, Optimizer, Problem, Product, Program, Smooth, Solver, Statistics } from "tapweight"
import { Safetensors, type Tree, Trial, Var, Vector } from "tapweight"
import type { Compiled, Step } from "tapweight/engine"
import { Arbitrary, Law } from "tapweight/testing"

/** Another engine, with a count of what it compiled. */
const counting = (compiled: Array<string>) =>
  Layer.effect(
    Engine,
    Effect.map(Engine, (engine) => ({
      ...engine,
      name: `counted ${engine.name}`,
      compile: <S extends Tree.Tree, B extends Tree.Tree, M extends Tree.Tree>(step: Step<S, B, M>) =>
        Effect.tap(engine.compile(step), (_: Compiled<S, B, M>) => Effect.sync(() => compiled.push(engine.name)))
    }))
  ).pipe(Layer.provide(EagerEngine.layer("cpu")))

/** Forward differences of gradients. */
const forward = (step: number): Product.Product => ({
  name: `forward(${step})`,
  evaluations: 2,
  derivative: (gradient, x, direction) =>
    Vector.scale(1 / step, Vector.subtract(gradient(Vector.addScaled(x, step, direction)), gradient(x)))
})

const w = Var.make("w", Init.zeros([2]))
const decay = Var.make("decay", Init.zeros([]))
const rows = (seed: number) =>
  Dataset.constant(`rows ${seed}`, {
    x: NdArray.float32([4, 2], [1, seed, 0, 1, -1, 0, seed, -1]),
    y: NdArray.float32([4], [1, 1, 0, 0])
  })
const logits = (w: tf.Tensor1D, x: tf.Tensor2D) => tf.reshape(tf.matMul(x, tf.reshape(w, [2, 1])), [-1])
const loss = (z: tf.Tensor, y: tf.Tensor) => tf.mean(tf.sub(Smooth.softplus(z), tf.mul(z, y)))

const problem = (product: Product.Product) =>
  Problem.close(
    Level.minimize(decay, {
      name: "choose",
      upstream: [
        Level.minimize(w, {
          name: "fit",
          given: [decay],
          data: rows(1),
          optimizer: Optimizer.sgd(0.5),
          objective: ({ decay, w }, { x, y }) =>
            tf.add(loss(logits(w, x), y), tf.mul(Smooth.exp(decay), tf.sum(tf.square(w))))
        }).pipe(Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product })))
      ],
      data: rows(2),
      optimizer: Optimizer.adam(0.05),
      objective: ({ w }, { x, y }) => loss(logits(w, x), y)
    })
  )

/** A program of one's own: what it runs, then what it says of it. */
const program = Program.make({
  name: "own-program",
  description: "A penalty, and how well it predicts",
  config: Config.make({
    schema: Schema.Struct({ ...Program.common, every: Schema.Int }),
    defaults: { seed: 0, ticks: 40, every: 20 }
  }),
  prepare: ({ every }) => Effect.succeed({ product: every > 0 ? Product.exact : forward(0.01) }),
  problems: ({ product }) => ({ exact: problem(product) }),
  run: (session, { problems, settings }) =>
    Effect.map(
      session.trial("", { problem: problems.exact, seed: settings.seed, ticks: settings.ticks }),
      ({ vars }) => ({
        result: { w: Array.from(vars.w.data) },
        text: "done"
      })
    )
})
assert.ok(Program.isProgram(program))

const main = Effect.gen(function* () {
  const validation = { x: NdArray.float32([2, 2], [1, 0, -1, 0]), y: NdArray.float32([2], [1, 0]) }
  const { selection, vars } = yield* Trial.run(
    { id: "own", program: program.name, path: "own-trial" },
    {
      problem: problem(forward(0.01)),
      ticks: 40,
      seed: 0,
      validation: {
        every: 20,
        rows: 2,
        score: (tick) =>
          Effect.gen(function* () {
            const { z } = yield* tick.evaluate((vars, { x }) => ({ z: logits(vars.w, x) }), { x: validation.x })
            const predicted = Array.from(z.data, (value) => Number(value > 0))
            return { accuracy: Metrics.accuracy(validation.y.data, predicted) }
          }),
        select: { metric: "accuracy", mode: "max" }
      }
    }
  )
  assert.equal(selection.best?.score, 1)
  assert.ok(Statistics.mean(Array.from(vars.w.data)) > 0)
  const decoded = yield* Effect.fromResult(Safetensors.decode(Safetensors.encode([["w", vars.w]])))
  assert.deepEqual(decoded.tensors.get("w")?.data, vars.w.data)
})

const compiled: Array<string> = []
rmSync("own-trial", { recursive: true, force: true })
await Effect.runPromise(Effect.provide(main, [counting(compiled), NodeServices.layer]))
assert.ok(compiled.length > 0)

assert.ok(Arbitrary.wiring().toString().length > 0)
await Effect.runPromise(
  Effect.all([
    Law.hypergradient(problem(Product.exact), { cases: 1, solveTicks: 200 }),
    Law.resume(problem(Product.exact), { cases: 1 })
  ]).pipe(Effect.provide(OnnxEngine.layer()))
)
process.stdout.write("extended\n")
