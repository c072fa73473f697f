import { assert, beforeEach, describe, it } from "@effect/vitest"
import "../../src/tensor/registerGradients.ts"
import "@tensorflow/tfjs-backend-wasm"
import * as tf from "@tensorflow/tfjs-core"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Transformer from "../../src/models/Transformer.ts"

const config = { vocabulary: 11, length: 6, width: 8, heads: 2, layers: 2, hidden: 12 }
const seed = Seed.make(4)
const encoder = Var.make("encoder", Transformer.init(config))

// Larger embeddings than a run starts from, so that attention is far from uniform and no derivative is negligible.
const params = (): Var.Var.Named<typeof encoder>["encoder"] =>
  Tree.toLive(Transformer.init(config)(seed), (leaf, path) => {
    const tensor = tf.tensor(leaf.data, [...leaf.shape])
    return path === "tokens" || path === "positions" ? tf.mul(tensor, 30) : tensor
  })
const ids = (rows: Array<Array<number>>) => tf.tensor2d(rows, undefined, "int32")
const text = () =>
  ids([
    [2, 5, 6, 3, 0, 0],
    [2, 9, 4, 10, 7, 3]
  ])
const key = (seed: Seed.Seed) => tf.tensor1d([...seed.key], "int32")
const apart = (a: tf.Tensor, b: tf.Tensor) => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]!

const tidily = (name: string, body: () => void) =>
  it(name, () => {
    const before = tf.memory().numTensors
    tf.tidy(body)
    assert.strictEqual(tf.memory().numTensors, before)
  })

describe("Transformer", () => {
  beforeEach(async () => {
    await tf.setBackend("cpu")
  })

  tidily("gives a state for each token", () => {
    const hidden = Transformer.encode(params(), text())
    assert.deepStrictEqual(hidden.shape, [2, 6, 8])
    assert.isTrue(hidden.dataSync().every(Number.isFinite))
    assert.deepStrictEqual(Transformer.encode(params(), ids([[2, 3]])).shape, [1, 2, 8])
  })

  tidily("normalises each state", () => {
    const { mean, variance } = tf.moments(Transformer.encode(params(), text()), -1)
    assert.isBelow(apart(mean, tf.zerosLike(mean)), 1e-5)
    assert.isBelow(apart(variance, tf.onesLike(variance)), 1e-3)
  })

  tidily("padding influences no other position; other tokens do", () => {
    const encode = (row: Array<number>) => tf.slice(Transformer.encode(params(), ids([row])), [0, 0, 0], [1, 3, 8])
    assert.isBelow(apart(encode([2, 5, 3]), encode([2, 5, 3, 0, 0, 0])), 1e-5)
    assert.isAbove(apart(encode([2, 5, 3]), encode([2, 5, 3, 7, 0, 0])), 1e-2)
  })

  tidily("rows do not influence each other; order does", () => {
    const alone = Transformer.encode(params(), ids([[2, 9, 4, 10, 7, 3]]))
    assert.isBelow(apart(alone, tf.slice(Transformer.encode(params(), text()), [1, 0, 0], [1, 6, 8])), 1e-5)
    assert.isAbove(apart(alone, Transformer.encode(params(), ids([[2, 4, 9, 10, 7, 3]]))), 1e-2)
  })

  tidily("its gradient equals differences, leaf by leaf", () => {
    const at = params()
    const noise = { key: key(seed), rate: 0.2 }
    const target = tf.randomNormal([2, 6, 8], 0, 1, "float32", 1)
    const loss = (leaves: ReadonlyArray<tf.Tensor>): tf.Scalar =>
      tf.mean(tf.mul(target, Transformer.encode(Tree.unflatten(at, leaves), text(), noise)))
    const leaves = Tree.leaves(at)
    const gradients = tf.grads((...leaves) => loss(leaves))([...leaves])
    for (const [i, [path, leaf]] of Tree.entries(at).entries()) {
      const direction = tf.randomNormal(leaf.shape, 0, 1, "float32", i + 1)
      const moved = (h: number) =>
        loss(leaves.map((other, j) => (j === i ? tf.add(other, tf.mul(direction, h)) : other))).dataSync()[0]!
      const step = 5e-3
      const difference = (moved(step) - moved(-step)) / (2 * step)
      const exact = tf.sum(tf.mul(gradients[i]!, direction)).dataSync()[0]!
      assert.isAtMost(
        Math.abs(exact - difference),
        1e-4 + 1e-2 * Math.abs(difference),
        `${path}: ${exact}, ${difference}`
      )
    }
  })

  tidily("dropout is a function of the key", () => {
    const encode = (key: tf.Tensor1D, rate = 0.3) => Transformer.encode(params(), text(), { key, rate })
    assert.strictEqual(apart(encode(key(seed)), encode(key(seed))), 0)
    assert.isAbove(apart(encode(key(seed)), encode(key(Seed.fold(seed, 1)))), 1e-2)
    assert.isBelow(apart(encode(key(seed), 0), Transformer.encode(params(), text())), 1e-6)
  })

  it("wasm gives what cpu gives", async () => {
    const run = () =>
      tf.tidy(() =>
        Transformer.encode(params(), text(), { key: key(seed), rate: 0.1 })
          .dataSync()
          .slice()
      )
    const expected = run()
    await tf.setBackend("wasm")
    const actual = run()
    for (const [i, e] of expected.entries()) assert.approximately(actual[i]!, e, 1e-4)
  })

  tidily("first takes [CLS]; average leaves padding out", () => {
    const hidden = tf.tensor3d([
      [
        [1, 2],
        [3, 4],
        [50, 60]
      ],
      [
        [5, 6],
        [7, 8],
        [9, 10]
      ]
    ])
    assert.deepStrictEqual(Transformer.first(hidden).arraySync(), [
      [1, 2],
      [5, 6]
    ])
    const tokens = ids([
      [2, 3, 0],
      [2, 5, 3]
    ])
    assert.deepStrictEqual(Transformer.average(hidden, tokens).arraySync(), [
      [2, 3],
      [7, 8]
    ])
  })

  tidily("refuses inputs and sizes that do not fit", () => {
    assert.throws(() => Transformer.encode(params(), tf.zeros([1, 7], "int32")), /7 tokens, but the encoder has 6/)
    assert.throws(() => Transformer.init({ ...config, heads: 3 }), /width 8 is not a multiple of 3 heads/)
  })
})
