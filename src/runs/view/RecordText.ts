/** One record in one line, for people who follow a run. */
import type { Record } from "../folder/Records.ts"

const number = (value: number): string => `${Number(value.toPrecision(5))}`
const pairs = (values: { readonly [name: string]: number }): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${number(value)}`)
    .join("  ")

/** What a curvature that is not positive says of a solve. */
const indefinite = (curvature: number | undefined): string =>
  curvature === undefined || curvature > 0
    ? ""
    : ` (${curvature === 0 ? "singular" : "indefinite"}: curvature ${number(curvature)}, take Solver.minres or Solver.damped)`

/** The record in words; its step first where it has one. */
export const line = (record: Record): string => {
  switch (record.t) {
    case "head":
      return `attempt ${record.attempt} from step ${record.from}`
    case "step": {
      const norm = record.gnorm === undefined ? "" : `  |gradient| ${number(record.gnorm)}`
      const parts = record.parts === undefined ? "" : `  ${pairs(record.parts)}`
      return `${record.k}  ${record.level}  update ${record.tick}  loss ${number(record.loss)}${norm}${parts}`
    }
    case "lambda": {
      const weights = record.lambda.map((weight, i) => `${record.names[i] ?? i} ${weight.toFixed(3)}`)
      return `${record.k}  ${record.level}  λ ${weights.join("  ")}`
    }
    case "hyper": {
      const parts = record.parts.map(({ cos, norm, via }) => `${via.join("→")} ${number(norm)} (cosine ${number(cos)})`)
      const solves = record.solves.map(
        ({ curvature, level, residual, solver }) =>
          `${level} ${solver} residual ${residual === null ? "not measured" : number(residual)}${indefinite(curvature)}`
      )
      const whole = `${record.k}  ${record.level}  hypergradient ${number(record.norm)}, direct ${number(record.direct)}`
      return [whole, ...parts, ...solves].join("  ")
    }
    case "eval":
      return `${record.k}  ${record.level}  ${record.split} (${record.n} rows)  ${pairs(record.metrics)}`
    case "ckpt":
      return `${record.k}  saved ${record.path}`
    case "end":
      return `ended: ${record.state}`
  }
}
