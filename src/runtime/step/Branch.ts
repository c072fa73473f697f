/** Runs beside a level's own in which one element of a variable above is moved, and what the level above loses at each. */
import * as tf from "@tensorflow/tfjs-core"
import type { Hypergradient } from "../../dsl/Hypergradient.ts"
import type { Definition } from "../../dsl/Level.ts"
import * as Trees from "../../dsl/values/Tree.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import type { Phase } from "../plan/Window.ts"
import type { Handed } from "./Adjoint.ts"
import * as Objective from "./Evaluation.ts"
import { units } from "./Forward.ts"
import type { State, Tangent, Vars } from "./State.ts"

/** The branches after an update, each made as the level's own on its batches and at its clock, with one element of x moved. */
export const grown = (
  level: Definition,
  { radius }: Extract<Hypergradient, { readonly _tag: "Branches" }>,
  by: string,
  state: State,
  whole: Objective.UpdateBatch,
  phase: Exclude<Phase, "idle">
): ReadonlyArray<Tangent> => {
  const own = level.own.name
  const clock = state.clock[level.name]!
  const trunk: Tangent = { own: state.vars[own]!, optimizer: state.optimizer[level.name]! }
  const before = state.tangents[level.name]!
  return units(state.vars[by]!).map((unit, i) => {
    const from = phase === "begin" ? trunk : before[i]!
    const moved = Vector.add(state.vars[by]!, Vector.scale(radius, unit))
    const vars = { ...state.vars, [own]: from.own, [by]: moved }
    const { gradient, touched } = Objective.accumulated(level, vars, Objective.microBatches(whole), [own, by])
    if (!touched.includes(by)) {
      const reason = `its loss does not depend on '${by}', so that its branches are all one: use it in the objective`
      throw new Objective.StepFailure(level.name, reason)
    }
    const [params, optimizer] = level.optimizer.update(gradient[own]!, from.optimizer, from.own, clock)
    return { own: params, optimizer }
  })
}

/** Of each element of the variable above, how much more the reader loses at that element's branch than where it is, over the radius. */
export const handed = (
  reader: Definition,
  lower: Definition,
  { radius }: Extract<Hypergradient, { readonly _tag: "Branches" }>,
  by: string,
  vars: Vars,
  batches: ReadonlyArray<Objective.Batch>,
  branches: ReadonlyArray<Tangent>
): Handed => {
  const lossAt = (own: Tree): tf.Tensor =>
    tf.addN(batches.map((batch) => Objective.evaluate(reader, { ...vars, [lower.own.name]: own }, batch).loss))
  const here = lossAt(vars[lower.own.name]!)
  const slopes = branches.map(({ own }) => tf.div(tf.sub(lossAt(own), here), radius * batches.length))
  let from = 0
  const parts = Trees.leaves(vars[by]!).map(({ shape, size }) =>
    tf.reshape(tf.stack(slopes.slice(from, (from += size))), shape)
  )
  return {
    cotangents: { [by]: Trees.unflatten(vars[by]!, parts) },
    touched: [by],
    state: {},
    residual: undefined,
    soundness: undefined
  }
}
