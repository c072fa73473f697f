/** What levels report at a tick, as numbers on the host. */
import type * as tf from "@tensorflow/tfjs-core"
import type { Definition } from "../../dsl/Level.ts"
import { least } from "../../dsl/LossScale.ts"
import type { Host } from "../../dsl/values/Tree.ts"
import { StepError } from "../../engines/Engine.ts"
import { unmet } from "../../tensor/Elimination.ts"
import type * as Sweep from "../step/Direction.ts"

/** What a level reported at a tick, as numbers. */
export interface LevelReport {
  readonly loss: number
  readonly gradientNorm: number
  readonly metrics: { readonly [name: string]: number | ReadonlyArray<number> }
  /** Where the hypergradient came from, and what the update did; present on diagnostic ticks. */
  readonly report: Report | undefined
  /** Of a level that computes in float16: what its loss was multiplied by, and whether the update was skipped. */
  readonly lossScale?: { readonly scale: number; readonly skipped: boolean }
}

/** What diagnostics say of an update, and of the gradient that it was made along. */
export interface Report {
  /** Norm of the level's own partial gradient. */
  readonly direct: number
  /** By the level through which a contribution arrives: its norm and its cosine with the whole. */
  readonly parts: { readonly [level: string]: { readonly norm: number; readonly cosine: number } }
  /** By level: ‖H u − v‖ / ‖v‖ of its linear solve, where that was measured. */
  readonly residuals: { readonly [level: string]: number }
  /** Not positive where the curvature is singular or indefinite along the solve: its residual says whether that did harm. */
  readonly curvatures: { readonly [level: string]: number }
  /** By level: whether its solver calls its solve sound, where it says so. */
  readonly sound: { readonly [level: string]: boolean }
  /** Norm of the variable's change. */
  readonly moved: number
  /** Norm of the gradient as the optimizer's method takes it, clipped and decayed; undefined where it takes the gradient itself. */
  readonly taken: number | undefined
  /** Learning rates by group, the empty name where there is one for all; empty where the optimizer does not tell. */
  readonly rates: { readonly [group: string]: number }
}

const numbers = (arrays: { readonly [name: string]: { readonly data: ArrayLike<number> } }) =>
  Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, number(array)]))

const number = (array: { readonly data: ArrayLike<number> }): number => array.data[0]!

/** A level's metrics as numbers. */
export const reportOf = (host: Host<Sweep.LevelMetrics>): LevelReport => {
  const { metrics } = host
  // A tree that may be anything on a device may be anything on the host: of this one more is known.
  const report = host.report as Host<Sweep.Report & Sweep.Movement> | {}
  const lossScale = host.lossScale as Host<{ scale: tf.Scalar; made: tf.Scalar }> | {}
  return {
    loss: number(host.loss),
    gradientNorm: number(host.gradientNorm),
    metrics: Object.fromEntries(
      Object.entries(metrics).map(([name, value]) => [
        name,
        value.shape.length === 0 ? number(value) : Array.from(value.data)
      ])
    ),
    report:
      "direct" in report
        ? {
            direct: number(report.direct),
            parts: Object.fromEntries(
              Object.entries(report.parts).map(([name, p]) => [
                name,
                { norm: number(p.norm), cosine: number(p.cosine) }
              ])
            ),
            residuals: numbers(report.residuals),
            curvatures: Object.fromEntries(
              Object.entries(report.curvatures).flatMap(([name, c]) => (number(c) < unmet ? [[name, number(c)]] : []))
            ),
            sound: Object.fromEntries(Object.entries(host.soundness).map(([name, value]) => [name, number(value) > 0])),
            moved: number(report.moved),
            taken:
              "norm" in report.taken ? number(report.taken.norm as { readonly data: ArrayLike<number> }) : undefined,
            rates: numbers(report.rates)
          }
        : undefined,
    ...("scale" in lossScale
      ? { lossScale: { scale: number(lossScale.scale), skipped: number(lossScale.made) === 0 } }
      : {})
  }
}

/** A solve that went wrong: at which level, and what its solver has to say of it. */
export interface Unsound {
  readonly level: string
  readonly strict: boolean
  readonly reason: string
}

/** The first solve of a tick that went wrong. */
export const unsound = (
  tick: number,
  levels: ReadonlyMap<string, Definition>,
  metrics: { readonly [level: string]: Host<Sweep.LevelMetrics> }
): Unsound | undefined => {
  for (const [reader, { soundness }] of Object.entries(metrics)) {
    for (const [level, value] of Object.entries(soundness)) {
      const estimator = levels.get(level)?.hypergradient
      if (!(number(value) <= 0) || estimator?._tag !== "Implicit") continue
      const { name, strict = false, unsound: why = "it is not sound" } = estimator.solver
      return {
        level,
        strict,
        reason: `at tick ${tick} the solve ${name} at level '${level}' for '${reader}' failed: ${why}`
      }
    }
  }
  return undefined
}

/** A loss or gradient beyond it is of a level that diverges: float32 ends at 3.4e38, and squares of it at half as many digits. */
const huge = 1e12

const usual = "lower the learning rate, clip gradients, or look for a division or logarithm of zero in the objective"

/** What another level has grown to where it is not finite by much any more: what a level reads is why its own loss is none. */
const grown = (level: string, levels: { readonly [level: string]: LevelReport }): string | undefined => {
  for (const [other, { gradientNorm, loss }] of Object.entries(levels)) {
    if (other === level || !(Math.abs(loss) > huge || gradientNorm > huge)) continue
    return (
      `'${other}' has grown to a loss of ${loss.toPrecision(3)} and a gradient of ${gradientNorm.toPrecision(3)}, so that its own ` +
      "updates diverge: lower its rate, or bound what makes its curvature large"
    )
  }
  return undefined
}

/**
 * The error of a tick: a solve that has no solution, or the first level whose loss or gradient is no number, which an
 * earlier solve may be the reason of.
 */
export const broken = (
  tick: number,
  levels: { readonly [level: string]: LevelReport },
  before: Unsound | undefined
): StepError | undefined => {
  if (before?.strict === true)
    return new StepError({ kind: "Unsolvable", tick, level: before.level, reason: before.reason })
  for (const [level, report] of Object.entries(levels)) {
    if (report.lossScale?.skipped === true && report.lossScale.scale <= least) {
      const reason =
        `its gradient is not finite in float16, though its loss was multiplied by ${report.lossScale.scale} only: ` +
        "compute in Precision.bfloat16, or make the loss or the rate smaller"
      return new StepError({ kind: "NonFinite", tick, level, reason })
    }
    for (const what of ["loss", "gradientNorm"] as const) {
      const value = report[what]
      if (Number.isFinite(value)) continue
      const name = what === "loss" ? "the loss" : "the norm of the gradient"
      return new StepError({
        kind: "NonFinite",
        tick,
        level,
        reason: `${name} is ${value}: ${before?.reason ?? grown(level, levels) ?? usual}`
      })
    }
  }
  return undefined
}
