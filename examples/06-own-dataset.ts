// A dataset of one's own: rows of a CSV file, read when a run begins, with noise that is part of the batch.
// Three sensors measure a temperature, one of them wrongly; their weights are learned on a few reference readings.
//   tapweight run examples/06-own-dataset.ts
// What it promises is held by examples/06-own-dataset.test.ts.
import { fileURLToPath } from "node:url"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { Config, Dataset, Hypergradient, Init, Level, NdArray, Optimizer, Problem, Product, Program } from "tapweight"
import { Seed, Solver, Var } from "tapweight"

export const file = fileURLToPath(new URL("06-readings.csv", import.meta.url))
const sensors = ["roof", "yard", "wall"]

/** A row as (sensor, hour, value); what is no such row is refused with the line that it stands in. */
const parse = (name: string, line: string, number: number) => {
  const [sensor = "", hour, value] = line.split(",")
  const [h, v] = [Number(hour), Number(value)]
  if (hour && value && Number.isFinite(h) && Number.isFinite(v)) return Effect.succeed({ sensor, hour: h, value: v })
  const reason = `line ${number} is '${line}': a row is a sensor, an hour and a value, such as roof,13.5,0.75`
  return Effect.fail(new Dataset.DataError({ dataset: name, reason }))
}

/** Batches of readings of these sensors, drawn with replacement, their hours known to about `jitter` hours. */
export const readings = (name: string, from: string, of: ReadonlyArray<string>, batch: number, jitter: number) =>
  Dataset.make(name, {
    fields: { sensor: Dataset.int32([batch]), hour: Dataset.float32([batch]), value: Dataset.float32([batch]) },
    // Done once a run, in the run's scope; what it needs (files) is in the dataset's type, and so is how it fails.
    open: Effect.gen(function* () {
      const text = yield* (yield* FileSystem.FileSystem).readFileString(from)
      const lines = text.trimEnd().split("\n").slice(1)
      const all = yield* Effect.forEach(lines, (line, i) => parse(name, line, i + 2))
      const rows = all.filter(({ sensor }) => of.includes(sensor))
      // A batch is a function of (seed, index) and nothing else: that is what lets a run be resumed at any tick.
      return (seed, index) =>
        Effect.sync(() => {
          const at = Seed.fold(seed, index)
          const noise = Seed.normal(Seed.fold(at, "jitter"), batch)
          const picked = Array.from(Seed.integers(Seed.fold(at, "rows"), batch, rows.length), (i) => rows[i]!)
          const hours = picked.map(({ hour }, i) => hour + jitter * noise[i]!)
          return {
            sensor: NdArray.int32(
              [batch],
              picked.map(({ sensor }) => of.indexOf(sensor))
            ),
            hour: NdArray.float32([batch], hours),
            value: NdArray.float32(
              [batch],
              picked.map(({ value }) => value)
            )
          }
        })
    })
  })

const line = Var.make("line", Init.zeros([2]))
const weights = Var.make("weights", Init.zeros([sensors.length]))

/** The squared error of each reading on a line through the day. */
const errors = (line: tf.Tensor1D, hour: tf.Tensor1D, value: tf.Tensor1D) => {
  const [offset, slope] = tf.split(line, 2) as [tf.Tensor1D, tf.Tensor1D]
  return tf.squaredDifference(tf.add(offset, tf.mul(slope, tf.sub(tf.div(hour, 12), 1))), value)
}

const fit = Level.minimize(line, {
  name: "fit",
  given: [weights],
  data: readings("sensors", file, sensors, 48, 0.2),
  optimizer: Optimizer.sgd(0.2),
  objective: ({ line, weights }, { hour, sensor, value }) =>
    tf.mean(tf.mul(tf.gather(tf.softmax(weights), sensor), errors(line, hour, value)))
}).pipe(Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact })))

const calibrate = Level.minimize(weights, {
  name: "calibrate",
  upstream: [fit],
  data: readings("reference", file, ["reference"], 16, 0),
  optimizer: Optimizer.adam(0.02),
  objective: ({ line }, { hour, value }) => tf.mean(errors(line, hour, value))
})

export const problem = Problem.close(calibrate)

export default Program.fromProblem({
  name: "own-dataset",
  description: "Weights of three sensors, learned on reference readings: the third measures wrongly",
  config: Config.make({ schema: Program.Common, defaults: { seed: 0, ticks: 600 } }),
  problem: () => problem
})
