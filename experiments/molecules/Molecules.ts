import * as Effect from "effect/Effect"
import { Comparison, ComparisonText, Config, Dataset, LambdaChart, Program, type Session } from "tapweight"
import * as Chemistry from "./rdkit/Chemistry.ts"
import * as MoleculeNet from "./tables/MoleculeNet.ts"
import * as Headway from "./structures/Headway.ts"
import * as Encoder from "./Encoder.ts"
import * as Input from "../common/Input.ts"
import * as Tables from "../common/Tables.ts"
import * as Levels from "./Levels.ts"
import * as Methods from "./Methods.ts"
import * as Objectives from "./Objectives.ts"
import * as Pool from "./Pool.ts"
import * as Summary from "./Summary.ts"
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

/** The tables, the pool and the encoder that the settings name; pictures can be read until the scope ends. */
export const prepare = Effect.fnUntraced(function* (settings: Settings.Settings) {
  const report = yield* Headway.listener(Effect.logInfo)
  const { encoder, found: tables } = yield* looked(settings)
  if (settings.encoder === null && settings.general.ticks === 0) {
    yield* Effect.logWarning(
      "everything starts from random weights: name a pretrained encoder (encoder=FILE.safetensors), or pretrain one (general.ticks)"
    )
  }
  const pool = yield* Pool.make(settings, report)
  const tasks = yield* Effect.forEach(tables, (table) => Task.make(settings, pool, table, report))
  for (const { summary } of [pool, ...tasks]) yield* Effect.logInfo(summary)
  const weights = settings.encoder === null ? [] : [yield* Input.ofWeights(settings.encoder)]
  return { encoder, tasks, inputs: { data: [...pool.inputs, ...tasks.map(({ input }) => input)], weights } }
}, Effect.provide(Chemistry.layer()))

/** What {@link prepare} gives. */
export type Data = Effect.Success<ReturnType<typeof prepare>>

/** The problems of these methods on every set, and general pretraining's. */
export const problems = (
  { encoder, tasks }: Data,
  settings: Settings.Settings,
  methods: ReadonlyArray<"pretraining" | Settings.Method>
) => ({
  ...Object.fromEntries(
    tasks.flatMap((task) =>
      Object.entries(Levels.problems(Settings.ofSet(settings, task.name), task, methods, encoder))
    )
  ),
  ...(settings.general.ticks > 0 ? { general: Levels.general(settings, tasks[0]!, encoder) } : {})
})

/** Methods on every set with every seed, from one general encoder a seed; test molecules are scored where `tested`. */
export const compared = Effect.fnUntraced(function* <M extends string, E, R>(
  session: Session.Session,
  settings: Settings.Settings,
  { encoder, inputs, tasks }: Data,
  { methods, tested }: { readonly methods: ReadonlyArray<M>; readonly tested: boolean },
  train: (methods: ReturnType<typeof Methods.make>, method: M) => Effect.Effect<Methods.Trained, E, R>
) {
  yield* session.inputs(inputs)
  const seeds = Array.from({ length: settings.seeds }, (_, i) => settings.seed + i)
  const starts = new Map<number, Levels.Start | undefined>()
  const startOf = Effect.fnUntraced(function* (seed: number) {
    if (!starts.has(seed)) starts.set(seed, yield* Methods.general(session, settings, tasks[0]!, seed, encoder))
    return starts.get(seed)
  })
  const { failures, rows } = yield* Comparison.run(session, {
    methods,
    tasks,
    seeds,
    train: ({ method, seed, task }, trials) =>
      Effect.flatMap(startOf(seed), (start) =>
        train(Methods.make(session, Settings.ofSet(settings, task.name), task, seed, start, tested, trials), method)
      )
  })
  return { rows, failures, seeds }
})

/**
 * The paper's molecules (section 4.1): a network of pictures is pretrained on clusters, puzzles and masks, finetuned on a
 * set of MoleculeNet, and the objectives' weights are learned on its validation molecules; beside the paper's ablations.
 */
export const molecules = Program.make({
  name: "molecules",
  description:
    "TapWeight on MoleculeNet: five pretraining objectives on pictures of molecules, and the paper's ablations",
  config: Settings.config,
  prepare,
  problems: (data, settings) => problems(data, settings, settings.methods),
  run: (session, { data, settings }) =>
    Effect.gen(function* () {
      const { tasks } = data
      const asked = { methods: settings.methods, tested: true }
      const { failures, rows, seeds } = yield* compared(session, settings, data, asked, ({ train }, method) =>
        train(method)
      )
      const objectives = Objectives.names(settings)
      const charted = settings.methods.includes("tapweight") || settings.methods.includes("final")
      const groups = seeds.length > 1 ? [seeds, ...seeds.map((seed) => [seed])] : [seeds]
      const drawn = (charted ? tasks : []).flatMap(({ name: set }) => groups.map((of) => [set, of] as const))
      const charts = yield* Effect.forEach(drawn, ([set, of]) => {
        const trials = of.map((seed) => `${set}/seed-${seed}/tapweight/pretrain`)
        const file = of.length === seeds.length ? "" : `-seed-${of[0]}`
        const title = of.length > 1 ? `mean of ${of.length} seeds` : `seed ${of[0]}`
        return Effect.map(LambdaChart.make(session.folder, trials, `${set}, ${title}`), (chart) =>
          chart === undefined ? [] : [[`lambda-${set}${file}.svg`, chart] as const]
        )
      })
      return {
        result: {
          sets: tasks.map(({ counted, name }) => ({ name, ...counted })),
          rows: rows.map((row) => ({ ...row, lambda: row.lambda ?? null })),
          failures: failures.map((failure) => ({ ...failure })),
          objectives
        },
        scores: Summary.scores(rows, tasks),
        tables: Summary.costs(rows, settings.methods),
        text: [
          ...settings.finetunings.flatMap((how) => {
            const scored = Tables.under(rows, how)
            return [
              ...tasks.map((task) => Summary.ofSet(task.name, task.metric, scored, settings.methods)),
              Summary.wins(scored, settings.methods, tasks)
            ]
          }),
          Summary.weights(rows, objectives),
          rows.some(({ lambda }) => lambda !== undefined)
            ? "λ was learned from the validation molecules: their scores favour the methods that learn it"
            : "",
          Tables.inText(Summary.costs(rows, settings.methods)),
          Summary.waiting(rows),
          ComparisonText.failures(failures)
        ]
          .filter((part) => part !== "")
          .join("\n\n"),
        charts: Object.fromEntries(charts.flat())
      }
    })
})
