/**
 * Heads for sentences and for pairs of them, as each family has it: a dense layer on the first token's state, and classes. A pair
 * is one row of two segments; what it is asked about (order, entailment) is a matter of its labels.
 */
import type * as tf from "@tensorflow/tfjs-core"
import type * as Result from "effect/Result"
import type * as NdArray from "../../dsl/values/NdArray.ts"
import type * as Seed from "../../dsl/values/Seed.ts"
import type { Live } from "../../dsl/values/Tree.ts"
import * as Noise from "../../tensor/Noise.ts"
import { affine } from "../Mlp.ts"
import { type StateDictError } from "../StateDictError.ts"
import { first } from "../Transformer.ts"
import { activated } from "./Activation.ts"
import type { Dropout } from "./Encoder.ts"
import type { EncoderConfig } from "./EncoderConfig.ts"
import * as Places from "./Places.ts"
import * as StateDict from "./StateDict.ts"

/** BERT's dense layer belongs to the encoder, the others' stand beside it. */
const denseName = ({ family }: EncoderConfig, prefix: string): string =>
  family === "bert" ? `${prefix}pooler.dense` : family === "roberta" ? "classifier.dense" : "pooler.dense"
const outName = ({ family }: EncoderConfig): string => (family === "roberta" ? "classifier.out_proj" : "classifier")

const layout = (config: EncoderConfig, labels: number, prefix: string) => ({
  dense: Places.dense(denseName(config, prefix), config.width, config.width, config.deviation),
  out: Places.dense(outName(config), config.width, labels, config.deviation)
})

/** A head on the host. */
export type HostParams = Places.Filled<ReturnType<typeof layout>>
/** A head: `dense` [d, d] and `out` [d, labels]. */
export type Params = Live<HostParams>

/** A new head for so many labels: weights normal, biases 0. */
export const init = (config: EncoderConfig, labels: number): ((seed: Seed.Seed) => HostParams) => {
  if (!Number.isInteger(labels) || labels < 1) {
    throw new RangeError(`Classifier.init: ${labels} labels; give a whole number from 1 (1 is a regression)`)
  }
  return Places.init(layout(config, labels, StateDict.prefixOf(config)))
}

// Salts of the encoder's own noise count from 0.
const salts = { before: 2 ** 31, between: 2 ** 31 + 1 }

/** Logits of rows: hidden states [b, t, d] → [b, labels]. Dropout stands where the family has it, with the configuration's rates. */
export const apply = (
  config: EncoderConfig,
  params: Params,
  hidden: tf.Tensor3D,
  noise?: Pick<Dropout, "key">
): tf.Tensor2D => {
  const { dropout, pooling } = config
  const drop = (x: tf.Tensor2D, rate: number, salt: number): tf.Tensor2D =>
    noise === undefined || rate === 0 ? x : Noise.dropout(x, noise.key, rate, salt)
  const pooled = activated(pooling, affine(params.dense, drop(first(hidden), dropout.pooler, salts.before)))
  return affine(params.out, drop(pooled, dropout.classifier, salts.between))
}

/**
 * The head of a state dict, with as many labels as the configuration names. Fails with a `StateDictError` where there is none:
 * {@link init} makes a new one for those who want that.
 */
export const decode = (config: EncoderConfig, dict: StateDict.StateDict): Result.Result<HostParams, StateDictError> => {
  const remedy =
    "it has no classifier as this family has it, for as many labels as config.json names; give a checkpoint of sequence " +
    "classification, or ask for a new head by name (Classifier.init), which is random at first"
  return StateDict.checked(Places.read(layout(config, config.labels.length, dict.prefix), dict.tensors, ""), [], remedy)
}

/** BERT's pooler, which classifiers start from: the `dense` of a head. Fails with a `StateDictError` where there is none. */
export const pooler = (
  config: EncoderConfig,
  dict: StateDict.StateDict
): Result.Result<HostParams["dense"], StateDictError> => {
  const { deviation, width } = config
  const place = Places.dense(denseName(config, dict.prefix), width, width, deviation)
  return StateDict.checked(
    Places.read(place, dict.tensors, ""),
    [],
    "it has no pooler; ask for a new head by name (Classifier.init)"
  )
}

/** A head under the names of the hub. */
export const named = (
  config: EncoderConfig,
  params: HostParams
): ReadonlyArray<readonly [name: string, array: NdArray.NdArray]> =>
  Places.write(layout(config, params.out.b.shape[0]!, StateDict.prefixOf(config)), params, "")

/** BERT's pooler under the names of the hub. */
export const namedPooler = (
  config: EncoderConfig,
  dense: HostParams["dense"]
): ReadonlyArray<readonly [name: string, array: NdArray.NdArray]> => {
  const { deviation, width } = config
  return Places.write(Places.dense(denseName(config, StateDict.prefixOf(config)), width, width, deviation), dense, "")
}
