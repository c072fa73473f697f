/** Derivatives of a level's updates by a variable above of few elements, carried forward beside the variable. */
import * as tf from "@tensorflow/tfjs-core"
import type { Hypergradient } from "../../dsl/Hypergradient.ts"
import type { Definition } from "../../dsl/Level.ts"
import * as Trees from "../../dsl/values/Tree.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import { pushforward } from "../../tensor/Directional.ts"
import * as Vector from "../../tensor/Vector.ts"
import type { Phase } from "../plan/Window.ts"
import { type Handed, seenOf } from "./Adjoint.ts"
import * as Objective from "./Evaluation.ts"
import type { State, Tangent } from "./State.ts"

/** One tree for each element of `like`, which is 1 there and 0 elsewhere. */
export const units = (like: Tree): ReadonlyArray<Tree> => {
  const leaves = Trees.leaves(like)
  const unit = ({ shape, size }: tf.Tensor, at: number) =>
    tf.tensor(
      Float32Array.from({ length: size }, (_, i) => Number(i === at)),
      shape
    )
  return leaves.flatMap((leaf, l) =>
    Array.from({ length: leaf.size }, (_, at) =>
      Trees.unflatten(
        like,
        leaves.map((other, k) => unit(other, k === l ? at : -1))
      )
    )
  )
}

/**
 * The tangents after an update `θ' = update(g(θ, x), state, θ)` that is made from `state` with the gradient it was made with:
 * of each element of x the derivative of g along it, and with curvature along what it has moved θ by, goes through the
 * derivative of the optimizer.
 */
export const carried = (
  level: Definition,
  { curvature, product, rows }: Extract<Hypergradient, { readonly _tag: "Forward" }>,
  by: string,
  state: State,
  made: Tree,
  whole: Objective.UpdateBatch,
  phase: Exclude<Phase, "idle">
): ReadonlyArray<Tangent> => {
  const [own, given] = [state.vars[level.own.name]!, state.vars[by]!]
  const [optimizer, clock] = [state.optimizer[level.name]!, state.clock[level.name]!]
  const batches = Objective.microBatches(whole).map((batch) => seenOf(level, rows, batch))
  const gradientOf = (at: { readonly own: Tree; readonly given: Tree }): Tree => {
    const vars = { ...state.vars, [level.own.name]: at.own, [by]: at.given }
    const { gradient, touched } = Objective.accumulated(level, vars, batches, [level.own.name, by])
    if (touched.includes(by)) return gradient[level.own.name]!
    const reason = `its loss does not depend on '${by}', so that there is no derivative by it to carry: use it in the objective`
    throw new Objective.StepFailure(level.name, reason)
  }
  const bent = (tangent: Tangent, unit: Tree): Tree =>
    curvature
      ? product.derivative(gradientOf, { own, given }, { own: tangent.own, given: unit })
      : product.derivative((at: { readonly given: Tree }) => gradientOf({ own, ...at }), { given }, { given: unit })
  const update = (at: { readonly gradient: Tree } & Tangent): Tangent => {
    const [params, next] = level.optimizer.update(at.gradient, at.optimizer, at.own, clock)
    return { own: params, optimizer: next }
  }
  const before = state.tangents[level.name]!
  return units(given).map((unit, i) => {
    const tangent = phase === "begin" ? Vector.zeros(before[i]!) : before[i]!
    const direction = { gradient: bent(tangent, unit), ...tangent }
    return pushforward(update, { gradient: made, own, optimizer }, direction)
  })
}

/** The cotangent of the variable above: of each of its elements the inner product of `v` with what was carried. */
export const handed = (by: string, like: Tree, tangents: ReadonlyArray<Tangent>, v: Tree): Handed => {
  const leaves = Trees.leaves(like)
  const slopes = tangents.map(({ own }) => Vector.dot(own, v))
  let from = 0
  const parts = leaves.map(({ shape, size }) => tf.reshape(tf.stack(slopes.slice(from, (from += size))), shape))
  return {
    cotangents: { [by]: Trees.unflatten(like, parts) },
    touched: [by],
    state: {},
    residual: undefined,
    soundness: undefined
  }
}
