// A problem run from code, without the command line: planned, scored as it runs, checkpointed, and resumed to the same bits.
// The penalty of a ridge regression is learned on validation data.
//   node examples/04-run-from-code.ts      (in this repository: node --conditions=tapweight-source examples/…)
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Dataset, Init, Level, NdArray, Problem, Seed, Var } from "tapweight"
import { Hypergradient, Objective, Optimizer, Product, Solver } from "tapweight"
import { Checkpoint, CompiledEngine, NodeServices, Plan, PlanText, Run, Watch } from "tapweight"

const rows = (name: string, count: number) => {
  const seed = Seed.fold(Seed.make(4), name)
  const x = Seed.normal(Seed.fold(seed, "x"), 8 * count)
  const y = Seed.normal(Seed.fold(seed, "noise"), count).map((e, row) => x[8 * row]! + e)
  return Dataset.constant(name, { x: NdArray.float32([count, 8], x), y: NdArray.float32([count], y) })
}

const w = Var.make("w", Init.zeros([8]))
const penalty = Var.make("penalty", Init.constant(-3, [1]))
const predict = (w: tf.Tensor1D, x: tf.Tensor2D) => tf.reshape(tf.matMul(x, tf.reshape(w, [8, 1])), [-1])

const fit = Level.minimize(w, {
  name: "fit",
  given: [penalty],
  data: rows("train", 12),
  optimizer: Optimizer.sgd(0.1),
  objective: ({ penalty, w }, { x, y }) =>
    tf.add(Objective.meanSquaredError(predict(w, x), y), tf.mul(tf.sum(tf.softplus(penalty)), tf.sum(tf.square(w))))
}).pipe(Level.unroll(5), Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact })))

const tune = Level.minimize(penalty, {
  name: "tune",
  upstream: [fit],
  data: rows("validation", 100),
  optimizer: Optimizer.adam(0.05),
  objective: ({ w }, { x, y }) => Objective.meanSquaredError(predict(w, x), y)
})
const problem = Problem.close(tune)

const ticks = 500
const run = { program: "ridge", seed: 0 }

const main = Effect.gen(function* () {
  yield* Console.log(PlanText.text(yield* Effect.fromResult(Plan.make(problem))))
  const directory = mkdtempSync(join(tmpdir(), "tapweight-ridge-"))
  yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))

  // A run is a stream of ticks, and what watches it an operator on the stream. A tick is asked before the next one is.
  const whole = yield* Run.ticks(problem, { ticks, seed: run.seed }).pipe(
    Watch.scoring({ every: 100, last: ticks, score: ({ levels }) => Effect.succeed({ loss: levels["tune"]!.loss }) }),
    Stream.filter((tick) => tick.scores !== undefined),
    Stream.mapEffect((tick) =>
      Effect.gen(function* () {
        const vars = yield* tick.read(["penalty"])
        yield* Console.log(
          `tick ${tick.index}  penalty ${vars.penalty.data[0]}  validation loss ${tick.scores?.["loss"]}`
        )
        // The last tick is left out, as if the run had been stopped before it came.
        const manifest = { version: 1, tick: tick.index, attempt: 1, ...run, extra: {} } as const
        if (tick.index < ticks) yield* Checkpoint.save(directory, manifest, yield* tick.snapshot)
        return vars.penalty
      })
    ),
    Stream.runLast,
    Effect.flatMap(Effect.fromOption)
  )

  // Whoever resumes knows the problem and the seed; a checkpoint of another problem's shapes is refused.
  const { manifest, state } = yield* Checkpoint.load(directory, run, yield* Run.start(problem, run.seed))
  const resumed = yield* Run.ticks(problem, { ticks, seed: run.seed, from: { tick: manifest.tick, state } }).pipe(
    Stream.filter((tick) => tick.index === ticks),
    Stream.mapEffect((tick) => tick.read(["penalty"])),
    Stream.runLast,
    Effect.flatMap(Effect.fromOption)
  )
  const same = resumed.penalty.data[0] === whole.data[0]
  yield* Console.log(`resumed from tick ${manifest.tick}: ${same ? "the same bits" : "other bits"}`)
})

await Effect.runPromise(main.pipe(Effect.scoped, Effect.provide([CompiledEngine.layer(), NodeServices.layer])))
