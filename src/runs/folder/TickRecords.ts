import type { Plan } from "../../runtime/plan/Plan.ts"
import { updatesAt } from "../../runtime/plan/Plan.ts"
import type { LevelReport, Tick } from "../../runtime/run/Run.ts"
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
    const sweep = plan.sweeps.find((s) => s.level === planned.name)!
    const solves = sweep.hops.map((hop) => ({
      level: hop.level,
      solver: plan.levels.find((l) => l.name === hop.level)!.estimator!.name,
      residual: report.residuals[hop.level] ?? null,
      ...(report.curvatures[hop.level] === undefined ? {} : { curvature: report.curvatures[hop.level] })
    }))
    const via = Object.entries(report.parts).map(([name, p]) => ({ via: [name], norm: p.norm, cos: p.cosine }))
    return [
      step,
      ...weights,
      { t: "hyper", ...where, norm: level.gradientNorm, direct: report.direct, parts: via, solves }
    ]
  })
