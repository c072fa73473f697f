import * as Effect from "effect/Effect"
import { Program, Records, Simplex, Statistics } from "tapweight"
import * as Levels from "./Levels.ts"
import * as Score from "./Score.ts"
import { config, type Settings } from "./Settings.ts"
import * as Task from "./Task.ts"

/** Trains levels I and II, with or without level III; gives the validation loss averaged over the last third. */
const trained = Effect.fnUntraced(function* (
  session: Program.Session,
  name: string,
  problem: ReturnType<typeof Levels.make>["tapweight"],
  task: Task.Task,
  settings: Settings,
  seed: number
) {
  const trial = `seed-${seed}/${name}`
  const outcome = yield* session.trial(trial, {
    problem,
    ticks: settings.ticks,
    seed,
    validation: {
      every: settings.scoreEvery,
      rows: task.validation.labels.data.length,
      score: (tick) => Effect.map(Score.lossOfTick(tick, task.validation), (loss) => ({ loss }))
    }
  })
  const records = yield* Records.read(Program.trialFolder(session.folder, trial))
  const late = records.flatMap((record) =>
    record.t === "eval" && record.k > (2 / 3) * settings.ticks ? [record.metrics["loss"]!] : []
  )
  return { vars: outcome.vars, loss: Statistics.mean(late) }
})

/**
 * A planted control: a fourth objective predicts sentence order against coin flips, which can teach nothing. Where
 * learning weights works its weight falls from 1/4, and levels I and II end with a lower validation loss than under equal
 * weights on the same batches and noise.
 */
export const control = Program.make({
  name: "brown-control",
  description: "A planted control on Brown: the weight of a useless objective must fall, validation loss with it",
  config: config({
    seeds: 3,
    ticks: 500,
    gamma: 0.5,
    useless: true,
    rate: { pretrain: 3e-3, finetune: 2e-3, reweight: 0.3 }
  }),
  problem: (settings: Settings) =>
    Effect.map(Task.make(settings, settings.seed), (task) => Levels.make(settings, task).tapweight),
  run: (session, settings: Settings) =>
    Effect.gen(function* () {
      const seeds = Array.from({ length: settings.seeds }, (_, i) => settings.seed + i)
      const found = yield* Effect.forEach(seeds, (seed) =>
        Effect.gen(function* () {
          const task = yield* Task.make(settings, seed)
          const levels = Levels.make(settings, task)
          const learned = yield* trained(session, "learned", levels.tapweight, task, settings, seed)
          const equal = yield* trained(session, "equal", levels.held, task, settings, seed)
          const lambda = Simplex.shares(levels.beta, learned.vars.beta)
          return { seed, lambda, learned: learned.loss, equal: equal.loss }
        })
      )
      const lines = found.map(({ equal, lambda, learned, seed }) => {
        const weights = Object.entries(lambda)
          .map(([name, share]) => `${name} ${share.toFixed(3)}`)
          .join("  ")
        return `seed ${seed}  λ ${weights}   validation loss ${learned.toFixed(4)}, equal weights ${equal.toFixed(4)}`
      })
      return { result: { seeds: found }, text: lines.join("\n") }
    })
})
