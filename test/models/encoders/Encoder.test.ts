import { assert, beforeEach, describe, it } from "@effect/vitest"
import "../../../src/tensor/registerGradients.ts"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Classifier from "../../../src/models/encoders/Classifier.ts"
import * as Distances from "../../../src/models/encoders/Distances.ts"
import * as Encoder from "../../../src/models/encoders/Encoder.ts"
import * as EncoderConfig from "../../../src/models/encoders/EncoderConfig.ts"
import { live, names, whole } from "../../support/encoders.ts"

const keyOf = (seed: number): tf.Tensor1D => tf.tensor1d([...Seed.make(seed).key], "int32")
const apart = (a: tf.Tensor, b: tf.Tensor): number => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]!

const sizes = {
  model_type: "bert",
  vocab_size: 9,
  hidden_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 16,
  max_position_embeddings: 12
}

describe("Encoder", () => {
  beforeEach(async () => {
    await tf.setBackend("cpu")
  })

  for (const name of names) {
    it.live(`${name}: padding changes no token's state, rows are apart, dropout is a function of the key`, () =>
      Effect.gen(function* () {
        const { classifier, classifying, config, encoder } = yield* whole(name)
        const before = tf.memory().numTensors
        tf.tidy(() => {
          const params = live(encoder)
          const pad = config.padding
          const ids = (rows: Array<Array<number>>): tf.Tensor2D => tf.tensor2d(rows, undefined, "int32")
          const encode = (rows: Array<Array<number>>, noise?: Encoder.Dropout) =>
            Encoder.encode(config, params, { ids: ids(rows) }, noise)
          const alone = encode([[5, 6, 7, 8]])
          const both = encode([
            [5, 6, 7, 8, pad, pad, pad],
            [9, 10, 11, 12, 13, 14, 15]
          ])
          assert.isBelow(apart(alone, tf.slice(both, [0, 0, 0], [1, 4, config.width])), 2e-5)
          assert.isAbove(apart(alone, tf.slice(both, [1, 0, 0], [1, 4, config.width])), 1e-2)
          assert.isAbove(apart(alone, encode([[6, 5, 7, 8]])), 1e-2)
          const rows = [[5, 6, 7, 8]]
          const noise = { key: keyOf(1) }
          assert.strictEqual(apart(encode(rows, noise), encode(rows, noise)), 0)
          assert.isAbove(apart(encode(rows, noise), encode(rows, { key: keyOf(2) })), 1e-2)
          assert.strictEqual(apart(encode(rows, { ...noise, hidden: 0, attention: 0 }), alone), 0)
          // Each of the two rates is one of its own.
          for (const only of [{ hidden: 0 }, { attention: 0 }])
            assert.isAbove(apart(encode(rows, { ...noise, ...only }), alone), 1e-3)
          const classify = (noise?: Encoder.Dropout) =>
            Classifier.apply(classifying.config, live(classifier), alone, noise)
          assert.strictEqual(apart(classify(noise), classify(noise)), 0)
          assert.isAbove(apart(classify(noise), classify()), 1e-3)
        })
        assert.strictEqual(tf.memory().numTensors, before)
      })
    )
  }

  it("dropout keeps the mean: over many keys, of an encoder without layers, the state is the one without", () => {
    tf.tidy(() => {
      const config = Result.getOrThrow(EncoderConfig.decode({ ...sizes, hidden_dropout_prob: 0.3 }))
      const params = { ...live(Encoder.init(config)(Seed.make(1))), layers: [] }
      const input = { ids: tf.tensor2d([[2, 3, 4]], undefined, "int32") }
      const states = Array.from({ length: 400 }, (_, i) => Encoder.encode(config, params, input, { key: keyOf(i) }))
      const clean = Encoder.encode(config, params, input)
      assert.isBelow(apart(tf.mean(tf.stack(states), 0), clean), 0.25)
      const zeros = states.map((state) => tf.mean(tf.cast(tf.equal(state, 0), "float32")).dataSync()[0]!)
      assert.approximately(zeros.reduce((sum, share) => sum + share) / zeros.length, 0.3, 0.02)
    })
  })

  it("scores by distance come to their tokens", () => {
    for (const length of [1, 2, 5]) {
      // Element [i, k] of scores by distance is named 100 i + k; token j of row i is at k = j - i + length - 1.
      const x = tf.tensor3d([
        Array.from({ length }, (_, i) => Array.from({ length: 2 * length - 1 }, (_, k) => 100 * i + k))
      ])
      assert.deepStrictEqual(Distances.skewed(x).arraySync(), [
        Array.from({ length }, (_, i) => Array.from({ length }, (_, j) => 100 * i + j - i + length - 1))
      ])
    }
  })

  it("what config.json leaves out is what transformers takes for it", () => {
    const of = (json: object) => Result.getOrThrow(EncoderConfig.decode({ ...sizes, ...json }))
    const bert = of({})
    assert.deepStrictEqual(bert.dropout, { hidden: 0.1, attention: 0.1, pooler: 0, classifier: 0.1 })
    assert.deepStrictEqual(
      [bert.epsilon, bert.types, bert.padding, bert.tied, bert.activation],
      [1e-12, 2, 0, true, "gelu"]
    )
    assert.deepStrictEqual(bert.labels, ["LABEL_0", "LABEL_1"])
    assert.strictEqual(of({ model_type: "roberta" }).padding, 1)
    const deberta = of({ model_type: "deberta", relative_attention: true, pos_att_type: "c2p|p2c" })
    assert.deepStrictEqual([deberta.epsilon, deberta.types, deberta.positioned, deberta.products], [1e-7, 0, true, 3])
    assert.deepStrictEqual(deberta.relative, {
      terms: ["c2p", "p2c"],
      span: 12,
      buckets: 0,
      farthest: 12,
      shared: false,
      normalized: false
    })
    assert.deepStrictEqual(of({ model_type: "deberta", pos_att_type: ["p2c"] }).relative, undefined)
  })
})
