/** Settings of the studies of weights. */
import * as Schema from "effect/Schema"
import { Config, Program } from "tapweight"
import { positive, rate, whole } from "../../common/Fields.ts"

const schema = Schema.Struct({
  ...Program.common,
  /** Seeds to compare over: `seed`, `seed` + 1, … A seed draws labels, the validation part and batches. */
  seeds: positive,
  /** Folder of an encoder as the hub has it, with a head for masked tokens. */
  encoder: Schema.NonEmptyString,
  /** Folder of the texts. */
  data: Schema.NonEmptyString,
  /**
   * `none`, `equal`, `NAME-only`, `NAME-mostly`, `random-1` …, a way of learning, or `final-` and one: its last weights from the start; and
   * `longer`: equal weights for as much longer as learning and training anew take.
   */
  methods: Schema.Array(Schema.String),
  /** Draws of random weights. */
  draws: whole,
  /** Pieces that the encoder is cut to. */
  /** Updates of `longer`, over those of the others. */
  longer: rate,
  vocabulary: positive,
  batch: positive,
  length: positive,
  labelled: Schema.Struct({ train: positive, validation: positive, length: positive }),
  rate,
  heads: Schema.Struct({ ticks: positive, rate }),
  window: Schema.Struct({ updates: positive, rate }),
  unrolled: positive,
  branches: Schema.Struct({ updates: positive, radius: rate, rate }),
  oneStep: Schema.Struct({
    gamma: rate,
    head: rate,
    rate,
    warmup: whole,
    every: positive,
    batch: positive,
    radius: rate
  }),
  ridge: Schema.Struct({ penalty: rate, scale: rate })
})

export type Settings = (typeof schema)["Type"]

export const defaults: Settings = {
  seed: 0,
  seeds: 10,
  ticks: 150,
  encoder: "encoder",
  data: "data",
  methods: [],
  draws: 2,
  longer: 2.4,
  vocabulary: 8192,
  batch: 16,
  length: 32,
  labelled: { train: 200, validation: 200, length: 40 },
  rate: 5e-4,
  heads: { ticks: 40, rate: 3e-3 },
  window: { updates: 15, rate: 200 },
  unrolled: 5,
  branches: { updates: 50, radius: 6, rate: 300 },
  oneStep: { gamma: 0.5, head: 5e-3, rate: 0.1, warmup: 10, every: 3, batch: 64, radius: 0.01 },
  ridge: { penalty: 1, scale: 4 }
}

export const config = (change: Partial<Settings>) => Config.make({ schema, defaults: { ...defaults, ...change } })
