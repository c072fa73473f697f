/** Weights that are learned on a made task: they go to the objective that teaches it, and pay. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { CompiledEngine, Encoder, EncoderConfig, Engine, NdArray, Run, Seed, Simplex, Split } from "tapweight"
import * as Finished from "../../common/Finished.ts"
import * as Objective from "../../language/objectives/Objective.ts"
import * as Supervised from "../../language/objectives/Supervised.ts"
import * as LengthBuckets from "../../language/tokenizers/LengthBuckets.ts"
import * as Learning from "../../language/weights/Learning.ts"
import * as Levels from "../../language/weights/Levels.ts"
import { defaults } from "../../language/weights/Settings.ts"
import * as SolvedHead from "../../language/weights/SolvedHead.ts"
import * as Softmax from "../../language/weights/Softmax.ts"
import { tokenizer } from "../support/language.ts"

const config = Result.getOrThrow(
  EncoderConfig.decode({
    model_type: "bert",
    vocab_size: 1100,
    hidden_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    intermediate_size: 32,
    max_position_embeddings: 16,
    type_vocab_size: 2
  })
)
const [length, classes] = [8, 3]
const words = Array.from({ length: tokenizer.size }, (_, id) => id).filter((id) => !tokenizer.special.has(id))

/** Texts of six words: one of thirty tells the class, the others, of thirty others, nothing. */
const texts = (name: string, count: number) => {
  const seed = Seed.fold(Seed.make(2), name)
  const [told, places] = [Seed.integers(seed, count, 30), Seed.integers(Seed.fold(seed, "places"), count, 6)]
  const others = Seed.integers(Seed.fold(seed, "others"), 6 * count, 30)
  const rows = Array.from({ length: count }, (_, i) => {
    const text = Array.from(others.subarray(6 * i, 6 * i + 6), (at) => words[30 + at]!)
    return tokenizer.row(text.with(places[i]!, words[told[i]!]!), undefined, length)
  })
  return { rows, labels: Array.from(told, (at) => at % classes) }
}
const labelled = (name: string, count: number): SolvedHead.Labelled => {
  const { labels, rows } = texts(name, count)
  return {
    ids: LengthBuckets.padded(rows, length, tokenizer).ids,
    labels: NdArray.int32([count] as const, labels)
  }
}

const setting = { config, tokenizer, batch: 16, length, pooling: "mean" as const }
const kind = { type: "classes", names: ["a", "b", "c"] } as const
const pool = texts("pool", 2000)
const lots = Seed.integers(Seed.fold(Seed.make(2), "lots"), 2000, classes)
const objectives = [
  Supervised.supervised(setting, pool, kind, { name: "planted" }),
  // Labels by lot teach nothing, and take what capacity there is.
  Supervised.supervised(setting, { ...pool, labels: Array.from(lots) }, kind, { name: "lots" }),
  Supervised.supervised(setting, { ...pool, labels: Array.from(lots).toReversed() }, kind, { name: "others" })
]
const parts = Split.apart({ train: labelled("train", 90), validation: labelled("validation", 90), test: 0 as never })
const options: Learning.Options = {
  ...defaults,
  ticks: 90,
  rate: 3e-3,
  window: { updates: 15, rate: 50 },
  branches: { updates: 45, radius: 6, rate: 300 }
}
const levels = Levels.make(options, config, objectives, {
  encoder: Encoder.init(config)(Seed.make(3)),
  heads: Objective.together(objectives).heads(Seed.make(4))
})

const trained = (problem: ReturnType<Levels.Levels["fixed"]>) =>
  Run.ticks(problem, { ticks: options.ticks, seed: 0 }).pipe(
    Stream.filter(({ index }) => index === options.ticks),
    Stream.mapEffect((tick) => tick.read(["theta", "beta"] as never)),
    Stream.runHead,
    Effect.map((last) => Option.getOrThrow(last) as any)
  )

/** The share of fresh texts that a probe of the labelled ones classifies rightly. */
const accuracy = Effect.fnUntraced(function* (encoder: Encoder.HostParams) {
  const observe = yield* Finished.observed({ encoder }, ({ encoder }: any, { ids }: any) => ({
    means: SolvedHead.features(config, encoder, ids)
  }))
  const of = Effect.fnUntraced(function* ({ ids, labels }: SolvedHead.Labelled) {
    const { means } = yield* observe({ ids })
    const rows = Array.from({ length: labels.data.length }, (_, i) => means.data.slice(i * 16, (i + 1) * 16))
    return { features: rows, labels: labels.data }
  })
  const probe = Softmax.fit(yield* of(parts.train), classes, 0.05)
  return Softmax.score(probe, yield* of(labelled("fresh", 600))).accuracy
}, Effect.scoped)

describe("weights that are learned on a made task", () => {
  const engine = CompiledEngine.layer()
  for (const how of ["window", "branches"] as const)
    it.live(`${how}: go to the objective that teaches it, and beat equal ones`, () =>
      Effect.gen(function* () {
        yield* Engine
        const { beta } = yield* trained(
          Learning.make(options, levels, how, classes, parts.train, parts.validation) as never
        )
        const lambda = Simplex.shares(levels.weights, beta)
        assert.isAbove(lambda["planted"]!, 0.8, JSON.stringify(lambda))
        const [equal, learned] = [
          yield* trained(levels.fixed({ planted: 1 / 3, lots: 1 / 3, others: 1 / 3 })),
          yield* trained(levels.fixed(lambda))
        ]
        const gain = (yield* accuracy(learned.theta.encoder)) - (yield* accuracy(equal.theta.encoder))
        assert.isAbove(gain, 0.02)
      }).pipe(Effect.provide(engine))
    )
})

describe("the probe", () => {
  it("is scikit-learn's logistic regression", () => {
    // LogisticRegression(C=0.05, tol=1e-10, max_iter=10000) on StandardScaler's features.
    const features = Array.from({ length: 12 }, (_, i) => [Math.sin(3 * i), Math.cos(i * i), (i % 5) / 5])
    const labels = Array.from({ length: 12 }, (_, i) => (i * 7) % 3)
    const [first] = Softmax.fit({ features, labels }, 3, 0.05)([[0.5, -0.5, 0.25]])
    for (const [i, p] of [0.33431, 0.32313, 0.34256].entries()) assert.approximately(first![i]!, p, 2e-5)
  })
})
