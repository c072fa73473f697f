import * as Effect from "effect/Effect"
import { Config, Dataset, Program } from "tapweight"
import * as Chemistry from "./rdkit/Chemistry.ts"
import * as MoleculeNet from "./tables/MoleculeNet.ts"
import * as Headway from "./structures/Headway.ts"
import * as LambdaChart from "../common/LambdaChart.ts"
import * as Encoder from "./Encoder.ts"
import * as Input from "./Input.ts"
import * as Levels from "./Levels.ts"
import * as Methods from "./Methods.ts"
import * as Objectives from "./Objectives.ts"
import * as Pool from "./Pool.ts"
import * as Report from "./Report.ts"
import * as Settings from "./Settings.ts"
import * as Task from "./Task.ts"

/** The tables and the encoder that the settings name, before any picture is drawn. */
const looked = Effect.fnUntraced(function* (settings: Settings.Settings) {
  const { encoder: file, network, sets } = settings
  const found = yield* Effect.forEach(sets, (set) => Task.find(settings, set))
  const names = found.map(({ schema }) => schema.name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) {
    const reason = "two sets have this name, and their results would be mixed: give each schema a name of its own"
    return yield* new Dataset.DataError({ dataset: twice, reason })
  }
  const unheard = Object.keys(settings.perSet).find(
    (name) => !names.includes(name) && MoleculeNet.named(name) === undefined
  )
  if (unheard !== undefined) {
    const reason = `there is no set of this name: it is neither MoleculeNet's nor one of sets, which are ${names.join(", ")}`
    return yield* new Config.ConfigError({ key: `perSet.${unheard}`, origin: "all together", reason })
  }
  return { found, encoder: file === null ? undefined : yield* Encoder.read(file, network) }
})

/**
 * Runs `each` for every set and seed, from one general encoder a seed, the pool being read once. `names` are what it finds
 * each time; test molecules are scored where `tested`.
 */
export const everywhere = <A, E, R>(
  session: Program.Session,
  settings: Settings.Settings,
  { names, tested }: { readonly names: ReadonlyArray<string>; readonly tested: boolean },
  each: (methods: ReturnType<typeof Methods.make>, task: Task.Task, seed: number) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const report = yield* Headway.listener(Effect.logInfo)
    const { encoder, found: tables } = yield* looked(settings)
    const pool = yield* Pool.make(settings, report)
    const tasks = yield* Effect.forEach(tables, (table) => Task.make(settings, pool, table, report))
    for (const { summary } of [pool, ...tasks]) yield* Effect.logInfo(summary)
    yield* session.inputs({
      data: [...pool.inputs, ...tasks.map(({ input }) => input)],
      weights: settings.encoder === null ? [] : [yield* Input.ofWeights(settings.encoder)]
    })
    const seeds = Array.from({ length: settings.seeds }, (_, i) => settings.seed + i)
    const told: Array<Methods.Found> = []
    const tell = (found: Methods.Found) => {
      told.push(found)
      return Effect.logInfo(Report.progress(told, names, seeds.length * tasks.length))
    }
    const found = yield* Effect.forEach(seeds, (seed) =>
      Effect.flatMap(Methods.general(session, settings, tasks[0]!, seed, encoder), (start) =>
        Effect.forEach(tasks, (task) =>
          each(Methods.make(session, Settings.ofSet(settings, task.name), task, seed, start, tested, tell), task, seed)
        )
      )
    )
    return { tasks, seeds, found: found.flat() }
  }).pipe(Effect.scoped, Effect.provide(Chemistry.layer()))

/** The three levels on the first set. */
export const problem = (settings: Settings.Settings) =>
  Effect.gen(function* () {
    const report = yield* Headway.listener(Effect.logInfo)
    const { found } = yield* looked(settings)
    if (settings.encoder === null && settings.general.ticks === 0) {
      yield* Effect.logWarning(
        "everything starts from random weights: name a pretrained encoder (encoder=FILE.safetensors), or pretrain one (general.ticks)"
      )
    }
    const task = yield* Task.make(settings, yield* Pool.make(settings, report), found[0]!, report)
    return Levels.make(Settings.ofSet(settings, task.name), task, undefined).tapweight
  }).pipe(Effect.scoped, Effect.provide(Chemistry.layer()))

/**
 * The paper's molecules (section 4.1): a network of pictures is pretrained on clusters, puzzles and masks, finetuned on a
 * set of MoleculeNet, and the objectives' weights are learned on its validation molecules; beside the paper's ablations.
 */
export const molecules = Program.make({
  name: "molecules",
  description:
    "TapWeight on MoleculeNet: five pretraining objectives on pictures of molecules, and the paper's ablations",
  config: Settings.config,
  problem,
  run: (session, settings: Settings.Settings) =>
    Effect.gen(function* () {
      const {
        found: each,
        seeds,
        tasks
      } = yield* everywhere(session, settings, { names: settings.methods, tested: true }, (methods) =>
        methods.all(settings.methods)
      )
      const found = each.flat()
      const objectives = Objectives.names(settings)
      const charted = settings.methods.includes("tapweight") || settings.methods.includes("final")
      const groups = seeds.length > 1 ? [seeds, ...seeds.map((seed) => [seed])] : [seeds]
      const drawn = (charted ? tasks : []).flatMap(({ name: set }) => groups.map((of) => [set, of] as const))
      const charts = yield* Effect.forEach(drawn, ([set, of]) => {
        const trials = of.map((seed) => `${set}/seed-${seed}/tapweight/pretrain`)
        const file = of.length === seeds.length ? "" : `-seed-${of[0]}`
        const title = of.length > 1 ? `mean of ${of.length} seeds` : `seed ${of[0]}`
        return Effect.map(
          LambdaChart.make(session, trials, `${set}, ${title}`),
          (chart) => [`lambda-${set}${file}.svg`, chart] as const
        )
      })
      return {
        result: {
          sets: tasks.map(({ counted, name }) => ({ name, ...counted })),
          found: found.map((one) => ({ ...one, lambda: one.lambda ?? null })),
          objectives
        },
        text: [
          ...settings.finetunings.flatMap((how) => {
            const scored = Report.under(found, how)
            return [
              ...tasks.map((task) => Report.ofSet(task.name, task.metric, scored, settings.methods)),
              Report.wins(scored, settings.methods, tasks)
            ]
          }),
          Report.weights(found, objectives),
          found.some(({ lambda }) => lambda !== undefined)
            ? "λ was learned from the validation molecules: their scores favour the methods that learn it"
            : "",
          Report.costs(found, settings.methods),
          Report.waiting(found)
        ]
          .filter((part) => part !== "")
          .join("\n\n"),
        charts: Object.fromEntries(charts)
      }
    })
})
