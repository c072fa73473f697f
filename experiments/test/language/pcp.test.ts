import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { CompiledEngine, type Dataset, type NdArray, Optimizer, Run, Seed, Split } from "tapweight"
import * as Pcp from "../../language/prompts/Pcp.ts"
import * as Prompt from "../../language/prompts/Prompt.ts"
import { config, encoder, head, tokenizer } from "../support/language.ts"

const prompt = { template: "{text} It was {word} .", words: ["no", "good"] } as const
const setting = { config, tokenizer, batch: 8, length: 20, pooling: "mean" } as const
const tokens = Prompt.make(tokenizer, prompt, setting.length)
const kind = { type: "classes", names: ["one", "other"] } as const

/** Texts of common words; those of the second class have one more. */
const all = Array.from({ length: 48 }, (_, i) => {
  const words = ["the", "of", "and", "man", "time"]
  const some = Array.from(Seed.integers(Seed.fold(Seed.make(1), i), 4, words.length), (at) => words[at]!)
  return { text: [...some, ...(i % 2 === 1 ? ["president"] : [])].join(" "), label: i % 2 }
})
const labelled = (examples: typeof all) => ({ texts: examples, labels: examples.map(({ label }) => label) })
const task: Pcp.Task = {
  kind,
  tokens,
  lines: tokens,
  texts: all,
  ...Split.apart({
    train: labelled(all.slice(0, 16)),
    validation: labelled(all.slice(16, 24)),
    test: labelled(all.slice(24))
  })
}
const steps = Pcp.make(setting, Optimizer.adam(0.02), task)

describe("PCP", () => {
  it.live("learns words from few labels, gives them to all texts, and pretrains on these", () =>
    Effect.gen(function* () {
      const start = { encoder, masked: head }
      const problem = steps.prompting(start)
      const ticks = yield* Run.ticks(problem, { ticks: 60, seed: 1 }).pipe(
        Stream.mapEffect((tick) =>
          tick.index < 60
            ? Effect.succeed({ loss: tick.levels["prompting"]!.loss })
            : Effect.all({
                loss: Effect.succeed(tick.levels["prompting"]!.loss),
                vars: tick.read(["omega"]),
                predicted: steps.ofTick(tick as never, all)
              })
        ),
        Stream.runCollect
      )
      const last = ticks.at(-1)! as { loss: number; vars: never; predicted: ReadonlyArray<number> }
      assert.isAbove(ticks[0]!.loss, 0.3)
      assert.isBelow(last.loss, 0.1)
      const labels = yield* steps.ofVars(last.vars, all)
      assert.deepStrictEqual(labels, last.predicted, "a finished model answers as the run did")
      assert.deepStrictEqual(labels, labelled(all).labels)

      // Texts of one class get its word whatever their own label says, since nobody knows it.
      const wrong = labels.map((label) => 1 - label)
      const { data } = steps.objective(setting, wrong, head)
      type Host = { readonly [field: string]: NdArray.NdArray }
      const sample = yield* (data as Dataset.Dataset.Any).open as Effect.Effect<
        (seed: Seed.Seed, index: number) => Effect.Effect<Host>
      >
      let [seen, hidden, drawn] = [0, 0, 0]
      for (let index = 0; index < 150; index++) {
        const { ids, positions, targets, weights } = yield* sample(Seed.make(3), index)
        const restored = ids!.data.slice()
        const places = new Set<number>()
        for (const [slot, weight] of weights!.data.entries()) {
          if (weight === 0) continue
          restored[positions!.data[slot]!] = targets!.data[slot]!
          places.add(positions!.data[slot]!)
        }
        for (let row = 0; row < setting.batch; row++) {
          const own = Array.from(restored.slice(row * setting.length, (row + 1) * setting.length))
          const text = all.findIndex((one, i) => {
            const said = tokenizer.row(tokens.said(one, wrong[i]!), undefined, setting.length).ids
            return `${said}` === `${own.filter((id) => id !== tokenizer.padding)}`
          })
          assert.notStrictEqual(text, -1, "a row is no prompt with its word")
          const { position } = tokens.asked(all[text]!)
          seen++
          hidden += Number(places.has(row * setting.length + position))
          drawn += Number(ids!.data[row * setting.length + position] === tokenizer.mask)
        }
      }
      // The word is hidden as often as others: 15 %, of which 80 % are masked; five standard deviations.
      assert.approximately(hidden / seen, 0.15, 5 * Math.sqrt((0.15 * 0.85) / seen))
      assert.approximately(drawn / seen, 0.12, 5 * Math.sqrt((0.12 * 0.88) / seen))
    }).pipe(Effect.scoped, Effect.provide(CompiledEngine.layer({ threads: 1 })))
  )
})
