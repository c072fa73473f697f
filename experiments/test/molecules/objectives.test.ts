import { assert, describe, it } from "@effect/vitest"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { Mlp, ResNet, Seed, Tree } from "tapweight"
import * as Objectives from "../../molecules/Objectives.ts"
import type * as PictureBatches from "../../molecules/pictures/PictureBatches.ts"

const [batch, size, features] = [4, 12, 8]
const network: ResNet.Config = { width: 4, blocks: [1, 1], stem: "small" }
const live = <H extends Tree.HostTree>(host: H): Tree.Live<H> =>
  Tree.toLive(host, ({ data, dtype, shape }) => tf.tensor(data, [...shape], dtype))
const dense = (outputs: number) => Mlp.dense(features, outputs)(Seed.make(outputs))
const heads: Objectives.HostHeads = {
  clusters: [dense(2), dense(3), dense(4)],
  jigsaw: dense(6),
  coin: dense(2)
}
const normal = (name: string, shape: ReadonlyArray<number>) =>
  tf.tensor(
    Seed.normal(
      Seed.fold(Seed.make(1), name),
      shape.reduce((a, b) => a * b, 1)
    ),
    [...shape]
  )

const made = () => {
  const theta: Objectives.Theta = {
    encoder: live(ResNet.init(network)(Seed.make(2))),
    heads: live(heads)
  }
  const rows: PictureBatches.PretrainingBatch = {
    views: normal("views", [3 * batch, size, size, 3]) as tf.Tensor4D,
    clusters: tf.tensor2d([0, 1, 2, 1, 0, 3, 0, 2, 1, 1, 1, 0], [batch, 3], "int32"),
    orders: tf.tensor1d([0, 3, 5, 1], "int32"),
    coins: tf.tensor1d([0, 1, 1, 0], "int32")
  }
  const pass: Objectives.Pass = {
    views: normal("v", [batch, features]) as tf.Tensor2D,
    masked: normal("m", [batch, features]) as tf.Tensor2D,
    puzzles: normal("p", [batch, features]) as tf.Tensor2D,
    buffers: live(ResNet.statistics(network)())
  }
  return { theta, rows, pass }
}

type Read = keyof Pick<Objectives.Pass, "masked" | "puzzles" | "views">

describe("the objectives on molecules", () => {
  it("each reads the pictures that the paper gives it, and its own labels", () => {
    tf.tidy(() => {
      const { pass, rows, theta } = made()
      const all = Objectives.objectives({ useless: true })
      const reads: { readonly [name: string]: readonly [ReadonlyArray<Read>, keyof typeof rows | undefined] } = {
        mg1: [["views"], "clusters"],
        mg2: [["views"], "clusters"],
        mg3: [["views"], "clusters"],
        jigsaw: [["puzzles"], "orders"],
        mask: [["masked", "views"], undefined],
        coin: [["views"], "coins"]
      }
      assert.deepStrictEqual(Object.keys(all), Object.keys(reads))
      for (const [name, [pictures, labels]] of Object.entries(reads)) {
        const value = (of: typeof rows, from: Objectives.Pass) => all[name]!(theta, of, from).dataSync()[0]!
        const plain = value(rows, pass)
        const moved = (["masked", "puzzles", "views"] as const).filter(
          (part) => value(rows, { ...pass, [part]: tf.add(pass[part], normal("more", [batch, features])) }) !== plain
        )
        assert.deepStrictEqual(moved, pictures, name)
        const told = (["clusters", "coins", "orders"] as const).filter(
          (field) => value({ ...rows, [field]: tf.cast(tf.equal(rows[field], 0), "int32") }, pass) !== plain
        )
        assert.deepStrictEqual(told, labels === undefined ? [] : [labels], name)
      }
      // Each granularity has a column and a head of its own.
      for (const [i, name] of (["mg1", "mg2", "mg3"] as const).entries()) {
        const cluster = tf.slice(rows.clusters, [0, i], [batch, 1]).dataSync()
        const logits = Mlp.affine(theta.heads.clusters[i]!, pass.views)
        const likely = tf.logSoftmax(logits).arraySync()
        const mean = likely.reduce((sum, row, at) => sum - row[cluster[at]!]! / batch, 0)
        assert.closeTo(all[name]!(theta, rows, pass).dataSync()[0]!, mean, 1e-5, name)
      }
    })
  })

  it("views, masked views and puzzles are the thirds of one pass, in the order of the batch", () => {
    tf.tidy(() => {
      const { pass, rows, theta } = made()
      const [whole] = ResNet.train(theta.encoder, pass.buffers, rows.views)
      const found = Objectives.pass(theta, rows, pass.buffers)
      for (const [i, part] of (["views", "masked", "puzzles"] as const).entries()) {
        const third = tf.slice(whole, [i * batch, 0], [batch, features])
        assert.deepStrictEqual(found[part].dataSync(), third.dataSync(), part)
      }
    })
  })
})
