import { readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { assert, describe, it } from "vitest"
import { registerGradients } from "../../src/tensor/registerGradients.ts"

const folder = join(
  dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-core/package.json")),
  "dist/public/chained_ops"
)

describe("operations as methods of tensors", () => {
  it("are all those that TensorFlow.js's union package registers", () => {
    const files = readdirSync(folder).filter((name) => /^(?!register_).*(?<!_test)\.js$/.test(name))
    const names = files.flatMap((name) =>
      [...readFileSync(join(folder, name), "utf8").matchAll(/prototype\.(\w+) =/g)].map(([, method]) => method!)
    )
    assert.isAbove(names.length, 100)
    assert.deepStrictEqual(
      names.filter((name) => typeof (tf.Tensor.prototype as any)[name] !== "function"),
      []
    )
  })

  it("do what the operations do", () =>
    void tf.tidy(() => {
      const x = tf.tensor2d([1, 2, 3, 4], [2, 2])
      assert.deepStrictEqual([...x.add(1).mul(x).sum(0).dataSync()], [14, 26])
      assert.deepStrictEqual([...x.concat(x, 1).flatten().toInt().dataSync()], [1, 2, 1, 2, 3, 4, 3, 4])
      assert.deepStrictEqual([...x.where(x.greater(2), tf.zerosLike(x)).dataSync()], [0, 0, 3, 4])
      assert.deepStrictEqual(x.stack([x, x]).shape, [3, 2, 2])
    }))
})

describe("gradient rules", () => {
  it("come back where something else was registered since", () => {
    const own = tf.getGradient("Cumsum")
    tf.unregisterGradient("Cumsum")
    tf.registerGradient({ kernelName: "Cumsum", gradFunc: (dy) => ({ x: () => dy as tf.Tensor }) })
    registerGradients()
    assert.strictEqual(tf.getGradient("Cumsum"), own)
  })
})
