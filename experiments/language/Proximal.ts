import type * as tf from "@tensorflow/tfjs-core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  Config,
  Dataset,
  type Encoder,
  type EncoderConfig,
  EncoderFolder,
  Gradient,
  Level,
  NdArray,
  Optimizer,
  Problem,
  Program,
  Seed,
  TextTable as Columns,
  Tree,
  Var,
  Vector
} from "tapweight"
import { positive, several } from "../common/Fields.ts"
import * as Input from "../common/Input.ts"
import * as Finished from "../common/Finished.ts"
import { distanceOf } from "./methods/Levels.ts"
import * as Paper from "./Paper.ts"

const schema = Schema.Struct({
  ...Program.common,
  /** Folder of the encoder. */
  encoder: Schema.NonEmptyString,
  batch: positive,
  length: several,
  /** Times that each is computed; the median stands in the table. */
  repeats: positive
})

const terms = ["kl", "mean", "sum"] as const

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

/** Rows of random tokens. */
const rowsOf = (config: EncoderConfig.EncoderConfig, { batch, length, seed }: (typeof schema)["Type"]) => ({
  ids: NdArray.int32(
    [batch, length] as const,
    Seed.integers(Seed.fold(Seed.make(seed), "ids"), batch * length, config.vocabulary)
  ),
  types: NdArray.int32([batch, length] as const, new Int32Array(batch * length))
})

/** Table 10: how long the proximal term takes, forwards and with its gradient, for the encoder of a folder. */
export const proximal = Program.make({
  name: "language-proximal",
  description: "Time of the proximal term, by squares of parameters or by divergence of outputs (table 10)",
  config: Config.make({
    schema,
    defaults: { seed: 1, ticks: 1, encoder: "encoder", batch: 32, length: 64, repeats: 5 }
  }),
  prepare: ({ encoder }) => EncoderFolder.read(encoder),
  problems: ({ config, encoder }, settings) =>
    Object.fromEntries(
      terms.map((term) => {
        const theta = Var.make("theta", () => encoder)
        const distance = distanceOf(term, config)
        const level = Level.minimize(
          Var.make("omega", () => encoder),
          {
            name: "proximal",
            given: [theta],
            data: Dataset.constant("rows", rowsOf(config, settings)),
            optimizer: Optimizer.sgd(1),
            objective: ({ omega, theta }, batch) => distance(omega, theta, batch)
          }
        )
        return [term, Problem.close(level.pipe(Level.fix(theta)))]
      })
    ),
  run: (session, { data, settings }) =>
    Effect.gen(function* () {
      yield* session.inputs({ data: [], weights: [yield* Input.ofWeights(data.file)] })
      const { config, encoder: theta } = data
      const { repeats, seed } = settings
      const omega = Tree.mapHost(theta, (leaf, path) => ({
        ...leaf,
        data: Seed.normal(Seed.fold(Seed.make(seed), path), leaf.data.length).map((z, i) => leaf.data[i]! + 1e-3 * z)
      }))
      const rows = rowsOf(config, settings)
      type Vars = { readonly omega: Encoder.Params; readonly theta: Encoder.Params }
      type Batch = { readonly ids: tf.Tensor2D; readonly types: tf.Tensor2D }
      const timed = Effect.fnUntraced(function* (f: (vars: Vars, batch: Batch) => { readonly value: tf.Tensor }) {
        const observe = yield* Finished.observed({ omega, theta }, f)
        const seconds: Array<number> = []
        // The first one compiles.
        for (let i = 0; i <= repeats; i++) {
          const began = yield* Clock.currentTimeNanos
          yield* observe(rows)
          seconds.push(Number((yield* Clock.currentTimeNanos) - began) / 1e9)
        }
        return median(seconds.slice(1))
      }, Effect.scoped)
      const measured = yield* Effect.forEach(terms, (term) =>
        Effect.gen(function* () {
          const distance = distanceOf(term, config)
          const forward = yield* timed(({ omega, theta }, batch) => ({ value: distance(omega, theta, batch) }))
          const whole = yield* timed(({ omega, theta }, batch) => {
            const { gradient } = Gradient.valueAndGradient(
              (omega: Encoder.Params) => [distance(omega, theta, batch), {}] as const,
              omega
            )
            return { value: Vector.norm(gradient) }
          })
          return { term, forward, both: whole }
        })
      )
      const base = measured.find(({ term }) => term === "mean")!
      const paper = (term: (typeof terms)[number], of: (row: readonly [number, number]) => number): string => {
        const row = term === "sum" ? undefined : Paper.proximal[term]
        return row === undefined ? "-" : `×${(of(row) / of(Paper.proximal.mean)).toFixed(1)}`
      }
      const said = { kl: "KL of outputs", mean: "squares, mean", sum: "squares, sum" }
      return {
        result: { measured },
        text: Columns.numbers([
          ["proximal term", "forward s", "with gradient s", "forward", "paper", "with gradient", "paper"],
          ...measured.map(({ both, forward, term }) => [
            said[term],
            forward.toFixed(4),
            both.toFixed(4),
            `×${(forward / base.forward).toFixed(1)}`,
            paper(term, ([forward]) => forward),
            `×${(both / base.both).toFixed(1)}`,
            paper(term, ([forward, backward]) => forward + backward)
          ])
        ])
      }
    })
})
