/** Other tasks' labels as objectives (Raghu et al. 2021), for two tasks that want different ones. */
import * as Effect from "effect/Effect"
import { Program, Seed, Split } from "tapweight"
import * as Masked from "../objectives/Masked.ts"
import * as Supervised from "../objectives/Supervised.ts"
import * as Subset from "../tasks/Subset.ts"
import type { Example } from "../tasks/Task.ts"
import * as Pieces from "../tokenizers/Pieces.ts"
import * as Report from "./Report.ts"
import { config, type Settings } from "./Settings.ts"
import * as Sources from "./Sources.ts"
import * as Study from "./Study.ts"

const helpers = ["sst-2", "ag-news-10k", "cola", "csabstruct"] as const
/** Training rows of each. */
const most = 5000
/** Test reviews, the same with every seed, and the tokens of one. */
const reviews = { test: 1500, length: 64 }

/** What each seed draws: few labels, validation rows of other documents. */
const prepare = Effect.fnUntraced(function* (settings: Settings) {
  const whole = yield* Sources.encoder(settings.encoder)
  const others = yield* Effect.forEach(helpers, (name) =>
    Effect.map(Sources.task(settings.data, name), (task) => ({ ...task, name }))
  )
  const [piboso, imdb] = [yield* Sources.task(settings.data, "piboso"), yield* Sources.task(settings.data, "imdb")]
  const { batch, labelled, length } = settings
  const drawn = yield* Effect.forEach(Study.seeds(settings), (seed) =>
    Effect.gen(function* () {
      const root = Seed.fold(Seed.make(seed), "auxiliary")
      const few = (name: string, { kind }: typeof piboso, from: ReadonlyArray<Example>, count: number) =>
        Subset.few(Seed.fold(root, name), kind, from, count)
      const helped = others.map((task) => ({
        ...task,
        examples: few(task.name, task, task.parts.train.examples, most)
      }))
      // Unlabelled text: what the four have, without their labels.
      const alone = helped.flatMap(({ examples }) => examples.map((example) => [example]))
      const texts = yield* Sources.documents("texts", alone, whole.tokenizer)
      const pieces = Pieces.cut(whole, Pieces.counts(whole.tokenizer, [texts]), settings.vocabulary)
      const setting = { config: pieces.config, tokenizer: pieces.tokenizer, batch, length, pooling: "mean" as const }
      const target = (
        name: string,
        task: typeof piboso,
        [train, held]: readonly [ReadonlyArray<Example>, ReadonlyArray<Example>],
        test: ReadonlyArray<Example>,
        length: number
      ): Study.Target => ({
        name,
        classes: task.classes,
        parts: Split.apart({
          train: Study.labelled(pieces, few(`${name} train`, task, train, labelled.train), length),
          validation: Study.labelled(pieces, few(`${name} validation`, task, held, labelled.validation), length),
          test: Study.labelled(pieces, test, length)
        })
      })
      const documents = Sources.shuffled(Seed.fold(root, "documents"), piboso.parts.train.examples)
      const fifth = Math.floor(documents.length / 5)
      const known = imdb.parts.train.examples
      const order = Array.from(Seed.permutation(Seed.fold(root, "reviews"), known.length), (at) => known[at]!)
      const half = Math.floor(order.length / 2)
      return {
        seed,
        pieces,
        objectives: [
          ...helped.map(({ examples, kind, name }) =>
            Supervised.supervised(
              setting,
              {
                rows: examples.map(({ pair, text }) => pieces.tokenizer.encode(text, pair, length)),
                labels: examples.map(({ label }) => label)
              },
              kind,
              { name }
            )
          ),
          Masked.masked(setting, texts, { head: pieces.head! })
        ],
        targets: [
          target(
            "roles",
            piboso,
            [documents.slice(fifth).flat(), documents.slice(0, fifth).flat()],
            piboso.parts.test!.examples,
            labelled.length
          ),
          target(
            "reviews",
            imdb,
            [order.slice(half), order.slice(0, half)],
            Subset.few(Seed.make(0), imdb.kind, imdb.parts.test!.examples, reviews.test),
            reviews.length
          )
        ]
      } satisfies Study.Drawn as Study.Drawn
    })
  )
  const data = [...others, piboso, imdb].map(({ input }) => input)
  return { drawn, inputs: { data, weights: [whole.input] } } satisfies Study.Data as Study.Data
})

/** Weights of four tasks and of masked tokens, for roles of sentences and for sentiment of reviews. */
export const auxiliary = Program.make({
  name: "language-auxiliary",
  description: "Weights of other tasks as objectives, fixed and learned, for two tasks that want different ones",
  config: config({ seeds: 8, methods: Report.methods([...helpers, "mlm"], 0) }),
  prepare,
  problems: (data, settings) => Study.problems(settings, data),
  run: (session, { data, settings }) => Report.run(session, settings, data)
})
