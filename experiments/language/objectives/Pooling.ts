/** States that stand for rows, and heads on them. */
import type * as tf from "@tensorflow/tfjs-core"
import { Classifier, Encoder, Init, Mlp, type Seed, Transformer, type Tree } from "tapweight"
import type { Setting } from "./Objective.ts"

type Read = { readonly ids: tf.Tensor2D; readonly types: tf.Tensor2D; readonly key?: tf.Tensor1D }
type Model = Pick<Setting, "config" | "pooling">

/** Hidden states of rows, [b, t, d]; with dropout where the batch has a noise key. */
export const hidden = (
  { config }: Pick<Model, "config">,
  encoder: Encoder.Params,
  { ids, key, types }: Read
): tf.Tensor3D => Encoder.encode(config, encoder, { ids, types }, key === undefined ? undefined : { key })

/** One state for each row, [b, d]. */
export const pooled = ({ config, pooling }: Model, states: tf.Tensor3D, ids: tf.Tensor2D): tf.Tensor2D =>
  pooling === "first" ? Transformer.first(states) : Encoder.average(states, Encoder.maskOf(config, { ids }))

/** One state for each row, [b, d]: {@link hidden} and {@link pooled}. */
export const states = (model: Model, encoder: Encoder.Params, rows: Read): tf.Tensor2D =>
  pooled(model, hidden(model, encoder, rows), rows.ids)

/** A head on pooled rows, on the host: the family's own on the first token's state, or a dense layer on the mean. */
export type HostHead = Classifier.HostParams | { readonly out: Mlp.HostDense }
/** A head on pooled rows. */
export type Head = Classifier.Params | { readonly out: Mlp.Dense }

/**
 * A new head with so many outputs. What it answers starts from zero: random outputs of all features would shake the encoder before the head
 * has learned anything.
 */
export const head =
  ({ config, pooling }: Model, outputs: number) =>
  (seed: Seed.Seed): HostHead => {
    const out: Mlp.HostDense = { w: Init.zeros([config.width, outputs])(seed), b: Init.zeros([outputs])(seed) }
    return pooling === "first" ? { ...Classifier.init(config, outputs)(seed), out } : { out }
  }

/** Outputs of a head: rows → [b, outputs]. */
export const answers = (model: Model, encoder: Encoder.Params, head: Tree.Live<HostHead>, rows: Read): tf.Tensor2D => {
  const states = hidden(model, encoder, rows)
  const noise = rows.key === undefined ? undefined : { key: rows.key }
  return "dense" in head
    ? Classifier.apply(model.config, head, states, noise)
    : Mlp.affine(head.out, pooled(model, states, rows.ids))
}
