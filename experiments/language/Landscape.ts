import * as Effect from "effect/Effect"
import { ComparisonText, Program } from "tapweight"
import * as Tables from "../common/Tables.ts"
import * as Weightings from "../common/Weightings.ts"
import { compared, problems } from "./Language.ts"
import { prepare } from "./Prepare.ts"
import { config } from "./Settings.ts"

/**
 * How the validation score depends on fixed weights, with its noise over seeds: whether there is anything for level III to find. Test rows are not
 * scored.
 */
export const landscape = Program.make({
  name: "language-landscape",
  description: "Validation scores of fixed weightings on text: is there anything to learn?",
  config,
  prepare,
  problems: (data, settings) => problems(data, settings, ["finetune", "pretraining"]),
  run: (session, { data, settings }) =>
    Effect.gen(function* () {
      const { names, tasks } = data
      const tried = new Map(Weightings.handful(names))
      const methods = ["none", ...tried.keys()]
      const asked = { methods, tested: false }
      const { failures, rows } = yield* compared(session, settings, data, asked, ({ fixed, train }, name) =>
        name === "none" ? train("finetune") : fixed(name, tried.get(name)!)
      )
      const columns = tasks.map(({ metric, name }) => ({
        name,
        heading: `${name} (${metric} × 100)`,
        unit: ComparisonText.percent
      }))
      const tables = settings.finetunings.map((how) =>
        Tables.landscape(Tables.under(rows, how), `weights, ${how}`, methods, columns)
      )
      return {
        result: {
          failures: failures.map((failure) => ({ ...failure })),
          rows: rows.map(({ method, scores, seed, task }) => ({
            method,
            seed,
            task,
            scores: scores.map(({ finetuning, validation }) => ({ finetuning, validation }))
          }))
        },
        text: [...tables, ComparisonText.failures(failures)].filter((part) => part !== "").join("\n\n")
      }
    })
})
