import * as Effect from "effect/Effect"
import { Comparison, LambdaChart, Program, type Session, Split } from "tapweight"
import * as Digits from "./Digits.ts"
import * as Levels from "./Levels.ts"
import * as Methods from "./Methods.ts"
import * as Objectives from "./Objectives.ts"
import * as Questions from "./Questions.ts"
import * as Score from "./Score.ts"
import { config, type Settings } from "./Settings.ts"
import * as Summary from "./Summary.ts"
import * as Task from "./Task.ts"

/** The digits, and each seed's task and problems. */
export const prepare = (settings: Settings) =>
  Effect.gen(function* () {
    const pictures = yield* Digits.all
    const seeds = Array.from({ length: settings.seeds }, (_, i) => settings.seed + i)
    const tasks = yield* Effect.forEach(seeds, (seed) =>
      Effect.map(Task.make(pictures, settings, seed), (task): Methods.Seeded => ({
        seed,
        task,
        levels: Levels.make(settings, task)
      }))
    )
    return { pictures, tasks }
  })
type Data = Effect.Success<ReturnType<typeof prepare>>

/** What the manifest says of the digits. */
const inputs = ({ pictures, tasks }: Data) => {
  const { task } = tasks[0]!
  const parts = Split.count(task, ({ labels }) => labels.data.length)
  const split = {
    rule: "as many of each digit in every part, anew for every seed; all others are unlabelled",
    rows: { ...parts, unlabelled: task.unlabelled.labels.length }
  }
  const data = { ...Digits.source, sha256: null, read: pictures.labels.length, dropped: [], split }
  return { data: [data], weights: [] }
}

/** Every method with every seed. */
export const compared = <M extends string>(
  session: Session.Session,
  settings: Settings,
  { tasks }: Data,
  methods: ReadonlyArray<M>,
  train: (method: M, one: ReturnType<typeof Methods.make>) => ReturnType<ReturnType<typeof Methods.make>["train"]>
) =>
  Effect.flatMap(Score.make(settings), (score) =>
    Comparison.run(session, {
      methods,
      tasks: [{ name: "digits" }],
      seeds: tasks.map(({ seed }) => seed),
      train: ({ method, seed }, trials) => {
        const own = tasks.find((one) => one.seed === seed)!
        return train(method, Methods.make(settings, own, score, trials))
      }
    })
  )

/**
 * TapWeight on handwritten digits: a small net learns to write a picture as ten numbers from what unlabelled pictures can be
 * asked, few labels tell which digit they show, and the weights of the questions are learned through the head that is best on these.
 */
export const digits = Program.make({
  name: "digits",
  description:
    "TapWeight on handwritten digits: five pretraining objectives, few labels, weights learned through a solved head",
  config,
  prepare,
  problems: ({ tasks }) =>
    Object.fromEntries<Levels.Stated>(
      tasks.flatMap(({ levels, seed }): ReadonlyArray<readonly [string, Levels.Stated]> => [
        [`seed-${seed}/learned`, levels.learning],
        [`seed-${seed}/equal`, levels.pretraining(Methods.equal)],
        ...Objectives.names.map((name) => [`seed-${seed}/alone/${name}`, levels.alone(name)] as const),
        [`seed-${seed}/probe`, levels.probing()]
      ])
    ),
  run: (session, { data, settings }) =>
    Effect.gen(function* () {
      yield* session.inputs(inputs(data))
      const { failures, rows } = yield* compared(session, settings, data, Methods.names, (method, one) =>
        one.train(method)
      )
      const searches = rows.flatMap(({ method, seed }) => (method === "learned" ? [Methods.search(seed)] : []))
      const of = searches.length === 1 ? "one seed" : `mean of ${searches.length} seeds`
      const lambda = yield* LambdaChart.make(session.folder, searches, of)
      return {
        result: {
          rows: rows.map((row) => ({ ...row, lambda: row.lambda ?? null, tried: row.tried ?? null })),
          failures: failures.map((failure) => ({ ...failure }))
        },
        scores: Summary.scores(rows),
        text: Summary.text(rows, failures),
        charts: {
          ...(lambda === undefined ? {} : { "lambda.svg": lambda }),
          "questions.svg": Questions.chart(data.pictures, settings)
        }
      }
    })
})
