import * as tf from "@tensorflow/tfjs-core"
import { whole } from "../../dsl/errors/Numbers.ts"
import { make, type Optimizer } from "../../dsl/Optimizer.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import { named } from "./Named.ts"

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
    const turn = (clock: tf.Scalar): tf.Scalar => tf.floorDiv(clock, tf.scalar(updates, "int32")) as tf.Scalar
    const { rates } = self
    return make({
      ...self,
      name: named("every", {}, `${updates}`, self.name),
      ...(rates === undefined ? {} : { rates: (clock) => rates(turn(clock)) }),
      update: (gradients, state, params, clock) => {
        const moves = tf.equal(tf.mul(turn(clock), tf.scalar(updates, "int32")), clock)
        const [next, nextState] = self.update(gradients, state, params, turn(clock))
        const either = <T extends Tree.Tree>(after: T, before: T): T =>
          Tree.zipWith(after, before, (a, b) => tf.where(moves, a, b))
        return [either(next, params), either(nextState, state)]
      }
    })
  }
}
