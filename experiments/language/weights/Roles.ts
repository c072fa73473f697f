/** Roles of sentences in abstracts, learned from few labels, after pretraining on abstracts without labels. */
import * as Effect from "effect/Effect"
import { Program, Seed, Split } from "tapweight"
import * as Contrast from "../objectives/Contrast.ts"
import * as Masked from "../objectives/Masked.ts"
import * as Order from "../objectives/Order.ts"
import * as Subset from "../tasks/Subset.ts"
import type { Example } from "../tasks/Task.ts"
import * as Pieces from "../tokenizers/Pieces.ts"
import * as Report from "./Report.ts"
import { config, type Settings } from "./Settings.ts"
import * as Sources from "./Sources.ts"
import * as Study from "./Study.ts"

/** What each seed draws. Of all abstracts but the test file's a fifth is for validation, and the others are the corpus. */
const prepare = Effect.fnUntraced(function* (settings: Settings) {
  const whole = yield* Sources.encoder(settings.encoder)
  const { classes, input, kind, parts } = yield* Sources.task(settings.data, "piboso")
  const known = [...parts.train.examples, ...parts.validation!.examples]
  const { batch, labelled, length } = settings
  const drawn = yield* Effect.forEach(Study.seeds(settings), (seed) =>
    Effect.gen(function* () {
      const root = Seed.fold(Seed.make(seed), "roles")
      const documents = Sources.shuffled(Seed.fold(root, "documents"), known)
      const count = Math.floor(documents.length / 5)
      const [held, corpus] = [documents.slice(0, count), documents.slice(count)]
      const texts = yield* Sources.documents("abstracts", corpus, whole.tokenizer)
      const pieces = Pieces.cut(whole, Pieces.counts(whole.tokenizer, [texts]), settings.vocabulary)
      const setting = { config: pieces.config, tokenizer: pieces.tokenizer, batch, length, pooling: "mean" as const }
      const few = (name: string, from: ReadonlyArray<Example>, most: number) =>
        Study.labelled(pieces, Subset.few(Seed.fold(root, name), kind, from, most), labelled.length)
      return {
        seed,
        pieces,
        objectives: [
          Masked.masked(setting, texts, { head: pieces.head! }),
          Contrast.contrast(setting, texts),
          Order.order(setting, texts),
          Order.place(setting, texts)
        ],
        targets: [
          {
            name: "roles",
            classes,
            parts: Split.apart({
              train: few("train", corpus.flat(), labelled.train),
              validation: few("validation", held.flat(), labelled.validation),
              test: Study.labelled(pieces, parts.test!.examples, labelled.length)
            })
          }
        ]
      } satisfies Study.Drawn as Study.Drawn
    })
  )
  return { drawn, inputs: { data: [input], weights: [whole.input] } } satisfies Study.Data as Study.Data
})

/** Weights of four objectives on abstracts, for the roles of their sentences. */
export const roles = Program.make({
  name: "language-roles",
  description: "Weights of four objectives on abstracts, fixed and learned, for the roles of sentences",
  config: config({ methods: Report.methods(["mlm", "contrast", "order", "place"], 2) }),
  prepare,
  problems: (data, settings) => Study.problems(settings, data),
  run: (session, { data, settings }) => Report.run(session, settings, data)
})
