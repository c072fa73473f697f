/** Solvers that both have, by their names in benchmark_bilevel: what each is here, at equal steps, schedules and numbers of inner steps. */
import * as tf from "@tensorflow/tfjs-core"
import { Method, Optimizer, Problem, Rate } from "../../src/index.ts"

/** A problem's rates and method, from what the two sides share. */
export interface Settings {
  readonly step: number
  readonly outer: number
  /** Ticks between two directions of all batches, where a solver has them. */
  readonly period: number
}

export interface Solver {
  readonly lower: (settings: Settings) => Optimizer.Optimizer
  readonly upper: (settings: Settings) => Optimizer.Optimizer
  readonly method: (settings: Settings) => Method.Method
  /** What theirs is told beside its step and ratio. */
  readonly theirs?: { readonly [name: string]: number }
  /** Batches of the lower and of the upper level that a tick takes there, each an oracle call. */
  readonly calls: readonly [lower: number, upper: number]
  /** Whether both take one lower batch a tick, and no randomness beside: then they are equal step for step on batches too. */
  readonly onBatches?: boolean
  /** Whether it has randomness of its own, so that only what it comes to compares. */
  readonly random?: boolean
  /** Whether it takes all rows at once there. */
  readonly whole?: boolean
  /** Whether it is of finite sums. */
  readonly finite?: boolean
  /** What of its start is mended there before its steps are compared. */
  readonly mended?: string
}

const falling = (rate: number, exponent: number): Rate.Rate => Rate.power({ rate, exponent })
const sgd = (exponent: number, of: "step" | "outer") => (settings: Settings) =>
  Optimizer.sgd(falling(settings[of], exponent))

/** A rate that counts ticks where a level makes so many updates in each. */
const byTick = (rate: Rate.Rate, updates: number): Rate.Rate => ({
  ...rate,
  name: `${rate.name} by ${updates}`,
  at: (clock) => rate.at(tf.cast(tf.floor(tf.div(tf.add(tf.cast(clock, "float32"), 0.5), updates)), "int32"))
})

const memory = "the previous iterate starts at the initial one, not at zero"

export const solvers: { readonly [name: string]: Solver } = {
  SOBA: {
    lower: sgd(0.5, "step"),
    upper: sgd(0.5, "outer"),
    method: ({ step }) => Method.soba({ rate: falling(step, 0.5) }),
    calls: [3, 2],
    onBatches: true
  },
  SABA: {
    lower: sgd(0, "step"),
    upper: sgd(0, "outer"),
    method: ({ step }) => Method.saba({ rate: step }),
    calls: [3, 2],
    onBatches: true,
    finite: true
  },
  SRBA: {
    lower: sgd(0, "step"),
    upper: sgd(0, "outer"),
    method: ({ period, step }) => Method.srba({ rate: step, period }),
    theirs: { period_frac: 0.5 },
    calls: [3, 2],
    onBatches: true,
    finite: true
  },
  AmIGO: {
    lower: sgd(0, "step"),
    upper: sgd(0, "outer"),
    method: ({ step }) => Method.amigo({ rate: step }),
    calls: [21, 2]
  },
  StocBiO: {
    lower: sgd(0, "step"),
    upper: sgd(0, "outer"),
    method: ({ step }) => Method.stocbio({ rate: step }),
    calls: [21, 2]
  },
  FSLA: {
    lower: sgd(0.5, "step"),
    upper: sgd(0.5, "outer"),
    method: ({ step }) => Method.fsla({ rate: falling(step, 0.5), momentum: falling(step, 0.5) }),
    calls: [4, 3],
    mended: memory
  },
  MRBO: {
    lower: sgd(1 / 3, "step"),
    upper: sgd(1 / 3, "outer"),
    method: ({ step }) => Method.mrbo({ rate: step }),
    calls: [24, 4],
    mended: memory
  },
  F2SA: {
    lower: ({ step }) => Optimizer.sgd(byTick(falling(step, 5 / 7), 10)),
    upper: sgd(4 / 7, "outer"),
    method:
      ({ step }) =>
      (problem) => {
        const twin = Optimizer.sgd(byTick(falling(step, 4 / 7), 10))
        return problem.pipe(
          Method.f2sa({ multiplier: 1, growth: 0 }),
          Problem.mapLevels((level) => (level.name === "lower twin" ? { ...level, optimizer: twin } : level))
        )
      },
    theirs: { delta_lmbda: 0 },
    calls: [22, 11]
  },
  BOME: {
    lower: sgd(0, "step"),
    upper: sgd(0, "outer"),
    method: ({ step }) => Method.bome({ rate: step }),
    calls: [13, 1],
    whole: true
  },
  BSA: {
    lower: ({ step }) => Optimizer.sgd(byTick(falling(step, 0.5), 10)),
    upper: sgd(0.5, "outer"),
    method: ({ step }) => Method.bsa({ rate: step }),
    calls: [21, 2],
    random: true
  },
  TTSA: {
    lower: sgd(0.4, "step"),
    upper: sgd(0.6, "outer"),
    method: ({ step }) => Method.ttsa({ rate: step }),
    calls: [11, 2],
    random: true
  }
}
