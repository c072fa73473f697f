/**
 * Encoders as the hub has them: BERT (Devlin et al. 2019), RoBERTa (Liu et al. 2019), DeBERTa and DeBERTa v2 and v3 (He et al. 2021
 * and 2023), as pure functions of parameters, equal to those of transformers.
 *
 * All normalise after each block. They differ in positions, in attention ({@link Attention}), and in what stands beside it.
 */
import * as tf from "@tensorflow/tfjs-core"
import type * as NdArray from "../../dsl/values/NdArray.ts"
import type * as Result from "effect/Result"
import type * as Seed from "../../dsl/values/Seed.ts"
import type { Live } from "../../dsl/values/Tree.ts"
import * as Noise from "../../tensor/Noise.ts"
import * as LayerNorm from "../LayerNorm.ts"
import { affine } from "../Mlp.ts"
import { type StateDictError } from "../StateDictError.ts"
import { activated } from "./Activation.ts"
import * as Attention from "./Attention.ts"
import * as Distances from "./Distances.ts"
import type { EncoderConfig } from "./EncoderConfig.ts"
import * as Places from "./Places.ts"
import * as StateDict from "./StateDict.ts"

type Dense = ReturnType<typeof Places.dense>
type Norm = ReturnType<typeof Places.norm>

type Layout = {
  readonly embeddings: {
    readonly words: Places.Place<tf.Tensor2D>
    readonly positions?: Places.Place<tf.Tensor2D>
    readonly types?: Places.Place<tf.Tensor2D>
    readonly projection?: Places.Place<tf.Tensor2D>
    readonly norm: Norm
  }
  readonly distances?: { readonly table: Places.Place<tf.Tensor2D>; readonly norm?: Norm }
  readonly convolution?: {
    readonly filter: Places.Place<tf.Tensor3D>
    readonly bias: Places.Place<tf.Tensor1D>
    readonly norm: Norm
  }
  readonly layers: ReadonlyArray<{
    readonly attention: Attention.Layout
    readonly out: Dense
    readonly attended: Norm
    readonly up: Dense
    readonly down: Dense
    readonly norm: Norm
  }>
}

const layout = (config: EncoderConfig): Layout => {
  const { convolution, deviation, embedding, hidden, padding, positions, relative, types, vocabulary, width } = config
  const table = (name: string, rows: number, width: number, zeroRow?: number) =>
    Places.table(`${name}.weight`, [rows, width], deviation, zeroRow)
  const at = "embeddings."
  return {
    embeddings: {
      words: table(`${at}word_embeddings`, vocabulary, embedding, padding),
      ...(config.positioned ? { positions: table(`${at}position_embeddings`, positions, embedding) } : {}),
      ...(types > 0 ? { types: table(`${at}token_type_embeddings`, types, embedding) } : {}),
      ...(embedding === width
        ? {}
        : { projection: Places.weights(`${at}embed_proj.weight`, embedding, width, deviation) }),
      norm: Places.norm(`${at}LayerNorm`, width)
    },
    ...(relative === undefined
      ? {}
      : {
          distances: {
            table: table("encoder.rel_embeddings", 2 * relative.span, width),
            ...(relative.normalized ? { norm: Places.norm("encoder.LayerNorm", width) } : {})
          }
        }),
    ...(convolution === undefined
      ? {}
      : {
          convolution: {
            filter: {
              dtype: "float32" as const,
              shape: [convolution.window, width, width],
              name: "encoder.conv.conv.weight",
              order: [2, 1, 0],
              start: { deviation }
            },
            bias: Places.vector("encoder.conv.conv.bias", width),
            norm: Places.norm("encoder.conv.LayerNorm", width)
          }
        }),
    layers: Array.from({ length: config.layers }, (_, i) => {
      const name = `encoder.layer.${i}`
      return {
        attention: Attention.layout(config, `${name}.attention.self.`),
        out: Places.dense(`${name}.attention.output.dense`, width, width, deviation),
        attended: Places.norm(`${name}.attention.output.LayerNorm`, width),
        up: Places.dense(`${name}.intermediate.dense`, width, hidden, deviation),
        down: Places.dense(`${name}.output.dense`, hidden, width, deviation),
        norm: Places.norm(`${name}.output.LayerNorm`, width)
      }
    })
  }
}

/** Parameters of an encoder on the host. */
export type HostParams = Places.Filled<Layout>
/** Parameters of an encoder: `embeddings.words` [vocabulary, d], `layers`, and what the family has beside them. */
export type Params = Live<HostParams>

