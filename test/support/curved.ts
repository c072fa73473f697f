/** Losses of small networks of every kind, as functions of their weights, of what they are given, and of a batch. */
import * as tf from "@tensorflow/tfjs-core"
import * as Result from "effect/Result"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Encoder from "../../src/models/encoders/Encoder.ts"
import * as EncoderConfig from "../../src/models/encoders/EncoderConfig.ts"
import * as MaskedHead from "../../src/models/encoders/MaskedHead.ts"
import * as Init from "../../src/models/Init.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import * as Transformer from "../../src/models/Transformer.ts"
import * as Objective from "../../src/objectives/Objective.ts"

/** `own` are the weights, along which derivatives are taken; `given` stands for the variable of a level above. */
export interface Curved {
  readonly own: Tree.HostTree
  readonly given: Tree.HostTree
  readonly batch: Tree.HostTree
  readonly loss: (own: any, given: any, batch: any) => tf.Scalar
}

const seed = Seed.make(21)
const at = (name: string): Seed.Seed => Seed.fold(seed, name)
const normal = (name: string, shape: ReadonlyArray<number>) => Init.normal(1, shape)(at(name)) as NdArray.NdArray
const labels = (n: number, classes: number) => NdArray.int32([n], Seed.integers(at("labels"), n, classes))
const rows = { x: normal("x", [6, 4]), y: labels(6, 3) }

export const softmaxClassifier: Curved = {
  own: { w: normal("w", [4, 3]), b: normal("b", [3]) },
  given: { log: normal("log", [4, 3]) },
  batch: rows,
  loss: ({ b, w }, { log }, { x, y }) =>
    tf.add(
      Objective.crossEntropy(tf.add(tf.matMul(x, w), b), y),
      tf.mul(0.5, tf.sum(tf.mul(tf.exp(log), tf.square(w))))
    )
}

export const tanhPerceptron: Curved = {
  own: { layers: Mlp.init([4, 5, 5, 3])(at("layers")) },
  given: { rows: normal("rows", [6]) },
  batch: rows,
  loss: ({ layers }, { rows }, { x, y }) =>
    Objective.weightedCrossEntropy(
      Mlp.apply(layers, x, (h) => tf.tanh(h)),
      y,
      tf.sigmoid(rows)
    )
}

export const convolutional: Curved = {
  own: {
    first: Init.normal(0.4, [3, 3, 2, 4])(at("first")),
    second: Init.normal(0.3, [3, 3, 4, 4])(at("second")),
    scale: Init.ones([4])(at("scale")),
    offset: normal("offset", [4]),
    head: Mlp.dense(4, 3)(at("head"))
  },
  given: { rows: normal("rows", [4]) },
  batch: { x: normal("images", [4, 6, 6, 2]), y: labels(4, 3) },
  loss: ({ first, head, offset, scale, second }, { rows }, { x, y }) => {
    const normalized = (h: tf.Tensor4D) => {
      const { mean, variance } = tf.moments(h, [0, 1, 2])
      return tf.batchNorm(h, mean as tf.Tensor1D, variance as tf.Tensor1D, offset, scale, 1e-3)
    }
    const low = tf.maxPool(tf.relu(normalized(tf.conv2d(x, first, 1, "same"))) as tf.Tensor4D, 2, 2, "valid")
    const high = tf.relu(normalized(tf.conv2d(low, second, 1, "same")))
    const logits = Mlp.affine(head, tf.mean(high, [1, 2]) as tf.Tensor2D)
    return Objective.weightedCrossEntropy(logits, y, tf.sigmoid(rows))
  }
}

const encoder = Transformer.init({ vocabulary: 9, length: 4, width: 8, heads: 2, layers: 1, hidden: 16 })(at("encoder"))

export const attention: Curved = {
  own: { encoder, head: Mlp.dense(8, 3)(at("head")) },
  given: { near: encoder, strength: NdArray.scalar(0.3) },
  batch: {
    ids: NdArray.int32([3, 4], [1, 5, 3, 0, 2, 8, 8, 4, 7, 6, 0, 0]),
    key: NdArray.int32([2], [5, 9]),
    y: labels(3, 3)
  },
  loss: ({ encoder, head }, { near, strength }, { ids, key, y }) => {
    const states = Transformer.first(Transformer.encode(encoder, ids, { key, rate: 0.1 }))
    return tf.add(
      Objective.crossEntropy(Mlp.affine(head, states), y),
      tf.mul(tf.exp(strength), Objective.proximal(encoder, near))
    )
  }
}

const sizes = {
  vocab_size: 9,
  hidden_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 12,
  max_position_embeddings: 12,
  initializer_range: 0.2
}

/** An encoder of the hub's with its head for masked tokens, dropout included. */
const hub = (json: object): Curved => {
  const config = Result.getOrThrow(EncoderConfig.decode({ ...sizes, ...json }))
  const encoder = Encoder.init(config)(at("hub"))
  return {
    own: { encoder, head: MaskedHead.init(config)(at("masked")) },
    given: { near: encoder, strength: NdArray.scalar(0.3) },
    batch: {
      ids: NdArray.int32([2, 8], [1, 5, 3, 6, 2, 8, 8, 4, 7, 6, 4, 3, 5, 0, 0, 0]),
      key: NdArray.int32([2], [5, 9]),
      y: NdArray.int32([16], Seed.integers(at("words"), 16, 9))
    },
    loss: ({ encoder, head }, { near, strength }, { ids, key, y }) => {
      const states = tf.reshape(Encoder.encode(config, encoder, { ids }, { key }), [16, 8]) as tf.Tensor2D
      const logits = MaskedHead.apply(config, head, encoder.embeddings.words, states)
      return tf.add(Objective.crossEntropy(logits, y), tf.mul(tf.exp(strength), Objective.proximal(encoder, near)))
    }
  }
}

export const roberta = hub({ model_type: "roberta", pad_token_id: 0, type_vocab_size: 1 })

export const deberta = hub({
  model_type: "deberta-v2",
  relative_attention: true,
  position_biased_input: false,
  pos_att_type: "p2c|c2p",
  position_buckets: 4,
  norm_rel_ebd: "layer_norm",
  share_att_key: true,
  conv_kernel_size: 3,
  conv_act: "gelu"
})

/** Normal numbers in the structure of a tree. */
export const directionOf = (tree: Tree.HostTree, name: string): Tree.HostTree =>
  Tree.mapHost(tree, ({ shape }, path) => normal(`${name} ${path}`, shape))
