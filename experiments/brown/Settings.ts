import * as Schema from "effect/Schema"
import { Config, Program } from "tapweight"
import { positive, rate, whole } from "../common/Fields.ts"

const schema = Schema.Struct({
  ...Program.common,
  /** Seeds to compare over: `seed`, `seed` + 1, … */
  seeds: positive,
  length: positive,
  vocabulary: positive,
  perGenre: Schema.Struct({ train: positive, validation: positive, test: positive }),
  model: Schema.Struct({ width: positive, heads: positive, layers: positive, hidden: positive }),
  dropout: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 0.9 })),
  contrast: Schema.Literals(["dropout", "segments"]),
  batch: Schema.Struct({ pretrain: positive, finetune: positive, reweight: positive }),
  rate: Schema.Struct({ pretrain: rate, finetune: rate, reweight: rate }),
  gamma: rate,
  warmup: whole,
  radius: rate,
  finetuneTicks: positive,
  scoreEvery: positive,
  useless: Schema.Boolean
})

/** Settings of the experiments on this task. */
export type Settings = (typeof schema)["Type"]

/** Sizes that finish in about two minutes on two cores. */
export const defaults: Settings = {
  seed: 0,
  seeds: 2,
  ticks: 1000,
  length: 48,
  vocabulary: 3000,
  perGenre: { train: 16, validation: 32, test: 64 },
  model: { width: 48, heads: 4, layers: 1, hidden: 96 },
  dropout: 0.1,
  contrast: "segments",
  batch: { pretrain: 24, finetune: 16, reweight: 60 },
  rate: { pretrain: 3e-3, finetune: 2e-3, reweight: 0.1 },
  gamma: 0.1,
  warmup: 100,
  radius: 0.01,
  finetuneTicks: 150,
  scoreEvery: 25,
  useless: false
}

/** The settings, with other defaults where an experiment needs them. */
export const config = (change: Partial<Settings>) =>
  Config.make({
    schema,
    defaults: { ...defaults, ...change },
    presets: {
      /** For a trustworthy comparison: more seeds, longer pretraining. */
      long: { seeds: 7, ticks: 3000 }
    }
  })
