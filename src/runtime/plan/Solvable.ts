/** Whether the levels that a sweep solves have a solution that responds: what their optimizers say of where they stand still. */
import type { Definition } from "../../dsl/Level.ts"
import { defect } from "./Defects.ts"
import type { Sweep } from "./Sweep.ts"
import type { WiringError } from "./Wiring.ts"

const ofHop = (reader: string, { hypergradient, name, optimizer }: Definition): WiringError | undefined => {
  const { still, unsolvable } = optimizer.stationarity ?? {}
  if (still === true) {
    const found = `'${reader}' differentiates its solution, but its optimizer ${optimizer.name} never moves it`
    return defect("Optimizer", name, found, "give it a rate above zero, or hold its variable constant with Level.fix")
  }
  if (unsolvable === undefined || hypergradient?._tag !== "Implicit") return undefined
  const { cost, name: solver } = hypergradient.solver
  // Without a product of the curvature nothing is solved: the identity and SAMA stand for a solve, whatever the optimum is.
  if (cost.products === 0 && cost.productsPerElement === 0) return undefined
  const found = `'${solver}' cannot solve for where ${optimizer.name} stands still: ${unsolvable}`
  return defect(
    "Optimizer",
    name,
    found,
    "change its optimizer, or use Hypergradient.unrolled or a solver without products"
  )
}

/** The first level that a sweep passes through although its optimizer leaves nothing to be solved. */
export const unsolvable = (levels: ReadonlyArray<Definition>, sweeps: Iterable<Sweep>): WiringError | undefined => {
  const byName = new Map(levels.map((level) => [level.name, level]))
  for (const { hops, level } of sweeps) {
    for (const hop of hops) {
      const found = ofHop(level, byName.get(hop.level)!)
      if (found !== undefined) return found
    }
  }
  return undefined
}
