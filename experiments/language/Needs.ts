/** What a run of TapWeight takes of a card, worked out from an encoder's sizes: nothing is computed, and no weights are read. */
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import { EncoderConfig, JsonFile, TextTable as Columns } from "tapweight"
import type { Settings } from "./Settings.ts"

type Config = EncoderConfig.EncoderConfig

/** Parameters of an encoder: of its embeddings, and of all its layers. */
export const parameters = ({
  embedding,
  hidden,
  layers,
  positioned,
  positions,
  relative,
  types,
  vocabulary,
  width
}: Config): { readonly embeddings: number; readonly layers: number } => {
  const squares = 4 + (relative !== undefined && !relative.shared ? relative.terms.length : 0)
  const distances = relative === undefined ? 0 : 2 * relative.span * width
  return {
    embeddings: (vocabulary + (positioned ? positions : 0) + types) * embedding + 2 * width + distances,
    layers: layers * (squares * width ** 2 + 2 * width * hidden + 9 * width + hidden)
  }
}

/** Rows that level I encodes of each row of a batch: one for hidden tokens of each corpus, two views, a pair, a sentence. */
const passes = ({ auxiliary, corpora, objectives }: Settings): number =>
  objectives.reduce((sum, name) => sum + (name === "mlm" ? corpora.length : name === "contrast" ? 2 : 1), 0) +
  auxiliary.length

/** Operations of a forward and a backward pass over rows of `length` tokens. */
const both = (config: Config, rows: number, length: number): number =>
  rows * length * (6 * parameters(config).layers + 12 * config.layers * length * config.width)

/** Bytes of what a forward pass keeps for the backward one, in float32 (Korthikanti et al. 2022, doubled). */
const kept = ({ heads, layers, width }: Config, rows: number, length: number): number =>
  2 * layers * rows * length * (34 * width + 5 * heads * length)

/** What a run takes: bytes, and operations of one tick and of all. */
export const of = (config: Config, settings: Settings) => {
  const { batch, every, length, objectives, ticks } = settings
  const count = parameters(config)
  const all = count.embeddings + count.layers
  const rows = passes(settings) * batch.pretrain
  const tokens = objectives.includes("mlm") ? 0.15 * batch.pretrain * length.pretrain : 0
  const first = both(config, rows, length.pretrain) + 6 * tokens * config.vocabulary * config.embedding
  const second = both(config, batch.finetune, length.task)
  const third = both(config, batch.reweight, length.task)
  // A turn of level III is its own gradient, two gradients of level II, and two forward passes of level I, whose losses λ weighs.
  const tick = first + second + (third + 2 * second + (2 / 3) * first) / every
  const state = 2 * 16 * all + 2 * 4 * all
  const activations = Math.max(
    kept(config, rows, length.pretrain),
    kept(config, Math.max(batch.finetune, batch.reweight), length.task)
  )
  return { parameters: all, state, activations, tick, run: ticks * tick }
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`
const hours = (operations: number, each: number): string => `${(operations / each / 3600).toFixed(1)} h`

/** The needs of an encoder's folder, of which `config.json` is enough, in words. */
export const text = Effect.fnUntraced(function* (folder: string, settings: Settings) {
  const file = (yield* Path.Path).join(folder, "config.json")
  const config = yield* Effect.mapError(
    Effect.fromResult(EncoderConfig.decode(yield* JsonFile.readJson(file))),
    JsonFile.because(file)
  )
  const { activations, parameters, run, state, tick } = of(config, settings)
  const { batch, length, ticks } = settings
  return Columns.words([
    [
      "encoder",
      `${config.family}, ${config.layers} layers of ${config.width}, ${(parameters / 1e6).toFixed(0)} million parameters`
    ],
    [
      "batches",
      `${batch.pretrain} rows of ${length.pretrain} tokens; ${batch.finetune} and ${batch.reweight} of ${length.task}`
    ],
    ["weights and Adam", `${gib(state)}: θ and ω with gradients and moments, a direction and a moved copy, in float32`],
    ["activations", `${gib(activations)} at most, in float32; an engine that recomputes or fuses keeps less`],
    ["a tick", `${(tick / 1e12).toFixed(1)} TFLOP`],
    [
      `${ticks} ticks`,
      `${(run / 1e18).toPrecision(2)} EFLOP: ${hours(run, 1e14)} at 100 TFLOP/s, ${hours(run, 2e13)} at 20`
    ]
  ])
})
