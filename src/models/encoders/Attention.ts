/** Self-attention of the four families: scores of contents, and in DeBERTa of contents with places (He et al. 2021). */
import * as tf from "@tensorflow/tfjs-core"
import type { Live } from "../../dsl/values/Tree.ts"
import { softmax } from "../../tensor/Smooth.ts"
import * as Distances from "./Distances.ts"
import type { EncoderConfig } from "./EncoderConfig.ts"
import type { Filled } from "./Places.ts"
import * as Places from "./Places.ts"

/** A projection, with a bias where the family has one. */
type Projection = { readonly w: Places.Place<tf.Tensor2D>; readonly b?: Places.Place<tf.Tensor1D> }

/** Places of one layer's attention. */
export type Layout = {
  readonly query: Projection
  readonly key: Projection
  readonly value: Projection
  /** What makes keys and queries of places, where contents have projections of their own. */
  readonly placeKey?: Projection
  readonly placeQuery?: Projection
}
/** Parameters of one layer's attention: projections [d, d]. */
export type Params = Live<Filled<Layout>>

/** Layout of BERT's attention, and of RoBERTa's. */
const separate = ({ deviation, width }: EncoderConfig, name: string, suffix: string): Layout => ({
  query: Places.dense(`${name}query${suffix}`, width, width, deviation),
  key: Places.dense(`${name}key${suffix}`, width, width, deviation),
  value: Places.dense(`${name}value${suffix}`, width, width, deviation)
})

/** DeBERTa v1 has one array for the three, of which each head's rows are its query's, its key's and its value's. */
const joint = (config: EncoderConfig, name: string): Layout => {
  const { deviation, heads, width } = config
  const depth = width / heads
  const part = (which: number): Places.Place<tf.Tensor2D> => ({
    ...Places.weights(`${name}in_proj.weight`, width, width, deviation),
    rows: {
      at: Array.from({ length: width }, (_, i) => (3 * Math.floor(i / depth) + which) * depth + (i % depth)),
      of: 3 * width
    }
  })
  const terms = config.relative?.terms ?? []
  return {
    query: { w: part(0), b: Places.vector(`${name}q_bias`, width) },
    key: { w: part(1) },
    value: { w: part(2), b: Places.vector(`${name}v_bias`, width) },
    ...(terms.includes("c2p")
      ? { placeKey: { w: Places.weights(`${name}pos_proj.weight`, width, width, deviation) } }
      : {}),
    ...(terms.includes("p2c") ? { placeQuery: Places.dense(`${name}pos_q_proj`, width, width, deviation) } : {})
  }
}

/** Places of the attention called `name` (`encoder.layer.0.attention.self.`). */
export const layout = (config: EncoderConfig, name: string): Layout => {
  const { deviation, family, relative, width } = config
  if (family === "deberta") return joint(config, name)
  if (family !== "deberta-v2") return separate(config, name, "")
  const own = (term: "c2p" | "p2c") => relative !== undefined && !relative.shared && relative.terms.includes(term)
  return {
    ...separate(config, name, "_proj"),
    ...(own("c2p") ? { placeKey: Places.dense(`${name}pos_key_proj`, width, width, deviation) } : {}),
    ...(own("p2c") ? { placeQuery: Places.dense(`${name}pos_query_proj`, width, width, deviation) } : {})
  }
}

const projected = ({ b, w }: Params["query"], x: tf.Tensor2D): tf.Tensor2D => {
  const y = tf.matMul<tf.Tensor2D>(x, w)
  return b === undefined ? y : tf.add(y, b)
}

/**
 * Attends: rows x [b · t, d] → [b · t, d]. `bias` [1, b, 1, t] is added to the scores of each key; `places` is the part of the table
 * of distances that t tokens look at; `drop` drops out probabilities.
 */
export const attend = (
  config: EncoderConfig,
  params: Params,
  x: tf.Tensor2D,
  bias: tf.Tensor,
  places: tf.Tensor2D | undefined,
  drop: <T extends tf.Tensor>(x: T) => T
): tf.Tensor2D => {
  const { heads, products, relative, width } = config
  const depth = width / heads
  const [, batch, , length] = bias.shape as [number, number, number, number]
  // Heads come first: what concerns places is then one product a head over all rows of the batch.
  const perHead = (rows: tf.Tensor2D): tf.Tensor3D =>
    tf.reshape(tf.transpose(tf.reshape(rows, [batch * length, heads, depth]), [1, 0, 2]), [
      heads * batch,
      length,
      depth
    ])
  const scale = 1 / Math.sqrt(depth * products)
  const query = tf.mul(perHead(projected(params.query, x)), scale) as tf.Tensor3D
  const key = perHead(projected(params.key, x))
  const value = perHead(projected(params.value, x))
  let scores = tf.matMul(query, key, false, true)
  if (relative !== undefined && places !== undefined) {
    const byDistance = (content: tf.Tensor3D, rows: tf.Tensor2D): tf.Tensor3D => {
      const places = tf.transpose(tf.reshape(rows, [2 * length - 1, heads, depth]), [1, 0, 2])
      const product = tf.matMul(tf.reshape(content, [heads, batch * length, depth]), places, false, true)
      return Distances.skewed(tf.reshape(product, [heads * batch, length, 2 * length - 1]))
    }
    const rising = Distances.each(places, relative, length)
    if (relative.terms.includes("c2p")) {
      // Key j of query i stands at distance i - j, which falls with j.
      const keys = projected(params.placeKey ?? params.key, tf.reverse(rising, 0))
      scores = tf.add(scores, byDistance(query, keys))
    }
    if (relative.terms.includes("p2c")) {
      const queries = tf.mul(projected(params.placeQuery ?? params.query, rising), scale)
      scores = tf.add(scores, tf.transpose(byDistance(key, queries as tf.Tensor2D), [0, 2, 1]))
    }
  }
  const masked = tf.add(tf.reshape(scores, [heads, batch, length, length]), bias)
  const shares = tf.reshape(drop(softmax(masked)), [heads * batch, length, length])
  const mixed = tf.reshape(tf.matMul(shares, value), [heads, batch * length, depth])
  return tf.reshape(tf.transpose(mixed, [1, 0, 2]), [batch * length, width])
}
