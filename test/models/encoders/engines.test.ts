import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Tree from "../../../src/dsl/values/Tree.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as OnnxEngine from "../../../src/engines/onnx/OnnxEngine.ts"
import * as XlaEngine from "../../../src/engines/xla/XlaEngine.ts"
import * as Classifier from "../../../src/models/encoders/Classifier.ts"
import * as Encoder from "../../../src/models/encoders/Encoder.ts"
import * as MaskedHead from "../../../src/models/encoders/MaskedHead.ts"
import * as Objective from "../../../src/objectives/Objective.ts"
import { valueAndGradient } from "../../../src/tensor/Gradient.ts"
import { expected, names, relative, whole } from "../../support/encoders.ts"

/** The first tokens of rows, as many as every engine computes in no time. */
const begun = ({ data, dtype, shape }: NdArray.NdArray): NdArray.NdArray => {
  const [rows, length] = shape as [number, number]
  const most = Math.min(length, 30)
  return { dtype, shape: [rows, most], data: data.filter((_, i) => i % length < most) as Int32Array }
}

/** Losses of both heads with dropout, and their gradient, computed by the engine at hand. */
const computed = (name: string) =>
  Effect.gen(function* () {
    const { classifier, config, encoder, masked } = yield* whole(name)
    const want = expected(name)
    const engine = yield* Engine
    const f = (vars: Tree.Tree, batch: Tree.Tree) => {
      const { ids, key, mask, types } = batch as { readonly [name: string]: tf.Tensor2D } & {
        readonly key: tf.Tensor1D
      }
      const { gradient, loss } = valueAndGradient(({ classifier, encoder, masked }: any) => {
        const hidden = Encoder.encode(config, encoder, { ids: ids!, types: types!, mask: mask! }, { key })
        const rows = tf.reshape(hidden, [-1, config.width]) as tf.Tensor2D
        const logits = MaskedHead.apply(config, masked, encoder.embeddings.words, rows)
        const real = tf.reshape(tf.cast(mask!, "float32"), [-1, 1])
        const words = tf.mean(tf.mul(real, tf.square(logits)))
        const classes = Classifier.apply(config, classifier, hidden, { key })
        const labels = tf.tensor1d([0, 1, 2], "int32")
        return [tf.add(words, Objective.crossEntropy(classes, labels)) as tf.Scalar, {}]
      }, vars as never)
      return { loss, gradient } as Tree.Tree
    }
    const [ids, types, mask] = ["ids", "types", "mask"].map((key) => begun(want.get(key)!))
    const key = { dtype: "int32", shape: [2], data: Int32Array.of(3, 4) } as const
    const state = yield* Effect.acquireRelease(engine.upload({ encoder, masked, classifier } as never), engine.release)
    const observe = yield* engine.observe(f)
    return yield* observe(state, { ids, types, mask, key } as never)
  }).pipe(Effect.scoped)

const apart = (name: string, layer: Layer.Layer<Engine, any>) =>
  Effect.gen(function* () {
    const eager = Tree.hostEntries(yield* computed(name).pipe(Effect.provide(Layer.fresh(Eager.layer("cpu")))))
    const other = new Map(Tree.hostEntries(yield* computed(name).pipe(Effect.provide(layer))))
    assert.strictEqual(other.size, eager.length)
    const norm = Math.hypot(...eager.flatMap(([, { data }]) => Array.from(data)))
    for (const [path, { data }] of eager) {
      // What is zero but for rounding (keys' biases) is held against the whole gradient.
      const error = Math.hypot(...data) < 1e-6 * norm ? 0 : relative(other.get(path)!.data, data)
      assert.isAtMost(error, 2e-5, path)
    }
  })

describe("encoders with dropout, and their gradients, are the same on every engine", () => {
  for (const name of names) {
    it.live(`${name}: wasm`, () => apart(name, Layer.fresh(Eager.layer("wasm"))))
    it.live(`${name}: compiled`, () => apart(name, OnnxEngine.layer({ threads: 1 })))
    it.live.skipIf(process.env["TAPWEIGHT_PJRT_PLUGIN"] === undefined)(`${name}: XLA`, () =>
      apart(name, XlaEngine.layer())
    )
  }
})
