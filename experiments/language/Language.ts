import * as Effect from "effect/Effect"
import { Comparison, ComparisonText, LambdaChart, Program, Records, Session } from "tapweight"
import * as Weightings from "../common/Weightings.ts"
import * as Levels from "./methods/Levels.ts"
import * as Methods from "./methods/Methods.ts"
import type { Trained } from "./methods/Trained.ts"
import { settingOf } from "./methods/Task.ts"
import { type Data, prepare } from "./Prepare.ts"
import * as Pcp from "./prompts/Pcp.ts"
import * as Settings from "./Settings.ts"
import * as Summary from "./Summary.ts"

/** The first step of PCP: its last is the same from what lies between. */
const prompting = (settings: Settings.Settings, { base, prompts }: Methods.Given) => {
  const { model, seeded } = prompts!
  const optimizer = Levels.adam(settings, settings.rates.finetune, settings.finetuneTicks)
  return Pcp.make(
    settingOf(base.setting, settings, settings.batch.finetune),
    optimizer,
    seeded(settings.seed)
  ).prompting(model)
}

/** The problems that these methods run on a task, by name: some start from what others end with, which changes no plan. */
export const problems = (
  { seeded, tasks }: Data,
  settings: Settings.Settings,
  methods: ReadonlyArray<"pretraining" | Settings.Method>
) =>
  Object.fromEntries(
    tasks.flatMap((task) => {
      const { base, objectives } = task.given
      const own = seeded(task, settings.seed)
      const levels = Levels.make(settings, base, own, objectives)
      const uses = (...names: ReadonlyArray<string>) => methods.some((method) => names.includes(method))
      const all = {
        ...(uses("tapweight", "final") ? { tapweight: levels.tapweight() } : {}),
        ...(uses("solved", "solved-final") ? { solved: levels.solved() } : {}),
        ...(uses("bilevel") ? { bilevel: levels.bilevel() } : {}),
        ...(methods.some((method) => !["finetune", "tapweight", "solved", "bilevel"].includes(method))
          ? { pretraining: levels.pretraining(Weightings.equal(levels.beta.elements)) }
          : {}),
        ...(settings.heads.ticks > 0 && methods.some((method) => method !== "finetune" && method !== "pcp")
          ? { heads: levels.heads() }
          : {}),
        ...(uses("pcp") ? { prompting: prompting(settings, task.given) } : {}),
        ...Object.fromEntries(
          settings.finetunings.flatMap((how) =>
            how === "frozen" ? [] : [[`finetune-${how}`, levels.finetuning(base.encoder, how)]]
          )
        )
      }
      return Object.entries(all).map(([name, problem]) => [`${task.name}/${name}`, problem] as const)
    })
  )

/** Methods on every task with every seed; test rows are scored where `tested`. */
export const compared = Effect.fnUntraced(function* <M extends string, E, R>(
  session: Session.Session,
  settings: Settings.Settings,
  { inputs, seeded, tasks }: Data,
  { methods, tested }: { readonly methods: ReadonlyArray<M>; readonly tested: boolean },
  train: (methods: ReturnType<typeof Methods.make>, method: M) => Effect.Effect<Trained, E, R>
) {
  yield* session.inputs(inputs)
  const seeds = Array.from({ length: settings.seeds }, (_, i) => settings.seed + i)
  const { failures, rows } = yield* Comparison.run(session, {
    methods,
    tasks,
    seeds,
    train: ({ method, seed, task }, trials) =>
      Effect.suspend(() =>
        train(Methods.make(session, settings, seeded(task, seed), seed, task.given, tested, trials), method)
      )
  })
  return { rows, failures, seeds }
})

/** λ of a trial, averaged over the last half of its updates of λ. */
const averaged = (session: Session.Session, trial: string) =>
  Effect.map(Records.read(Session.trialFolder(session.folder, trial)), (records) => {
    const points = records.flatMap((record) => (record.t === "lambda" ? [record.lambda] : []))
    const last = points.slice(Math.floor(points.length / 2))
    return (points[0] ?? []).map((_, i) => last.reduce((sum, lambda) => sum + lambda[i]! / last.length, 0))
  })

/** The methods that learn weights in a trial of their own. */
const learners = ["bilevel", "tapweight", "solved"] as const

/**
 * The paper's language application (section 4.2): an encoder, unlabelled text and a labelled task; objectives' weights are learned, the encoder is
 * adapted, and methods are compared over paired seeds.
 */
export const language = Program.make({
  name: "language",
  description: "TapWeight on text: an encoder's folder, corpora and tasks; learned weights beside fixed ones",
  config: Settings.config,
  prepare,
  problems: (data, settings) => problems(data, settings, settings.methods),
  run: (session, { data, settings }) =>
    Effect.gen(function* () {
      const { names, tasks } = data
      const asked = { methods: settings.methods, tested: true }
      const { failures, rows } = yield* compared(session, settings, data, asked, ({ train }, method) => train(method))
      const learned = rows.filter(({ method }) => learners.some((name) => name === method))
      const averages = yield* Effect.forEach(learned, ({ method, pretraining, seed, task }) =>
        Effect.map(averaged(session, pretraining), (lambda) => ({ method, seed, task, lambda }))
      )
      const drawn = tasks.flatMap(({ name: task }) => learners.map((method) => [task, method] as const))
      const charts = yield* Effect.forEach(drawn, ([task, method]) => {
        const trials = learned.filter((row) => row.task === task && row.method === method)
        if (trials.length === 0) return Effect.succeed([])
        const title = `${task}, ${method}, ${trials.length > 1 ? `mean of ${trials.length} seeds` : `seed ${trials[0]!.seed}`}`
        const chart = LambdaChart.make(
          session.folder,
          trials.map(({ pretraining }) => pretraining),
          title
        )
        return Effect.map(chart, (svg) => (svg === undefined ? [] : [[`lambda-${task}-${method}.svg`, svg] as const]))
      })
      return {
        result: {
          tasks: tasks.map(({ metric, name, summary }) => ({ name, metric, summary })),
          rows: rows.map((row) => ({ ...row, lambda: row.lambda ?? null })),
          averages,
          failures: failures.map((failure) => ({ ...failure })),
          objectives: names
        },
        scores: Summary.scores(rows, tasks),
        tables: Summary.costs(rows, settings.methods),
        text: Summary.text({ averages, rows, failures: ComparisonText.failures(failures) }, settings, data),
        charts: Object.fromEntries(charts.flat())
      }
    })
})
