import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  Config,
  Dataset,
  type EncoderConfig,
  EncoderFolder,
  Level,
  NdArray,
  Optimizer,
  Problem,
  Program,
  Records,
  Seed,
  Session,
  TextTable as Columns,
  Tree,
  Var
} from "tapweight"
import { positive, several } from "../common/Fields.ts"
import * as Input from "../common/Input.ts"
import { distanceOf } from "./methods/Levels.ts"
import * as Paper from "./Paper.ts"

const schema = Schema.Struct({
  ...Program.common,
  /** Folder of the encoder. */
  encoder: Schema.NonEmptyString,
  batch: positive,
  length: several
}).check(Schema.makeFilter(({ ticks }) => ticks >= 3 || "the first tick compiles: give ticks=3 or more"))

const terms = ["none", "kl", "mean", "sum"] as const
type Term = (typeof terms)[number]

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

/** An update of ω by the gradient of one term alone; of `none` that of a sum of parameters, which costs as little as can be. */
const updating = (term: Term, { config, encoder }: EncoderFolder.EncoderFolder, settings: (typeof schema)["Type"]) => {
  const theta = Var.make("theta", () => encoder)
  const level = Level.minimize(
    Var.make("omega", () => encoder),
    {
      name: "proximal",
      given: [theta],
      data: Dataset.constant("rows", rowsOf(config, settings)),
      optimizer: Optimizer.sgd(1e-6),
      objective: ({ omega, theta }, batch) =>
        term === "none"
          ? (tf.addN(Tree.leaves(omega).map((leaf) => tf.sum(leaf))) as tf.Scalar)
          : distanceOf(term, config)(omega, theta, batch)
    }
  )
  return Problem.close(level.pipe(Level.fix(theta)))
}

/** Table 10: how long the proximal term takes with its gradient, for the encoder of a folder. */
export const proximal = Program.make({
  name: "language-proximal",
  description: "Time of the proximal term, by squares of parameters or by divergence of outputs (table 10)",
  config: Config.make({
    schema,
    defaults: { seed: 1, ticks: 12, encoder: "encoder", batch: 32, length: 64 }
  }),
  prepare: ({ encoder }) => EncoderFolder.read(encoder),
  problems: (data, settings) => ({
    none: updating("none", data, settings),
    kl: updating("kl", data, settings),
    mean: updating("mean", data, settings),
    sum: updating("sum", data, settings)
  }),
  run: (session, { data, problems, settings }) =>
    Effect.gen(function* () {
      yield* session.inputs({ data: [], weights: [yield* Input.ofWeights(data.file)] })
      const measured = yield* Effect.forEach(terms, (term) =>
        Effect.gen(function* () {
          const { seed, ticks } = settings
          yield* session.trial(term, { problem: problems[term], ticks, seed, checkpointEvery: ticks })
          const records = yield* Records.read(Session.trialFolder(session.folder, term))
          const at = records.flatMap((record) => (record.t === "step" ? [record.w] : []))
          return { term, seconds: median(at.slice(1).map((w, i) => w - at[i]!)) }
        })
      )
      const none = measured.find(({ term }) => term === "none")!.seconds
      const own = (seconds: number) => Math.max(0, seconds - none)
      const squares = own(measured.find(({ term }) => term === "mean")!.seconds)
      const both = ([forward, backward]: readonly [number, number]): number => forward + backward
      const paper = (term: Term): string =>
        term === "kl" || term === "mean"
          ? `×${(both(Paper.proximal[term]) / both(Paper.proximal.mean)).toFixed(1)}`
          : "-"
      const said = { none: "no term", kl: "KL of outputs", mean: "squares, mean", sum: "squares, sum" }
      return {
        result: { measured },
        text: Columns.numbers([
          ["proximal term", "seconds an update", "less that of no term", "over that of squares", "paper"],
          ...measured.map(({ seconds, term }) => [
            said[term],
            seconds.toFixed(4),
            own(seconds).toFixed(4),
            term === "none" ? "-" : `×${(own(seconds) / squares).toFixed(1)}`,
            paper(term)
          ])
        ])
      }
    })
})
