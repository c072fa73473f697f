/**
 * A small transformer encoder (Vaswani et al. 2017) with learned positions and normalisation before each block (Xiong et
 * al. 2020).
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Seed from "../dsl/values/Seed.ts"
import type { Host, Live } from "../dsl/values/Tree.ts"
import { dropout } from "../tensor/Noise.ts"
import { gelu, softmax } from "../tensor/Smooth.ts"
import * as Init from "./Init.ts"
import * as LayerNorm from "./LayerNorm.ts"
import { affine, dense } from "./Mlp.ts"

/** Sizes of an encoder. */
export interface Config {
  /** Number of tokens; id 0 is padding. */
  readonly vocabulary: number
  /** Longest input, in tokens. */
  readonly length: number
  /** Features of a token: a multiple of `heads`. */
  readonly width: number
  readonly heads: number
  readonly layers: number
  /** Features inside each layer's perceptron. */
  readonly hidden: number
}

const initLayer =
  ({ heads, hidden, width }: Config) =>
  (seed: Seed.Seed) => ({
    attention: {
      norm: LayerNorm.init(width)(seed),
      // The shape carries the number of heads, so that encoding needs nothing but parameters. The limit is Glorot's for
      // each of the three projections.
      qkv: {
        w: Init.uniform(Math.sqrt(3 / width), [width, 3, heads, width / heads])(Seed.fold(seed, "qkv")),
        b: Init.zeros([3, heads, width / heads])(seed)
      },
      out: dense(width, width)(Seed.fold(seed, "out"))
    },
    perceptron: {
      norm: LayerNorm.init(width)(seed),
      up: dense(width, hidden)(Seed.fold(seed, "up")),
      down: dense(hidden, width)(Seed.fold(seed, "down"))
    }
  })

/**
 * Initial parameters: embeddings `tokens` [vocabulary, width] and `positions` [length, width] normal with deviation 0.02,
 * Glorot weights, zero biases. Throws a `RangeError` unless `width` is a multiple of `heads`.
 */
export const init = (config: Config) => {
  const { heads, layers, length, vocabulary, width } = config
  if (width % heads !== 0) {
    throw new RangeError(`Transformer.init: width ${width} is not a multiple of ${heads} heads`)
  }
  return (seed: Seed.Seed) => ({
    tokens: Init.normal(0.02, [vocabulary, width])(Seed.fold(seed, "tokens")),
    positions: Init.normal(0.02, [length, width])(Seed.fold(seed, "positions")),
    layers: Array.from({ length: layers }, (_, i) => initLayer(config)(Seed.fold(seed, i))),
    norm: LayerNorm.init(width)(seed)
  })
}

/** Parameters of an encoder. */
export type Params = Live<ReturnType<ReturnType<typeof init>>>
/** Parameters of an encoder on the host. */
export type HostParams = Host<Params>
type Layer = Params["layers"][number]

// Rows stand flat, [b · t, d], wherever a layer treats tokens alike: dense products of rank 2 are one kernel each.
const normalize = (params: LayerNorm.Params, x: tf.Tensor2D): tf.Tensor2D => LayerNorm.apply(params, x, 1e-5)

/** Multi-head self-attention of x [b · t, d]; `bias` [b, 1, 1, t] is added to the scores of each key. */
const attend = (params: Layer["attention"], x: tf.Tensor2D, bias: tf.Tensor): tf.Tensor2D => {
  const [width, , heads, depth] = params.qkv.w.shape
  const [batch, , , length] = bias.shape as [number, number, number, number]
  const qkv = affine({ w: tf.reshape(params.qkv.w, [width, 3 * width]), b: tf.reshape(params.qkv.b, [3 * width]) }, x)
  const perHead = (x: tf.Tensor) => tf.transpose(tf.reshape(x, [batch, length, heads, depth]), [0, 2, 1, 3])
  const [query, key, value] = tf.split(qkv, 3, 1).map(perHead) as [tf.Tensor, tf.Tensor, tf.Tensor]
  const scores = tf.matMul(tf.mul(query, 1 / Math.sqrt(depth)), key, false, true)
  const mixed = tf.matMul(softmax(tf.add(scores, bias)), value)
  return affine(params.out, tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch * length, width]))
}

/** Dropout inside a step: a noise key int32 [2] from the batch and the probability of zero. */
export interface Dropout {
  readonly key: tf.Tensor1D
  readonly rate: number
}

/**
 * Hidden states of token ids: int32 [b, t] → [b, t, width], with t at most the encoder's length. Padding (id 0) is never
 * attended to; its own states mean nothing. Without `noise` there is no dropout; the same key gives the same dropout.
 *
 * Throws a `RangeError` where the input is longer than the encoder's positions.
 */
export const encode = (params: Params, ids: tf.Tensor2D, noise?: Dropout): tf.Tensor3D => {
  const [batch, length] = ids.shape
  const [longest, width] = params.positions.shape
  if (length > longest) {
    throw new RangeError(`Transformer.encode: ${length} tokens, but the encoder has ${longest} positions`)
  }
  let salt = 0
  const drop = (x: tf.Tensor2D): tf.Tensor2D => (noise === undefined ? x : dropout(x, noise.key, noise.rate, salt++))
  const bias = tf.reshape(tf.mul(tf.cast(tf.equal(ids, 0), "float32"), -1e9), [batch, 1, 1, length])
  const words = tf.reshape(tf.gather(params.tokens, tf.reshape(ids, [batch * length])), [batch, length, width])
  const embedded = tf.add(words, tf.slice(params.positions, [0, 0], [length, width]))
  const states = params.layers.reduce<tf.Tensor2D>(
    (x, { attention, perceptron }) => {
      const attended: tf.Tensor2D = tf.add(x, drop(attend(attention, normalize(attention.norm, x), bias)))
      const inner = gelu(affine(perceptron.up, normalize(perceptron.norm, attended)))
      return tf.add(attended, drop(affine(perceptron.down, inner)))
    },
    drop(tf.reshape(embedded, [batch * length, width]))
  )
  return tf.reshape(normalize(params.norm, states), [batch, length, width])
}

/** States of the first token, where [CLS] stands: [b, t, d] → [b, d]. */
export const first = (hidden: tf.Tensor3D): tf.Tensor2D => {
  const [batch, , width] = hidden.shape
  return tf.reshape(tf.slice(hidden, [0, 0, 0], [batch, 1, width]), [batch, width])
}

/** Mean state of the tokens that are not padding: [b, t, d] and their ids int32 [b, t] → [b, d]. */
export const average = (hidden: tf.Tensor3D, ids: tf.Tensor2D): tf.Tensor2D => {
  const real = tf.expandDims(tf.cast(tf.notEqual(ids, 0), "float32"), -1)
  return tf.div(tf.sum(tf.mul(hidden, real), 1), tf.maximum(tf.sum(real, 1), 1))
}
