import * as tf from "@tensorflow/tfjs-core"
import { Gradient, Tree } from "tapweight"

/**
 * A loss whose gradient is a constant: its own, taken once. What a level of weighted losses owes to their weights is then known without
 * another pass back; curvature, which it has not, is refused.
 */
const atFirstOrder = <T extends Tree.Tree>(loss: (at: T) => tf.Scalar, at: T): tf.Scalar => {
  const { gradient, loss: value } = Gradient.valueAndGradient((x: T) => [loss(x), {}] as const, at)
  const slopes = Tree.leaves(gradient)
  const constant = tf.customGrad((...parts) => {
    const save = parts.at(-1) as unknown as tf.GradSaveFunc
    save(slopes as Array<tf.Tensor>)
    return {
      value: tf.clone(value),
      gradFunc: (dy: tf.Tensor, saved: Array<tf.Tensor>) => saved.map((slope) => tf.mul(dy, slope)) as never
    }
  })
  return constant(...(Tree.leaves(at) as Array<tf.Tensor>)) as tf.Scalar
}

/** Objectives of which each has a gradient that is a constant. */
export const objectives = <T extends Tree.Tree, B>(all: {
  readonly [name: string]: (theta: T, batch: B) => tf.Scalar
}): typeof all =>
  Object.fromEntries(
    Object.entries(all).map(([name, loss]) => [
      name,
      (theta: T, batch: B) => atFirstOrder((at: T) => loss(at, batch), theta)
    ])
  )
