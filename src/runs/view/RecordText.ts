/** One record in one line, for people who follow a run. */
import { five as number } from "./Numbers.ts"
import type { Record } from "../folder/Records.ts"

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
      const taken = record.taken === undefined ? "" : ` taken as ${number(record.taken)}`
      const moved = record.moved === undefined ? "" : `  |change| ${number(record.moved)}`
      const rates = Object.entries(record.rates ?? {}).map(
        ([group, rate]) => `  rate${group === "" ? "" : ` of ${group}`} ${number(rate)}`
      )
      const first = `${record.k}  ${record.level}  update ${record.tick}  loss ${number(record.loss)}`
      return [first, norm, taken, moved, ...rates, parts].join("")
    }
    case "lambda": {
      const weights = record.lambda.map((weight, i) => `${record.names[i] ?? i} ${weight.toFixed(3)}`)
      return `${record.k}  ${record.level}  λ ${weights.join("  ")}`
    }
    case "hyper": {
      const parts = record.parts.map(({ cos, norm, share, via }) => {
        const along = share === undefined ? "" : `, share ${number(share)}`
        return `${via.join("→")} ${number(norm)} (cosine ${number(cos)}${along})`
      })
      const solves = record.solves.map(({ curvature, level, ok, residual, solver }) => {
        const measured = residual === null ? "not measured" : number(residual)
        return `${level} ${solver} residual ${measured}${ok === false ? ", not sound" : ""}${indefinite(curvature)}`
      })
      const whole = `${record.k}  ${record.level}  hypergradient ${number(record.norm)}, direct ${number(record.direct)}`
      return [whole, ...parts, ...solves].join("  ")
    }
    case "cost": {
      const each = record.ms === null ? "" : `, ${number(record.ms)} ms each`
      const state = record.bytes === null ? "" : `, ${number(record.bytes)} bytes of state`
      return `${record.k}  ${record.level}  ${record.turns} turns of ${number(record.evaluations)} gradients${each}${state}`
    }
    case "memory": {
      const [resident, peak, heap] = [record.resident, record.peak, record.heap].map((n) => (n / 2 ** 20).toFixed(0))
      return `${record.k}  memory ${resident} MiB (at most ${peak}), heap ${heap} MiB, ${record.arrays} arrays`
    }
    case "eval":
      return `${record.k}  ${record.level}  ${record.split} (${record.n} rows)  ${pairs(record.metrics)}`
    case "ckpt":
      return `${record.k}  saved ${record.path}`
    case "end":
      return `ended: ${record.state}`
  }
}
