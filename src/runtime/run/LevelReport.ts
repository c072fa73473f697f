/** What levels report at a tick, as numbers on the host. */
import type { Host } from "../../dsl/Tree.ts"
import { StepError } from "../../engines/Engine.ts"
import type * as Sweep from "../step/Direction.ts"

/** What a level reported at a tick, as numbers. */
export interface LevelReport {
  readonly loss: number
  readonly gradientNorm: number
  readonly metrics: { readonly [name: string]: number | ReadonlyArray<number> }
  /** Where the hypergradient came from; present on diagnostic ticks. */
  readonly report: Report | undefined
}

/** See `Sweep.Report`. */
export interface Report {
  readonly direct: number
  readonly parts: { readonly [level: string]: { readonly norm: number; readonly cosine: number } }
  readonly residuals: { readonly [level: string]: number }
}

const number = (array: { readonly data: ArrayLike<number> }): number => array.data[0]!

/** A level's metrics as numbers. */
export const reportOf = (host: Host<Sweep.LevelMetrics>): LevelReport => {
  const { metrics } = host
  // A tree that may be anything on a device may be anything on the host: of this one more is known.
  const report = host.report as Host<Sweep.Report> | {}
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
            residuals: Object.fromEntries(Object.entries(report.residuals).map(([name, r]) => [name, number(r)]))
          }
        : undefined
  }
}

/** The error of the first level whose loss or gradient is no number. */
export const notFinite = (tick: number, levels: { readonly [level: string]: LevelReport }): StepError | undefined => {
  for (const [level, report] of Object.entries(levels)) {
    for (const what of ["loss", "gradientNorm"] as const) {
      const value = report[what]
      if (Number.isFinite(value)) continue
      const name = what === "loss" ? "the loss" : "the norm of the gradient"
      const reason = `${name} is ${value}: lower the learning rate, clip gradients, or look for a division or logarithm of zero in the objective`
      return new StepError({ kind: "NonFinite", tick, level, reason })
    }
  }
  return undefined
}
