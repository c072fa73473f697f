/** Heads that say which token was hidden: a dense layer, a normalisation, and a product with the embedding or with a table of their own. */
import * as tf from "@tensorflow/tfjs-core"
import type * as Result from "effect/Result"
import type * as NdArray from "../../dsl/values/NdArray.ts"
import type * as Seed from "../../dsl/values/Seed.ts"
import type { Live } from "../../dsl/values/Tree.ts"
import * as LayerNorm from "../LayerNorm.ts"
import { affine } from "../Mlp.ts"
import { type StateDictError } from "../StateDictError.ts"
import { activated } from "./Activation.ts"
import type { EncoderConfig } from "./EncoderConfig.ts"
import * as Places from "./Places.ts"
import * as StateDict from "./StateDict.ts"

/** The names of a head's parts. */
interface Names {
  readonly dense: string
  readonly norm: string
  readonly bias: string
  readonly decoder: string
}

const bert: Names = {
  dense: "cls.predictions.transform.dense",
  norm: "cls.predictions.transform.LayerNorm",
  bias: "cls.predictions.bias",
  decoder: "cls.predictions.decoder.weight"
}
const roberta: Names = {
  dense: "lm_head.dense",
  norm: "lm_head.layer_norm",
  bias: "lm_head.bias",
  decoder: "lm_head.decoder.weight"
}
/** DeBERTa as Microsoft publishes it; transformers reads it where `legacy` is false. */
const deberta: Names = {
  dense: "lm_predictions.lm_head.dense",
  norm: "lm_predictions.lm_head.LayerNorm",
  bias: "lm_predictions.lm_head.bias",
  decoder: "lm_predictions.lm_head.decoder.weight"
}

const layout = (config: EncoderConfig, names: Names, untied: boolean) => {
  const { deviation, embedding, vocabulary, width } = config
  const decoder: { readonly decoder?: Places.Place<tf.Tensor2D> } = untied
    ? { decoder: Places.table(names.decoder, [vocabulary, embedding], deviation) }
    : {}
  return {
    dense: Places.dense(names.dense, width, embedding, deviation),
    norm: Places.norm(names.norm, embedding),
    bias: Places.vector(names.bias, vocabulary),
    ...decoder
  }
}

/** A head on the host. */
export type HostParams = Places.Filled<ReturnType<typeof layout>>
/** A head: `dense` to the embedding's width e, `norm`, `bias` [v], and where it is not tied `decoder` [v, e]. */
export type Params = Live<HostParams>

const decoderBias = ({ decoder }: Names): string => decoder.replace(/weight$/, "bias")

const usual = ({ family }: EncoderConfig): Names => (family === "roberta" ? roberta : bert)

/** A new head: weights normal, biases 0; tied as the configuration says. What it predicts at first is chance. */
export const init = (config: EncoderConfig): ((seed: Seed.Seed) => HostParams) =>
  Places.init(layout(config, usual(config), !config.tied))

/**
 * Logits of tokens: states [n, d] → [n, v], where `words` is the encoder's `embeddings.words`. Only the states of hidden tokens
 * need be given.
 */
export const apply = (config: EncoderConfig, params: Params, words: tf.Tensor2D, states: tf.Tensor2D): tf.Tensor2D => {
  const activation = config.family === "roberta" ? "gelu" : config.activation
  const inner = LayerNorm.apply(params.norm, activated(activation, affine(params.dense, states)), config.epsilon)
  return tf.add(tf.matMul(inner, params.decoder ?? words, false, true), params.bias)
}

const same = ({ data }: NdArray.NdArray, other: NdArray.NdArray): boolean =>
  data.length === other.data.length && data.every((x, i) => x === other.data[i])

/**
 * The head of a state dict. It is tied to the embedding where the configuration says so, unless the state dict has an output
 * embedding that differs from it, as transformers does. DeBERTa's may be named as Microsoft does (`lm_predictions`), which goes
 * first, or as transformers does (`cls.predictions`).
 *
 * Fails with a `StateDictError` where there is none: {@link init} makes a new one for those who want that.
 */
export const decode = (config: EncoderConfig, dict: StateDict.StateDict): Result.Result<HostParams, StateDictError> => {
  const { tensors } = dict
  const family = config.family === "deberta" || config.family === "deberta-v2"
  const names = family && tensors.has(`${deberta.dense}.weight`) ? deberta : usual(config)
  const words = tensors.get(`${dict.prefix}embeddings.word_embeddings.weight`)
  const own = tensors.get(names.decoder)
  const untied = !config.tied || (own !== undefined && words !== undefined && !same(own, words))
  // A bias is saved under the decoder's name, which is the one that is computed with, under its own, or both.
  const biased = tensors.get(decoderBias(names)) ?? tensors.get(names.bias)
  const all = biased === undefined ? tensors : new Map(tensors).set(names.bias, biased)
  const remedy =
    "it has no head for masked tokens as this family has it; give a checkpoint of masked language modelling, or ask for a new " +
    "head by name (MaskedHead.init), which is random at first"
  return StateDict.checked(Places.read(layout(config, names, untied), all, ""), [], remedy)
}

/**
 * A head under the names of the hub. DeBERTa's that is tied has Microsoft's, and wants `legacy: false` in `config.json`;
 * otherwise transformers would draw another one in silence.
 */
export const named = (
  config: EncoderConfig,
  params: HostParams
): ReadonlyArray<readonly [name: string, array: NdArray.NdArray]> => {
  const untied = params.decoder !== undefined
  const names = isMicrosofts(config, params) ? deberta : usual(config)
  const written = Places.write(layout(config, names, untied), params, "")
  return untied ? [...written, [decoderBias(names), params.bias]] : written
}

/** Whether {@link named} gives a head the names that Microsoft has for it. */
export const isMicrosofts = ({ embedding, family, width }: EncoderConfig, { decoder }: HostParams): boolean =>
  (family === "deberta" || family === "deberta-v2") && decoder === undefined && embedding === width
