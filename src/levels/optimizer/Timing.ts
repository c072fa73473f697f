import * as tf from "@tensorflow/tfjs-core"
import { whole } from "../../dsl/errors/Numbers.ts"
import { make, type Optimizer } from "../../dsl/Optimizer.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import { named, positive } from "./Named.ts"

const either = <T extends Tree.Tree>(moves: tf.Tensor, after: T, before: T): T =>
  Tree.zipWith(after, before, (a, b) => tf.where(moves, a, b))

/**
 * Moves at the first of every `updates` updates and stands still at the others, its state with it; its clock counts those at which it
 * moves. For a level whose direction is estimated more often than it moves, as VRBO does: its gradient is computed at every update.
 *
 * Throws a `RangeError` unless `updates` is a whole number of at least 1.
 *
 * ```ts
 * const optimizer = Optimizer.sgd(1).pipe(Optimizer.every(2))
 * const params = { w: tf.scalar(1) }
 * optimizer.update(params, {}, params, tf.scalar(0, "int32"))[0] // => { w: 0 }
 * optimizer.update(params, {}, params, tf.scalar(1, "int32"))[0] // => { w: 1 }
 * ```
 */
export const every = (updates: number): ((self: Optimizer) => Optimizer) => {
  whole("Optimizer.every: updates", updates, 1)
  return (self) => {
    // Half an update more changes no floor of whole numbers, and keeps one just reached when a backend's division rounds down.
    const turn = (clock: tf.Scalar): tf.Scalar =>
      tf.cast(tf.floor(tf.div(tf.add(tf.cast(clock, "float32"), 0.5), updates)), "int32")
    const { rates } = self
    return make({
      ...self,
      name: named("every", {}, `${updates}`, self.name),
      ...(rates === undefined ? {} : { rates: (clock) => rates(turn(clock)) }),
      update: (gradients, state, params, clock) => {
        const moves = tf.equal(tf.mul(turn(clock), tf.scalar(updates, "int32")), clock)
        const [next, nextState] = self.update(gradients, state, params, turn(clock))
        return [either(moves, next, params), either(moves, nextState, state)]
      }
    })
  }
}

/**
 * Rests, its state with it, at updates whose gradient's norm over all leaves is at most `gradientNorm`: with `Level.repeat(n)` a level stops
 * within a turn where it is solved well enough, after n updates at most. The updates are computed all the same, as a step has a fixed form;
 * on batches of its own each update is judged by the gradient of its batch. Throws a `RangeError` unless the norm is finite and positive.
 *
 * ```ts
 * const optimizer = Optimizer.sgd(1).pipe(Optimizer.until({ gradientNorm: 0.5 }))
 * const at = (slope: number) =>
 *   optimizer.update({ w: tf.scalar(slope) }, {}, { w: tf.scalar(1) }, tf.scalar(0, "int32"))[0]
 * at(0.6) // => { w: 0.4 }
 * at(0.5) // => { w: 1 }
 * ```
 */
export const until = (options: { readonly gradientNorm: number }): ((self: Optimizer) => Optimizer) => {
  const { gradientNorm } = options
  positive("until: gradientNorm", gradientNorm)
  return (self) =>
    make({
      ...self,
      name: named("until", {}, `${gradientNorm}`, self.name),
      update: (gradients, state, params, clock) => {
        const moves = tf.greater(Vector.norm(gradients), gradientNorm)
        const [next, nextState] = self.update(gradients, state, params, clock)
        return [either(moves, next, params), either(moves, nextState, state)]
      }
    })
}
