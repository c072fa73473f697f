/** Runs beside a level's own in which a variable above is moved, by an element or along a direction, and what the level above makes of each. */
import * as tf from "@tensorflow/tfjs-core"
import type { Hypergradient } from "../../dsl/Hypergradient.ts"
import type { Definition } from "../../dsl/Level.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import * as Trees from "../../dsl/values/Tree.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Noise from "../../tensor/Noise.ts"
import * as Vector from "../../tensor/Vector.ts"
import type { Phase } from "../plan/Window.ts"
import type { Handed } from "./Adjoint.ts"
import * as Objective from "./Evaluation.ts"
import { units } from "./Forward.ts"
import type { State, Tangent, Vars } from "./State.ts"

type Branches = Extract<Hypergradient, { readonly _tag: "Branches" }>

/** Standard normal numbers in the structure of `like`, which a key says: two uniform ones make each (Box and Muller 1958). */
const normal = (like: Tree, key: tf.Tensor1D, salt: number): Tree =>
  Trees.unflatten(
    like,
    Trees.leaves(like).map(({ shape }, i) => {
      const [u, v] = [2 * i, 2 * i + 1].map((k) => Noise.uniform(key, shape, 2 * Trees.leaves(like).length * salt + k))
      return tf.mul(tf.sqrt(tf.mul(-2, tf.log(tf.sub(1, u!)))), tf.cos(tf.mul(2 * Math.PI, v!)))
    })
  )

/** The tree of `like` with these numbers, leaf after leaf. */
const listed = (like: Tree, numbers: ReadonlyArray<number>, level: string): Tree => {
  const size = Vector.size(like)
  if (numbers.length !== size) {
    const reason = `a direction of its branches has ${numbers.length} numbers, and the variable above ${size}: give as many`
    throw new Objective.StepFailure(level, reason)
  }
  let from = 0
  return Trees.unflatten(
    like,
    Trees.leaves(like).map(({ shape, size }) => tf.tensor(numbers.slice(from, (from += size)), shape))
  )
}

/** Directions of branches: drawn where a look-back begins, for the reader's `turn`, and then those that were. */
const directions = (
  level: Definition,
  { directions: asked }: Branches,
  like: Tree,
  branches: ReadonlyArray<Tangent>,
  turn: tf.Scalar | undefined
): ReadonlyArray<Tree> => {
  if (asked === undefined) return units(like)
  if (!("draws" in asked)) return asked.map((numbers) => listed(like, numbers, level.name))
  if (turn === undefined) return branches.map(({ along }) => along!)
  const word = Seed.fold(Seed.make(asked.seed ?? 0), "branches").key[0]! | 0
  const key = tf.stack([turn, tf.scalar(word, "int32")]) as tf.Tensor1D
  const drawn = Array.from({ length: asked.draws }, (_, i) => normal(like, key, i))
  return asked.antithetic === true ? [...drawn, ...drawn.map((each) => Vector.scale(-1, each))] : drawn
}

/** The branches after an update, each made as the level's own on its batches and at its clock, with x moved along its direction. */
export const grown = (
  level: Definition,
  estimator: Branches,
  by: string,
  state: State,
  whole: Objective.UpdateBatch,
  phase: Exclude<Phase, "idle">,
  turn: tf.Scalar
): ReadonlyArray<Tangent> => {
  const own = level.own.name
  const clock = state.clock[level.name]!
  const trunk: Tangent = { own: state.vars[own]!, optimizer: state.optimizer[level.name]! }
  const before = state.tangents[level.name]!
  const along = directions(level, estimator, state.vars[by]!, before, phase === "begin" ? turn : undefined)
  return along.map((direction, i) => {
    const from = phase === "begin" ? trunk : before[i]!
    const moved = Vector.add(state.vars[by]!, Vector.scale(estimator.radius, direction))
    const vars = { ...state.vars, [own]: from.own, [by]: moved }
    const { gradient, touched } = Objective.accumulated(level, vars, Objective.microBatches(whole), [own, by])
    if (!touched.includes(by)) {
      const reason = `its loss does not depend on '${by}', so that its branches are all one: use it in the objective`
      throw new Objective.StepFailure(level.name, reason)
    }
    const [params, optimizer] = level.optimizer.update(gradient[own]!, from.optimizer, from.own, clock)
    return { own: params, optimizer, ...(before[i]!.along === undefined ? {} : { along: direction }) }
  })
}

/**
 * What is handed to the variable above. Of each direction the difference at its branch, over the radius: how much more the reader loses there,
 * or by how much the level's variable differs, times `v`. Along elements these are the elements; else the mean of difference times direction.
 */
export const handed = (
  reader: Definition,
  lower: Definition,
  estimator: Branches,
  by: string,
  vars: Vars,
  batches: ReadonlyArray<Objective.Batch>,
  branches: ReadonlyArray<Tangent>,
  v: Tree
): Handed => {
  const { difference, radius } = estimator
  const own = vars[lower.own.name]!
  const like = vars[by]!
  const slopes = (): ReadonlyArray<tf.Tensor> => {
    if (difference === "response")
      return branches.map((branch) => tf.div(Vector.dot(Vector.subtract(branch.own, own), v), radius))
    const lossAt = (own: Tree): tf.Tensor =>
      tf.addN(batches.map((batch) => Objective.evaluate(reader, { ...vars, [lower.own.name]: own }, batch).loss))
    const here = lossAt(own)
    return branches.map((branch) => tf.div(tf.sub(lossAt(branch.own), here), radius * batches.length))
  }
  const cotangent = (): Tree => {
    const found = slopes()
    if (estimator.directions === undefined) {
      let from = 0
      return Trees.unflatten(
        like,
        Trees.leaves(like).map(({ shape, size }) => tf.reshape(tf.stack(found.slice(from, (from += size))), shape))
      )
    }
    return directions(lower, estimator, like, branches, undefined)
      .map((direction, i) => Vector.scale(tf.div(found[i]!, found.length) as tf.Scalar, direction))
      .reduce((sum, each) => Vector.add(sum, each))
  }
  return { cotangents: { [by]: cotangent() }, touched: [by], state: {}, residual: undefined, soundness: undefined }
}
