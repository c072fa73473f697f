/** Several fixed weightings: the best of them by validation, or what they come to on average. */
import * as Effect from "effect/Effect"
import { Seed, Statistics } from "tapweight"
import * as Weightings from "../../common/Weightings.ts"
import type { Lambda } from "../../common/Weightings.ts"
import type { Settings } from "../Settings.ts"
import type { Finetuned } from "./Finetuned.ts"
import type { Outcome, Trained } from "./Trained.ts"

/** Each finetuning takes the weighting that is best on validation rows; the cost is that of all. */
export const best = Effect.fnUntraced(function* <E, R>(
  settings: Settings,
  { one, scoresOf, secondsOf }: Finetuned,
  method: string,
  weightings: ReadonlyArray<readonly [name: string, lambda: Lambda]>,
  /** Pretraining at a weighting. */
  pretrained: (
    name: string,
    lambda: Lambda
  ) => Effect.Effect<{ readonly trial: string; readonly outcome: Outcome }, E, R>
) {
  const { finetuneTicks, finetunings, ticks } = settings
  const tried = yield* Effect.forEach(weightings, ([name, lambda]) =>
    Effect.gen(function* () {
      const { outcome, trial } = yield* pretrained(name, lambda)
      const each = yield* Effect.forEach(finetunings, (how) =>
        one(`${method}/${name}`, outcome.vars.theta.encoder, how)
      )
      return { each, lambda, outcome, trial }
    })
  )
  const chosen = finetunings.map((_, i) =>
    tried.reduce((one, other) => (other.each[i]!.validation > one.each[i]!.validation ? other : one))
  )
  const sum = (of: (one: (typeof tried)[number]) => number) => tried.reduce((total, one) => total + of(one), 0)
  return {
    pretraining: chosen[0]!.trial,
    scores: yield* Effect.forEach(chosen, ({ each }, i) => scoresOf(finetunings[i]!, each[i]!)),
    seconds: {
      pretraining: sum(({ outcome }) => outcome.seconds.training),
      finetuning: sum(({ each }) => secondsOf(each, "training")),
      waiting: sum(({ each, outcome }) => outcome.seconds.waiting + secondsOf(each, "waiting"))
    },
    updates: { pretraining: ticks * tried.length, finetuning: finetuneTicks * tried.length },
    lambda: chosen[0]!.lambda
  } satisfies Trained as Trained
})

/** Random weightings, one after the other: what stands in the table is the mean of their scores. */
export const random = Effect.fnUntraced(function* <E, R>(
  { draws, finetunings }: Settings,
  names: ReadonlyArray<string>,
  seed: number,
  /** A method at a weighting. */
  fixed: (name: string, lambda: Lambda) => Effect.Effect<Trained, E, R>
) {
  const root = Seed.fold(Seed.make(seed), "weightings")
  const each = yield* Effect.forEach(
    Array.from({ length: draws }, (_, draw) => draw),
    (draw) => fixed(`random-${draw + 1}`, Weightings.random(names, Seed.fold(root, draw)))
  )
  const mean = (of: (row: Trained) => number) => Statistics.mean(each.map(of))
  return {
    ...each[0]!,
    pretraining: "",
    scores: finetunings.map((finetuning, i) => ({
      finetuning,
      validation: mean(({ scores }) => scores[i]!.validation),
      test: mean(({ scores }) => scores[i]!.test)
    })),
    seconds: {
      pretraining: mean(({ seconds }) => seconds.pretraining),
      finetuning: mean(({ seconds }) => seconds.finetuning),
      waiting: mean(({ seconds }) => seconds.waiting)
    }
  } satisfies Trained as Trained
})
