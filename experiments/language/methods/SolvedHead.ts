/** What an encoder is worth to a task: the loss on validation rows of a head that is solved on training rows. */
import * as tf from "@tensorflow/tfjs-core"
import { type Encoder, Mlp, Solved } from "tapweight"
import type { Setting } from "../objectives/Objective.ts"
import * as Pooling from "../objectives/Pooling.ts"
import * as Supervised from "../objectives/Supervised.ts"
import type { Settings } from "../Settings.ts"
import type { Kind } from "../tasks/Task.ts"

/**
 * The loss on `asked` rows of the ridge regression on `known` ones, of features that are standardised by the latter; the head's response to the
 * encoder is part of the gradient. Answers to classes are logits after `sharpness`; squared errors of scores are in units of their variance, so
 * that either loss is of the order of one.
 */
export const loss = (
  setting: Setting,
  kind: Kind,
  { penalty, sharpness }: Settings["ridge"],
  encoder: Encoder.Params,
  known: Supervised.Batch,
  asked: Supervised.Batch
): tf.Scalar => {
  const features = ({ ids, types }: Supervised.Batch) => Pooling.states(setting, encoder, { ids, types })
  const raw = features(known)
  const mean = tf.mean(raw, 0, true)
  const deviation = tf.sqrt(tf.add(tf.mean(tf.square(tf.sub(raw, mean)), 0, true), 1e-6))
  const standardised = (x: tf.Tensor2D) => tf.div(tf.sub(x, mean), deviation) as tf.Tensor2D
  const targets =
    kind.type === "classes"
      ? tf.cast(tf.oneHot(known.labels, kind.names.length), "float32")
      : tf.reshape(known.labels, [-1, 1])
  const head = Solved.ridge({ features: standardised(raw), targets: targets as tf.Tensor2D, penalty })
  const answers = Mlp.affine(head, standardised(features(asked)))
  if (kind.type === "classes") return Supervised.lossOf(kind, tf.mul(answers, sharpness), asked.labels)
  const variance = tf.mean(tf.square(tf.sub(asked.labels, tf.mean(asked.labels))))
  return tf.div(Supervised.lossOf(kind, answers, asked.labels), tf.add(variance, 1e-6))
}
