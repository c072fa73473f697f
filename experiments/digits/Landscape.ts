import * as Effect from "effect/Effect"
import { ComparisonText, Program, TextTable } from "tapweight"
import * as Methods from "./Methods.ts"
import * as Objectives from "./Objectives.ts"
import { compared, prepare } from "./Program.ts"
import { config } from "./Settings.ts"

/** Fixed weights by name: equal, each objective alone, all but one, and what helps most with its best companion. */
export const weightings: ReadonlyMap<string, Objectives.Shares> = new Map([
  ["equal", Methods.equal],
  ...Objectives.names.map((name) => [`${name}-alone`, Methods.shared([name])] as const),
  ...Objectives.names.map((name) => {
    const others = Objectives.names.filter((other) => other !== name)
    return [`without-${name}`, Methods.shared(others)] as const
  }),
  ["contrast-and-fill", Methods.shared(["contrast", "fill"])]
])

/** How scores depend on fixed weights: whether there is anything to find. Settings were chosen by it, on seeds from 100. */
export const landscape = Program.make({
  name: "digits-landscape",
  description: "Scores of fixed weightings on handwritten digits: is there anything to learn?",
  config: { ...config, defaults: { ...config.defaults, seed: 100, seeds: 4 } },
  prepare,
  problems: ({ tasks }) =>
    Object.fromEntries(tasks.map(({ levels, seed }) => [`seed-${seed}`, levels.pretraining(Methods.equal)] as const)),
  run: (session, { data, settings }) =>
    Effect.gen(function* () {
      const { failures, rows } = yield* compared(session, settings, data, [...weightings.keys()], (name, one) =>
        one.weighted(name, weightings.get(name)!)
      )
      const spread = (name: string, split: "validation" | "test") =>
        ComparisonText.spread(
          rows.flatMap((row) => (row.method === name ? [row[split]] : [])),
          ComparisonText.percent
        )
      const table = TextTable.numbers([
        ["weights", "validation %", "test %"],
        ...[...weightings.keys()].map((name) => [name, spread(name, "validation"), spread(name, "test")])
      ])
      return {
        result: {
          rows: rows.map(({ method, seed, test, validation }) => ({ method, seed, validation, test })),
          failures: failures.map((failure) => ({ ...failure }))
        },
        text: [table, ComparisonText.failures(failures)].filter((part) => part !== "").join("\n\n")
      }
    })
})
