import * as Effect from "effect/Effect"
import { Comparison, Program, Records, Session, Simplex, Statistics } from "tapweight"
import { prepare } from "./Brown.ts"
import * as Score from "./Score.ts"
import { config } from "./Settings.ts"

/** Levels I and II train with level III, or without it. */
const methods = ["learned", "equal"] as const

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
  prepare,
  problems: (data) =>
    Object.fromEntries(
      data.flatMap(({ levels, seed }) => [
        [`seed-${seed}/learned`, levels.tapweight],
        [`seed-${seed}/equal`, levels.held]
      ])
    ),
  run: (session, { data, settings }) =>
    Effect.gen(function* () {
      const { failures, rows } = yield* Comparison.run(session, {
        methods,
        tasks: [{ name: "brown" }],
        seeds: data.map(({ seed }) => seed),
        train: ({ method, seed }, { trial }) =>
          Effect.gen(function* () {
            const { levels, task } = data.find((one) => one.seed === seed)!
            const name = `seed-${seed}/${method}`
            const { vars } = yield* trial(name, {
              problem: method === "learned" ? levels.tapweight : levels.held,
              ticks: settings.ticks,
              seed,
              validation: {
                every: settings.scoreEvery,
                rows: task.validation.labels.data.length,
                score: (tick) => Effect.map(Score.lossOfTick(tick, task.validation), (loss) => ({ loss }))
              }
            })
            // The validation loss averaged over the last third.
            const records = yield* Records.read(Session.trialFolder(session.folder, name))
            const late = records.flatMap((record) =>
              record.t === "eval" && record.k > (2 / 3) * settings.ticks ? [record.metrics["loss"]!] : []
            )
            return { vars, loss: Statistics.mean(late) }
          })
      })
      const seeds = data.flatMap(({ seed }) => {
        const [learned, equal] = methods.map((method) => rows.find((row) => row.method === method && row.seed === seed))
        if (learned === undefined || equal === undefined) return []
        const lambda = Simplex.shares(data[0]!.levels.beta, learned.vars.beta)
        return [{ seed, lambda, learned: learned.loss, equal: equal.loss }]
      })
      const lines = seeds.map(({ equal, lambda, learned, seed }) => {
        const weights = Object.entries(lambda)
          .map(([name, share]) => `${name} ${share.toFixed(3)}`)
          .join("  ")
        return `seed ${seed}  λ ${weights}   validation loss ${learned.toFixed(4)}, equal weights ${equal.toFixed(4)}`
      })
      return {
        result: { seeds, failures: failures.map((failure) => ({ ...failure })) },
        scores: rows.map(({ loss, method, seed, task }) => ({
          method,
          task,
          seed,
          metric: "loss, averaged over the last third",
          split: "validation" as const,
          better: "less" as const,
          value: loss
        })),
        text: [
          ...lines,
          ...failures.map(({ method, reason, seed }) => `seed ${seed}  ${method} failed: ${reason}`)
        ].join("\n")
      }
    })
})
