/** A head on a frozen encoder's features. */
import * as tf from "@tensorflow/tfjs-core"
import { Dataset, Init, Level, Mlp, type NdArray, Optimizer, Problem, Rate, Var } from "tapweight"
import * as Supervised from "../objectives/Supervised.ts"
import type { Settings } from "../Settings.ts"
import { type Kind, outputs } from "../tasks/Task.ts"

/** The features of labelled rows: what a head is trained on. */
export interface Features {
  readonly x: NdArray.NdArray<tf.Tensor2D>
  readonly labels: NdArray.NdArray<tf.Tensor1D>
}

/** The head at the minimum of a regression with a penalty. */
export const problem = ({ penalty, rate, ticks }: Settings["frozen"], kind: Kind, { labels, x }: Features) => {
  const zero = Var.make("head", (seed) => ({
    w: Init.zeros([x.shape[1]!, outputs(kind)])(seed),
    b: Init.zeros([outputs(kind)])(seed)
  }))
  return Problem.close(
    Level.minimize(zero, {
      name: "head",
      data: Dataset.constant("features", { x, labels }),
      optimizer: Optimizer.adam(Rate.linear({ peak: rate, warmup: 0, total: ticks })),
      objective: ({ head }, { labels, x }) =>
        tf.add(Supervised.lossOf(kind, Mlp.affine(head, x), labels), tf.mul(penalty / 2, tf.sum(tf.square(head.w))))
    })
  )
}
