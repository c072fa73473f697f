import { createHash } from "node:crypto"
import type { Problem } from "../../dsl/Problem.ts"
import * as Seed from "../../dsl/Seed.ts"
import * as Tree from "../../dsl/Tree.ts"
import type { Plan } from "../plan/Plan.ts"
import { initialVars } from "../step/State.ts"
import * as Wiring from "../plan/Wiring.ts"

/**
 * Identifies a program, so that a checkpoint is never continued by another one: a hash of its plan, the text of its
 * objectives, its constants, the fields of its data and the shapes of its variables. What an objective closes over is not seen.
 */
export const fingerprint = (problem: Problem.Any, plan: Plan): string => {
  const levels = Wiring.definitions(problem)
  const parts = {
    plan,
    objectives: levels.map((level) => level.objective.toString()),
    fields: levels.map((level) => level.data.fields),
    fixed: Wiring.fixed(problem).map(({ value, variable }) => [
      variable.name,
      value === undefined ? null : Tree.hostEntries(value).map(([path, { data }]) => [path, Array.from(data)])
    ]),
    variables: Tree.hostEntries(initialVars(problem, Seed.make(0))).map(([path, { dtype, shape }]) => [
      path,
      dtype,
      shape
    ])
  }
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex")
}
