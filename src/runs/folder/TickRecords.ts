import type { Plan } from "../../runtime/plan/Plan.ts"
import * as Moment from "../../runtime/plan/Moment.ts"
import { sweepsWhile, updatesAt } from "../../runtime/plan/Plan.ts"
import type { LevelReport, Report, Tick } from "../../runtime/run/Run.ts"
import type { Record } from "./Records.ts"

type Written = Exclude<Record, { readonly t: "head" }>

const scalars = (metrics: LevelReport["metrics"]): { readonly [name: string]: number } =>
  Object.fromEntries(Object.entries(metrics).filter((entry): entry is [string, number] => typeof entry[1] === "number"))

const vector = (metrics: LevelReport["metrics"], name: string): ReadonlyArray<number> | undefined => {
  const value = metrics[name]
  return typeof value === "object" ? value : undefined
}

const entropy = (weights: ReadonlyArray<number>): number =>
  -weights.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0)

/** What an update did. */
const movement = ({ moved, rates, taken }: Report) => ({
  ...(Object.keys(rates).length === 0 ? {} : { rates }),
  moved,
  ...(taken === undefined ? {} : { taken })
})

/** Levels at which a level's sweep solves at a tick: those that are frozen by then are constants. */
const hopsOf = (plan: Plan, level: string, tick: number): ReadonlyArray<string> =>
  sweepsWhile(plan, new Set(Moment.at(plan, tick).frozen))
    .get(level)!
    .hops.map((hop) => hop.level)

/** The records of one tick: each update, tradeoff weights that a level reports, by the `names` of what it minimizes, where a hypergradient came from. */
export const of = (
  plan: Plan,
  tick: Tick,
  seconds: number,
  names: { readonly [level: string]: ReadonlyArray<string> }
): ReadonlyArray<Written> =>
  plan.levels.flatMap((planned): ReadonlyArray<Written> => {
    const level = tick.levels[planned.name]
    if (level === undefined) return []
    const where = { k: tick.index, level: planned.name }
    const parts = scalars(level.metrics)
    const step: Written = {
      t: "step",
      ...where,
      w: seconds,
      wait: Math.round(tick.waited) / 1000,
      tick: updatesAt(planned, tick.index),
      loss: level.loss,
      gnorm: level.gradientNorm,
      ...(level.report === undefined ? {} : movement(level.report)),
      ...(Object.keys(parts).length === 0 ? {} : { parts }),
      ...level.lossScale
    }
    const lambda = vector(level.metrics, "lambda")
    const beta = vector(level.metrics, "beta")
    const weights: ReadonlyArray<Written> =
      lambda === undefined
        ? []
        : [
            {
              t: "lambda",
              ...where,
              w: seconds,
              names: names[planned.name] ?? [],
              beta: beta ?? [],
              lambda,
              entropy: entropy(lambda)
            }
          ]
    const { report } = level
    if (report === undefined) return [step, ...weights]
    const hops = hopsOf(plan, planned.name, tick.index)
    if (hops.length === 0) return [step, ...weights]
    const solves = hops.map((hop) => ({
      level: hop,
      solver: plan.levels.find((l) => l.name === hop)!.estimator!.name,
      residual: report.residuals[hop] ?? null,
      ...(report.sound[hop] === undefined ? {} : { ok: report.sound[hop] }),
      ...(report.curvatures[hop] === undefined ? {} : { curvature: report.curvatures[hop] })
    }))
    const norm = level.gradientNorm
    const via = Object.entries(report.parts).map(([name, { cosine, norm: own }]) => ({
      via: [name],
      norm: own,
      cos: cosine,
      ...(norm > 0 ? { share: (own * cosine) / norm } : {})
    }))
    return [step, ...weights, { t: "hyper", ...where, norm, direct: report.direct, parts: via, solves }]
  })

/** What the process holds at a tick, and how many arrays the engine does. */
export const memory = (tick: number, seconds: number, arrays: number): Extract<Written, { readonly t: "memory" }> => {
  const { heapUsed: heap, rss: resident } = process.memoryUsage()
  return { t: "memory", k: tick, w: seconds, resident, peak: process.resourceUsage().maxRSS * 1024, heap, arrays }
}