/** Initial parameters as transformers draws them: weights normal with the configuration's deviation, biases 0, scales 1. */
export const init = (config: EncoderConfig): ((seed: Seed.Seed) => HostParams) => Places.init(layout(config))

/** What an encoder reads: b rows of t tokens. */
export interface Input {
  /** int32 [b, t]: tokens below the configuration's `vocabulary`. */
  readonly ids: tf.Tensor2D
  /** int32 [b, t]: to which segment a token belongs; 0 where absent. Not read by an encoder with fewer than two types. */
  readonly types?: tf.Tensor2D
  /** [b, t]: 1 for what is attended to, 0 for padding. Where absent, the configuration's padding token is padding. */
  readonly mask?: tf.Tensor2D
}

/** Dropout inside a step: a noise key int32 [2] from the batch, and rates where they are other than the configuration's. */
export interface Dropout {
  readonly key: tf.Tensor1D
  readonly hidden?: number
  readonly attention?: number
}

/** Tokens that a row may have; no bound where the encoder knows distances only. */
export const longest = ({ family, padding, positioned, positions }: EncoderConfig): number =>
  !positioned ? Infinity : family === "roberta" ? positions - padding - 1 : positions

/** RoBERTa numbers tokens from its padding's number on, and leaves that to padding itself. */
const numbered = ({ padding }: EncoderConfig, ids: tf.Tensor2D): tf.Tensor2D => {
  const real = tf.cast(tf.notEqual(ids, tf.scalar(padding, "int32")), "int32")
  return tf.add(tf.mul(tf.cumsum(real, 1), real), tf.scalar(padding, "int32"))
}

/** The mask of an input, float32 [b, t]: 1 for tokens, 0 for padding. */
export const maskOf = ({ padding }: EncoderConfig, { ids, mask }: Input): tf.Tensor2D =>
  tf.cast(mask ?? tf.notEqual(ids, tf.scalar(padding, "int32")), "float32")

type Drop = <T extends tf.Tensor>(x: T) => T

/** Embeddings of tokens as rows: int32 [b, t] → [b · t, d], normalised. */
const embedded = (config: EncoderConfig, params: Params["embeddings"], { ids, types }: Input): tf.Tensor2D => {
  const [batch, length] = ids.shape
  const rows = (table: tf.Tensor2D, at: tf.Tensor2D): tf.Tensor =>
    tf.reshape(tf.gather(table, tf.reshape(at, [batch * length])), [batch, length, table.shape[1]])
  let x = rows(params.words, ids)
  if (params.types !== undefined) {
    const width = params.types.shape[1]
    const own = types === undefined || params.types.shape[0] < 2 ? undefined : types
    x = tf.add(x, own === undefined ? tf.slice(params.types, [0, 0], [1, width]) : rows(params.types, own))
  }
  if (params.positions !== undefined) {
    const { positions } = params
    const own = config.family === "roberta"
    x = tf.add(
      x,
      own ? rows(positions, numbered(config, ids)) : tf.slice(positions, [0, 0], [length, positions.shape[1]])
    )
  }
  const flat = tf.reshape(x, [batch * length, config.embedding]) as tf.Tensor2D
  const wide = params.projection === undefined ? flat : tf.matMul<tf.Tensor2D>(flat, params.projection)
  return LayerNorm.apply(params.norm, wide, config.epsilon)
}

/** DeBERTa v2's convolution over neighbouring tokens: rows [b · t, d] → [b · t, d]. */
const convolved = (
  { bias, filter }: NonNullable<Params["convolution"]>,
  [batch, length]: readonly [number, number],
  rows: tf.Tensor2D
): tf.Tensor2D => {
  const [window, inputs, outputs] = filter.shape
  const before = (window - 1) / 2
  const around = tf.pad(tf.reshape(rows, [batch, length, inputs]) as tf.Tensor3D, [
    [0, 0],
    [before, before],
    [0, 0]
  ])
  const shifted = Array.from({ length: window }, (_, k) => tf.slice(around, [0, k, 0], [batch, length, inputs]))
  const wide = tf.reshape(tf.concat(shifted, 2), [batch * length, window * inputs]) as tf.Tensor2D
  return affine({ w: tf.reshape(filter, [window * inputs, outputs]), b: bias }, wide)
}

/**
 * Hidden states of the last layer: int32 [b, t] → [b, t, d]. Padding is not attended to; its own states mean nothing. Without
 * `noise` there is no dropout; the same key gives the same dropout.
 *
 * Throws a `RangeError` where rows are longer than the encoder's positions, and where ids, types and mask differ in shape.
 */
