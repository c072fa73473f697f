import * as Effect from "effect/Effect"
import { Program, TextTable as Columns } from "tapweight"
import * as Objectives from "./Objectives.ts"
import { everywhere, problem } from "./Program.ts"
import * as Report from "./Report.ts"
import { config, type Finetuning, type Settings } from "./Settings.ts"

/** A handful of fixed weightings: the centre, each corner, and half-way from the centre to each. */
export const weightings = (
  settings: Pick<Settings, "useless">
): ReadonlyArray<readonly [name: string, lambda: Objectives.Lambda]> => {
  const objectives = Objectives.names(settings)
  const n = objectives.length
  const towards = (corner: string, share: number): Objectives.Lambda =>
    Object.fromEntries(objectives.map((name) => [name, (1 - share) / n + (name === corner ? share : 0)]))
  return [
    ["equal", Objectives.equal(settings)],
    ...objectives.map((name) => [`${name}-only`, towards(name, 1)] as const),
    ...objectives.map((name) => [`${name}-mostly`, towards(name, 0.5)] as const)
  ]
}

/** Every fixed weighting on every set and seed; test molecules are scored where `tested`. Trials that a run has finished are read. */
export const weighed = (session: Program.Session, settings: Settings, tested: boolean) => {
  const tried = weightings(settings)
  return Effect.map(
    everywhere(session, settings, { names: tried.map(([name]) => name), tested }, (methods) =>
      Effect.forEach(tried, ([name, lambda]) => methods.fixed(name, lambda))
    ),
    ({ found, ...rest }) => ({ ...rest, tried, found: found.flat() })
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
  problem,
  run: (session, settings: Settings) =>
    Effect.gen(function* () {
      const { found, tasks, tried } = yield* weighed(session, settings, false)
      const table = (how: Finetuning) => {
        const scored = Report.under(found, how)
        return Columns.numbers([
          [`weights, ${how}`, ...tasks.map((task) => `${task.name} (${task.metric})`)],
          ...tried.map(([name]) => [
            name,
            ...tasks.map((task) => {
              const own = scored.filter((one) => one.set === task.name && one.method === name)
              return Report.spread(
                own.map(({ validation }) => validation),
                task.metric
              )
            })
          ])
        ])
      }
      return {
        result: {
          found: found.map(({ method, scores, seed, set }) => ({
            method,
            seed,
            set,
            scores: scores.map(({ finetuning, validation }) => ({ finetuning, validation }))
          }))
        },
        text: settings.finetunings.map(table).join("\n\n")
      }
    })
})
