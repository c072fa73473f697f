import * as Effect from "effect/Effect"
import { ComparisonText, Program, type Session } from "tapweight"
import * as Tables from "../common/Tables.ts"
import * as Weightings from "../common/Weightings.ts"
import { compared, type Data, prepare, problems } from "./Molecules.ts"
import * as Objectives from "./Objectives.ts"
import * as Summary from "./Summary.ts"
import { config, type Finetuning, type Settings } from "./Settings.ts"

/** A handful of fixed weightings: the centre, each corner, and half-way from the centre to each. */
export const weightings = (settings: Pick<Settings, "useless">) => Weightings.handful(Objectives.names(settings))

/** Every fixed weighting on every set and seed; test molecules are scored where `tested`. Trials that a run has finished are read. */
export const weighed = (session: Session.Session, settings: Settings, data: Data, tested: boolean) => {
  const tried = new Map(weightings(settings))
  return compared(session, settings, data, { methods: [...tried.keys()], tested }, ({ fixed }, name) =>
    fixed(name, tried.get(name)!)
  )
}

/**
 * How the validation score after finetuning depends on fixed weights, with its noise over seeds: whether there is
 * anything for level III to find. Test molecules are not scored.
 */
export const landscape = Program.make({
  name: "molecules-landscape",
  description: "Validation scores of fixed weightings on MoleculeNet: is there anything to learn?",
  config,
  prepare,
  problems: (data, settings) => problems(data, settings, ["pretraining"]),
  run: (session, { data, settings }) =>
    Effect.gen(function* () {
      const { tasks } = data
      const { failures, rows } = yield* weighed(session, settings, data, false)
      const columns = tasks.map(({ metric, name }) => ({
        name,
        heading: `${name} (${metric})`,
        unit: Summary.unitOf(metric)
      }))
      const methods = weightings(settings).map(([name]) => name)
      const table = (how: Finetuning) => Tables.landscape(Tables.under(rows, how), `weights, ${how}`, methods, columns)
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
        text: [...settings.finetunings.map(table), ComparisonText.failures(failures)]
          .filter((part) => part !== "")
          .join("\n\n")
      }
    })
})
