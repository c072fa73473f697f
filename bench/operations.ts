/** What a tick costs by its graph alone: the same on every machine, however busy. */
import * as Result from "effect/Result"
import type { Problem } from "../src/dsl/Problem.ts"
import * as Seed from "../src/dsl/values/Seed.ts"
import { type Node, reachable, sizeOf } from "../src/compiler/graph/Graph.ts"
import { trace } from "../src/compiler/trace/Trace.ts"
import * as Moment from "../src/runtime/plan/Moment.ts"
import * as Plan from "../src/runtime/plan/Plan.ts"
import { initial, initialVars, levelsOf } from "../src/runtime/step/State.ts"
import * as Step from "../src/runtime/step/Step.ts"

const operations = (node: Node): number =>
  node.op === "matmul" ? 2 * sizeOf(node) * node.inputs[0]!.shape.at(node.attrs["ta"] === true ? -2 : -1)! : 0

/** Operations of the matrix products of a problem's first tick, one batch a level; nothing where it has convolutions. */
export const ofProducts = (problem: Problem<any>): number | undefined => {
  const plan = Result.getOrThrow(Plan.make(problem))
  const state = trace(initial(problem, plan) as never, ["vars"], [initialVars(problem, Seed.make(0))]).structure
  const batches = Object.fromEntries([...levelsOf(problem)].map(([name, { data }]) => [name, [{ ...data.fields }]]))
  const step = Step.make(problem, plan, Moment.at(plan, 1))
  const nodes = reachable(trace(step as never, ["state", "batch"], [state, batches]).results)
  return nodes.some(({ op }) => op.startsWith("conv"))
    ? undefined
    : nodes.reduce((sum, node) => sum + operations(node), 0)
}
