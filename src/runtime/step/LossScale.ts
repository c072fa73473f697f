/** The scale of a loss in float16 as a run's state: how it moves, and updates that are not made. */
import * as tf from "@tensorflow/tfjs-core"
import * as Tree from "../../dsl/values/Tree.ts"
import * as LossScale from "../../dsl/LossScale.ts"

/** A scale, and how many updates in a row were made since it last changed. */
export type Scale = { readonly scale: tf.Scalar; readonly made: tf.Scalar }

/** The scale before the first update. */
export const start = (policy: LossScale.LossScale): Scale => ({
  scale: tf.scalar(LossScale.initial(policy)),
  made: tf.scalar(0, "int32")
})

/** Whether every number of a tree is finite. */
export const finite = (tree: Tree.Tree): tf.Scalar =>
  (Tree.leaves(tree) as ReadonlyArray<tf.Tensor>)
    .filter(({ size }) => size > 0)
    .map((leaf) => tf.all(tf.isFinite(leaf)) as tf.Scalar)
    .reduce((all, each) => tf.logicalAnd(all, each) as tf.Scalar, tf.scalar(true, "bool") as tf.Scalar)

/** `after` where the update is made, else `before`, leaf by leaf. */
export const either = <T extends Tree.Tree>(made: tf.Scalar, after: T, before: T): T =>
  Tree.zipWith(after, before, (a, b) => (a === b ? a : tf.where(made, a, b)))

/** The scale after an update, made or skipped. */
export const moved = (policy: LossScale.LossScale, { made: count, scale }: Scale, made: tf.Scalar): Scale => {
  if (policy._tag === "Constant") return { scale, made: count }
  const { backoff, growth, interval } = policy
  const next = tf.add(count, tf.scalar(1, "int32"))
  const grown = tf.equal(next, tf.scalar(interval, "int32"))
  const up = tf.minimum(tf.mul(scale, growth), LossScale.most)
  const down = tf.maximum(tf.mul(scale, backoff), LossScale.least)
  const zero = tf.scalar(0, "int32")
  return {
    scale: tf.where(made, tf.where(grown, up, scale), down) as tf.Scalar,
    made: tf.where(made, tf.where(grown, zero, next), zero) as tf.Scalar
  }
}
