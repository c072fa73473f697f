/** Where a level's direction can be estimated with less variance. */
import type { Definition } from "../../dsl/Level.ts"
import * as Variance from "../../dsl/Variance.ts"
import { defect } from "./Defects.ts"
import type { Sweep } from "./Sweep.ts"
import type { LevelWiring, WiringError } from "./Wiring.ts"

const ofLevel = (
  level: Definition,
  variance: Variance.Variance,
  { hops }: Sweep,
  levels: ReadonlyMap<string, Definition>
): WiringError | undefined => {
  const { name, schedule } = level
  const what = `its direction is estimated by '${Variance.describe(variance)}'`
  const refuse = (at: string, found: string, remedy: string) => defect("Variance", at, found, remedy)
  if ((schedule.accumulate ?? 1) > 1)
    return refuse(name, `${what}, but an update takes several micro-batches`, "drop Level.accumulate or Level.variance")
  if (level.precision?._tag === "float16")
    return refuse(name, `${what}, but in float16 some updates are skipped`, "use Precision.bfloat16")
  if (variance._tag === "Sarah" && schedule.repeat > 1) {
    const found = `${what}, but it makes ${schedule.repeat} updates a turn`
    return refuse(name, found, "use Level.unroll in place of Level.repeat")
  }
  const below = hops.map((hop) => levels.get(hop.level)!)
  for (const { hypergradient: estimator, name: lower, schedule: theirs, variance: other } of below) {
    if (variance._tag === "Sarah" && other?._tag === "Saga") {
      const found = `'${name}' takes all its batches at once at times, but it keeps what each said`
      return refuse(lower, found, "give both the same Level.variance")
    }
    if (estimator?._tag !== "Implicit" || estimator.at === "update" || estimator.solver.preconditioned) {
      const found = `'${name}' estimates its direction by '${Variance.describe(variance)}' at values of before, but it is differentiated by its last updates`
      return refuse(
        lower,
        found,
        "use Hypergradient.implicit at the present value, with a solver without preconditioner"
      )
    }
    if ((theirs.accumulate ?? 1) > 1)
      return refuse(
        lower,
        `'${name}' estimates its direction by '${Variance.describe(variance)}' from one batch of it, but it takes several`,
        "drop Level.accumulate"
      )
  }
  if (variance._tag === "Storm") return undefined
  const moving = hops.find((hop) => hop.moving !== undefined)
  if (moving !== undefined)
    return refuse(
      moving.level,
      `'${name}' needs the response of a response, whose terms are of several batches`,
      "use Variance.storm"
    )
  const endless = [level, ...below].find(({ data }) => data.terms === undefined)
  if (endless !== undefined) {
    const found = `'${name}' is estimated by '${Variance.describe(variance)}' from all batches of its data, but '${endless.data.name}' is no finite sum`
    return refuse(endless.name, found, "use Dataset.finite(data, { batches }), or Variance.storm")
  }
  if (variance._tag === "Sarah") return undefined
  const solving = below.find(
    ({ hypergradient }) => hypergradient?._tag === "Implicit" && hypergradient.solver.kept?.move === undefined
  )
  if (solving === undefined) return undefined
  return refuse(
    solving.name,
    `'${name}' keeps what each batch said, but its solve takes several products or hands on what they leave, so that no term is of one batch`,
    'use Solver.descent(optimizer, { hands: "before" }), or Variance.sarah or storm'
  )
}

/** The first level whose direction cannot be estimated as it says. */
export const unestimated = (levels: ReadonlyArray<Definition>, sweeps: Iterable<Sweep>): WiringError | undefined => {
  const byName = new Map(levels.map((level) => [level.name, level]))
  const swept = new Map([...sweeps].map((sweep) => [sweep.level, sweep]))
  for (const level of levels) {
    if (level.variance === undefined) continue
    const found = ofLevel(level, level.variance, swept.get(level.name)!, byName)
    if (found !== undefined) return found
  }
  return undefined
}

/** How often the part of a level's direction that is of another level's batches is evaluated an update, as a mean. */
export const estimating = ({ variance }: LevelWiring, { terms = 1 }: LevelWiring): number => {
  if (variance === undefined) return 1
  const { evaluations, period } = variance
  return period === undefined ? evaluations : (evaluations * (period - 1) + terms) / period
}