export const encode = (config: EncoderConfig, params: Params, input: Input, noise?: Dropout): tf.Tensor3D => {
  const { dropout, epsilon, width } = config
  const [batch, length] = input.ids.shape
  if (length > longest(config)) {
    throw new RangeError(
      `Encoder.encode: ${length} tokens, but the encoder has positions for ${longest(config)}: cut rows`
    )
  }
  for (const [name, other] of Object.entries({ types: input.types, mask: input.mask })) {
    if (other === undefined || other.shape.join() === input.ids.shape.join()) continue
    throw new RangeError(
      `Encoder.encode: ids are [${input.ids.shape}] and ${name} [${other.shape}]: give one for each token`
    )
  }
  let salt = 0
  const dropping =
    (rate: number): Drop =>
    (x) =>
      noise === undefined || rate === 0 ? x : Noise.dropout(x, noise.key, rate, salt++)
  const drop = dropping(noise?.hidden ?? dropout.hidden)
  const dropShares = dropping(noise?.attention ?? dropout.attention)
  const mask = maskOf(config, input)
  const real = tf.reshape(mask, [batch * length, 1])
  const bias = tf.reshape(tf.mul(tf.sub(1, mask), -1e9), [1, batch, 1, length])
  const clean = embedded(config, params.embeddings, input)
  // Padding is not attended to, but a convolution looks at what stands beside a token.
  const embeddings = drop(params.convolution === undefined ? clean : tf.mul<tf.Tensor2D>(clean, real))
  const table =
    config.relative === undefined || params.distances === undefined
      ? undefined
      : Distances.part(params.distances.table, config.relative, length)
  const norm = params.distances?.norm
  const places = table === undefined || norm === undefined ? table : LayerNorm.apply(norm, table, epsilon)
  const last = params.layers.reduce<tf.Tensor2D>((x, layer, i) => {
    const mixed = Attention.attend(config, layer.attention, x, bias, places && drop(places), dropShares)
    const attended = LayerNorm.apply(layer.attended, tf.add(drop(affine(layer.out, mixed)), x), epsilon)
    const inner = activated(config.activation, affine(layer.up, attended))
    const states = LayerNorm.apply(layer.norm, tf.add(drop(affine(layer.down, inner)), attended), epsilon)
    const { convolution } = config
    if (i > 0 || convolution === undefined || params.convolution === undefined) return states
    const sums = convolved(params.convolution, [batch, length], embeddings)
    return LayerNorm.apply(
      params.convolution.norm,
      tf.add(states, activated(convolution.activation, drop(sums))),
      epsilon
    )
  }, embeddings)
  return tf.reshape(last, [batch, length, width])
}

/** Mean state of the tokens that are not padding: [b, t, d] and a mask [b, t] of 1 and 0 → [b, d]. */
export const average = (hidden: tf.Tensor3D, mask: tf.Tensor2D): tf.Tensor2D => {
  const real = tf.expandDims(tf.cast(mask, "float32"), -1)
  return tf.div(tf.sum(tf.mul(hidden, real), 1), tf.maximum(tf.sum(real, 1), 1))
}

/** Tensors of a state dict that belong to no parameter here, and change nothing that is computed. */
const unread =
  /(^|\.)(position_ids|token_type_ids|word_embeddings\._weight|embeddings\.position_embeddings\.weight|pooler\.dense\.(weight|bias))$/

/**
 * An encoder out of a state dict. Heads are passed over; whatever else stands where the encoder does must be its own.
 *
 * Fails with a `StateDictError` that names what is missing, left over or of another shape than the configuration says.
 */
export const decode = (config: EncoderConfig, dict: StateDict.StateDict): Result.Result<HostParams, StateDictError> => {
  const [params, report] = Places.read(layout(config), dict.tensors, dict.prefix)
  const extra = [...dict.tensors.keys()].filter(
    (name) =>
      /^(embeddings|encoder)\./.test(name.slice(dict.prefix.length)) &&
      name.startsWith(dict.prefix) &&
      !report.taken.has(name) &&
      !unread.test(name)
  )
  return StateDict.checked(
    [params, report],
    extra,
    "give the weights that config.json describes, or the config.json that came with them"
  )
}

/** An encoder under the names that the hub has for it, `prefix` (`bert.`) before each. */
export const named = (
  config: EncoderConfig,
  params: HostParams,
  prefix: string
): ReadonlyArray<readonly [name: string, array: NdArray.NdArray]> => Places.write(layout(config), params, prefix)
