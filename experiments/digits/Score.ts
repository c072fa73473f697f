import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Engine, Metrics, type Mlp, type NdArray, Objective, Run, type Tree } from "tapweight"
import * as Levels from "./Levels.ts"
import * as Net from "./Net.ts"
import type { Settings } from "./Settings.ts"

type Encoder = { readonly encoder: Net.Encoder }
/** An encoder's values, on the host. */
export type HostEncoder = Tree.Host<Net.Encoder>

/** Functions of finished encoders, each compiled once. */
export const make = Effect.fnUntraced(function* (settings: Settings) {
  const engine = yield* Engine
  const asked = <B extends Tree.Tree, M extends Tree.Tree>(f: (vars: Encoder, batch: B) => M) =>
    Effect.map(
      engine.observe(f),
      (observe) => (encoder: HostEncoder, batch: Parameters<typeof observe>[1]) =>
        Effect.acquireUseRelease(
          engine.upload<Encoder>({ encoder }),
          (state) => Effect.mapError(observe(state, batch), Run.failedAt(0)),
          engine.release
        )
    )
  const features = yield* asked(({ encoder }, { pictures }: { readonly pictures: tf.Tensor2D }) => ({
    features: Net.features(encoder, pictures)
  }))
  const held = yield* asked(({ encoder }, batch: Levels.Labelled) => {
    const logits = Levels.logits(settings, encoder, batch)
    return { classes: tf.argMax(logits, 1), loss: Objective.crossEntropy(logits, batch.answers) }
  })
  return {
    /** Features [n, d] of pictures [n, 196]. */
    features: (encoder: HostEncoder, pictures: NdArray.NdArray<tf.Tensor2D>) =>
      Effect.map(features(encoder, { pictures }), (found) => found.features),
    /** How well the head that is solved on what is seen does on what is held: accuracy, and loss in nats. */
    held: (encoder: HostEncoder, batch: ReturnType<typeof Levels.labelled>) =>
      Effect.map(held(encoder, batch), ({ classes, loss }) => ({
        accuracy: Metrics.accuracy(batch.answers.data, classes.data),
        loss: loss.data[0]!
      }))
  }
})

/** What finished encoders are asked. */
export type Score = Effect.Success<ReturnType<typeof make>>

/** The classes that a head sees in features. */
export const classesOf = (head: Tree.Host<Mlp.Dense>, features: NdArray.NdArray<tf.Tensor2D>): Int32Array => {
  const [rows, inputs] = features.shape as [number, number]
  const outputs = head.b.data.length
  return Int32Array.from({ length: rows }, (_, row) => {
    const logits = Array.from(head.b.data, (bias, k) => {
      let sum = bias
      for (let i = 0; i < inputs; i++) sum += features.data[row * inputs + i]! * head.w.data[i * outputs + k]!
      return sum
    })
    return logits.indexOf(Math.max(...logits))
  })
}
