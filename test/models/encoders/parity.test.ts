import { assert, beforeEach, describe, it } from "@effect/vitest"
import "../../../src/tensor/registerGradients.ts"
import "@tensorflow/tfjs-backend-cpu"
import { readFileSync } from "node:fs"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Tree from "../../../src/dsl/values/Tree.ts"
import * as Classifier from "../../../src/models/encoders/Classifier.ts"
import * as Distances from "../../../src/models/encoders/Distances.ts"
import * as Encoder from "../../../src/models/encoders/Encoder.ts"
import * as MaskedHead from "../../../src/models/encoders/MaskedHead.ts"
import * as StateDict from "../../../src/models/encoders/StateDict.ts"
import * as Objective from "../../../src/objectives/Objective.ts"
import { valueAndGradient } from "../../../src/tensor/Gradient.ts"
import { expected, live, names, pathOf, relative, toHost, toTensor, whole } from "../../support/encoders.ts"

/** Rows of states or logits that are no padding's. */
const ofTokens = (values: ArrayLike<number>, mask: ArrayLike<number>): ReadonlyArray<number> => {
  const width = values.length / mask.length
  return Array.from(values).filter((_, i) => mask[Math.floor(i / width)] === 1)
}

/** The name that Microsoft has for a part of a tied head. */
const microsofts = (name: string): string =>
  name.replace(/^cls\.predictions\.(transform\.)?/, "lm_predictions.lm_head.")

describe("encoders equal those of transformers", () => {
  beforeEach(async () => {
    await tf.setBackend("cpu")
  })

  for (const name of names) {
    it.live(`${name}: hidden states, logits, and the gradient of masked language modelling`, () =>
      Effect.gen(function* () {
        const { classifier, classifying, config, encoder, masked } = yield* whole(name)
        const want = expected(name)
        const mask = want.get("mask")!.data
        const targets = want.get("targets")!.data
        tf.tidy(() => {
          const [ids, types, shown] = ["ids", "types", "mask"].map((key) => toTensor(want.get(key)!) as tf.Tensor2D)
          const input = { ids: ids!, types: types!, mask: shown! }
          const { aux, gradient, loss } = valueAndGradient(
            ({ encoder, masked }) => {
              const hidden = Encoder.encode(config, encoder, input)
              const rows = tf.reshape(hidden, [-1, config.width]) as tf.Tensor2D
              const logits = MaskedHead.apply(config, masked, encoder.embeddings.words, rows)
              const at = Array.from(targets.keys()).filter((i) => targets[i]! >= 0)
              const asked = tf.gather(logits, tf.tensor1d(at, "int32"))
              const loss = Objective.crossEntropy(
                asked,
                tf.tensor1d(
                  at.map((i) => targets[i]!),
                  "int32"
                )
              )
              return [loss, { hidden, logits }]
            },
            { encoder: live(encoder), masked: live(masked) }
          )
          for (const key of ["hidden", "logits"] as const) {
            const got = ofTokens(aux[key].dataSync(), mask)
            assert.isAtMost(relative(got, ofTokens(want.get(key)!.data, mask)), 1e-5, key)
          }
          assert.approximately(loss.dataSync()[0]!, want.get("loss")!.data[0]!, 1e-5)
          const host = Tree.toHost(gradient, toHost)
          const found = new Map([
            ...Encoder.named(config, host.encoder, StateDict.prefixOf(config)),
            ...MaskedHead.named(config, host.masked)
          ])
          // Of an untied head's two biases transformers computes with the decoder's alone.
          if (found.has("cls.predictions.decoder.bias")) found.delete("cls.predictions.bias")
          const gradients = [...want].filter(([key]) => key.startsWith("gradient."))
          assert.isAtLeast(gradients.length, found.size)
          let seen = 0
          for (const [key, { data }] of gradients) {
            const plain = key.slice("gradient.".length)
            const got = found.get(plain) ?? found.get(microsofts(plain))
            if (got === undefined) continue
            seen++
            // Keys' biases move all scores of a query alike: their gradient is zero but for rounding.
            const scale = Math.hypot(...data) < 1e-5 ? 0 : relative(got.data, data)
            assert.isAtMost(scale, 1e-4, key)
          }
          assert.isAtLeast(seen, found.size)
          const states = Encoder.encode(classifying.config, live(classifying.encoder), input)
          const classes = Classifier.apply(classifying.config, live(classifier), states)
          assert.isAtMost(relative(classes.dataSync(), want.get("classes")!.data), 1e-5)
          assert.deepStrictEqual(classes.shape, [3, 3])
        })
      })
    )
  }

  it("buckets of distances are those of transformers, borders included", () => {
    const { from, ...tables } = JSON.parse(readFileSync(pathOf("buckets.json"), "utf8")) as {
      readonly from: number
      readonly [table: string]: any
    }
    for (const [name, rows] of Object.entries(tables)) {
      const [buckets, farthest] = name.split("-").map(Number) as [number, number]
      assert.deepStrictEqual(
        (rows as ReadonlyArray<number>).map((_, i) => Distances.bucket(from + i, buckets, farthest)),
        rows,
        name
      )
    }
  })
})
