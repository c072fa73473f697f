import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import type * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Split from "../../src/dsl/Split.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Safetensors from "../../src/files/tensors/Safetensors.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as TapWeight from "../../src/levels/recipes/TapWeight.ts"
import * as Classifier from "../../src/models/encoders/Classifier.ts"
import * as Encoder from "../../src/models/encoders/Encoder.ts"
import * as MaskedHead from "../../src/models/encoders/MaskedHead.ts"
import * as Objective from "../../src/objectives/Objective.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { relative, whole } from "../support/encoders.ts"

// What oracles/tapweight.py has written.
const at = fileURLToPath(new URL("../support/oracles/tapweight.safetensors", import.meta.url))
const { tensors } = Result.getOrThrow(Safetensors.decode(readFileSync(at)))
const [steps, gamma, temperature, rate, decay, topRate] = [5, 0.05, 0.1, 0.01, 0.001, 20]

type Pretraining = {
  readonly positions: tf.Tensor2D
  readonly targets: tf.Tensor2D
  readonly masked: tf.Tensor2D
  readonly one: tf.Tensor2D
  readonly two: tf.Tensor2D
  readonly order: tf.Tensor1D
}
type Labelled = { readonly ids: tf.Tensor2D; readonly labels: tf.Tensor1D }

/** The batches of a level in the oracle's order. */
const batches = <B extends { readonly [field: string]: tf.Tensor }>(
  level: string,
  more: { readonly [field: string]: NdArray.NdArray } = {}
): Dataset.Dataset<B> => {
  const all = Array.from({ length: steps }, (_, step) => {
    const prefix = `data.${level}.${step}.`
    const own = [...tensors].filter(([name]) => name.startsWith(prefix))
    return { ...Object.fromEntries(own.map(([name, array]) => [name.slice(prefix.length), array])), ...more }
  })
  const { fields } = Dataset.constant(level, all[0]!)
  const open = Effect.succeed((_: unknown, index: number) => Effect.succeed(all[index]!))
  return Dataset.make(level, { fields, open } as never) as never
}

/** A linear layer of PyTorch, whose weights are [out, in]. */
const dense = (name: string) => {
  const [weight, bias] = ["weight", "bias"].map((part) => tensors.get(`start.${name}.${part}`)!) as [
    NdArray.NdArray,
    NdArray.NdArray
  ]
  const [outputs, inputs] = weight.shape as [number, number]
  const data = Float32Array.from(weight.data, (_, i) => weight.data[(i % outputs) * inputs + Math.floor(i / outputs)]!)
  return {
    w: { dtype: "float32", shape: [inputs, outputs], data } as NdArray.NdArray<tf.Tensor2D>,
    b: bias as NdArray.NdArray<tf.Tensor1D>
  }
}

const levels = (product: Hypergradient.Product) =>
  Effect.map(whole("roberta"), ({ classifier, config, encoder, masked }) => {
    const theta = Var.make("theta", () => ({
      encoder,
      masked,
      order: { dense: dense("dense"), out: dense("out_proj") }
    }))
    const omega = Var.make("omega", () => ({ encoder, classifier }))
    const hidden = (encoder: Encoder.Params, ids: tf.Tensor2D) => Encoder.encode(config, encoder, { ids })
    const firsts = (states: tf.Tensor3D) => tf.squeeze<tf.Tensor2D>(tf.slice(states, [0, 0, 0], [-1, 1, -1]), [1])
    type Omega = { readonly encoder: Encoder.Params; readonly classifier: Classifier.Params }
    const classify = (omega: Omega, { ids, labels }: Labelled) =>
      Objective.crossEntropy(Classifier.apply(config, omega.classifier, hidden(omega.encoder, ids)), labels)
    const parts = Split.apart({ train: batches<Labelled>("finetune"), validation: batches<Labelled>("reweight") })
    const adam = Optimizer.adam(rate).pipe(Optimizer.weightDecay(decay))
    return TapWeight.levels({
      theta,
      omega,
      pretrain: {
        data: batches<Pretraining>("pretrain"),
        optimizer: adam,
        pass: ({ encoder }, { masked, one, two }) =>
          [masked, one, two].map((ids) => hidden(encoder, ids)) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D],
        objectives: {
          masked: ({ encoder, masked }, { positions, targets }, [states]) => {
            const rows = tf.reshape(states, [-1, config.width])
            const asked = tf.gather(rows, tf.reshape(positions, [-1])) as tf.Tensor2D
            const logits = MaskedHead.apply(config, masked, encoder.embeddings.words, asked)
            return Objective.crossEntropy(logits, tf.reshape(targets, [-1]) as tf.Tensor1D)
          },
          contrast: (_, __, [, one, two]) => Objective.contrastive(firsts(one), firsts(two), temperature),
          order: (theta, { order }, [, one]) =>
            Objective.crossEntropy(Classifier.apply(config, theta.order, one), order)
        }
      },
      finetune: {
        data: parts.train,
        optimizer: adam,
        loss: classify,
        gamma,
        shared: (omega, theta) => [omega.encoder, theta.encoder]
      },
      reweight: { data: parts.validation, optimizer: Optimizer.sgd(topRate), loss: classify, warmup: 0 },
      hypergradient: Hypergradient.implicit({ solver: Solver.identity, product })
    })
  })

describe("TapWeight on a tiny RoBERTa is PyTorch's with Betty, step by step", () => {
  // A difference of float32 losses carries their rounding: 5e-5 here, and on the compiled engine another on each processor.
  const difference = Product.finiteDifference({ radius: 0.01 })
  const cases = [
    ["darts", "cpu", difference, Eager.layer("cpu"), 1e-4],
    ["darts", "compiled", difference, Compiled.layer({ threads: 1 }), 3e-4],
    ["exact", "compiled", Product.exact, Compiled.layer({ threads: 1 }), 1e-5]
  ] as const
  for (const [name, engine, product, layer, tolerance] of cases) {
    it.live(`${name}, ${engine}: losses, hypergradient, weights`, () =>
      Effect.gen(function* () {
        const { beta, reweight } = yield* levels(product)
        const found: { [key: string]: Array<number> } = {}
        const note = (key: string, values: ArrayLike<number>): void => {
          found[key] = [...(found[key] ?? []), ...Array.from(values)]
        }
        let last: ArrayLike<number> = [0, 0, 0]
        yield* Run.ticks(Problem.close(reweight), { ticks: steps, seed: 0 }).pipe(
          Stream.runForEach((tick) =>
            Effect.map(tick.read(["beta"]), ({ beta: { data } }) => {
              const { finetune, pretrain, reweight } = tick.levels
              note("pretrain.loss", [pretrain!.loss])
              note(
                "pretrain.losses",
                beta.elements.map((element) => pretrain!.metrics[element] as number)
              )
              note("finetune.loss", [finetune!.loss])
              note("finetune.task", [finetune!.metrics["task"] as number])
              note("finetune.distance", [finetune!.metrics["distance"] as number])
              note("reweight.loss", [reweight!.loss])
              note(
                "reweight.hypergradient",
                Array.from(data, (x, i) => (last[i]! - x) / topRate)
              )
              const powers = Array.from(data, Math.exp)
              const sum = powers.reduce((a, b) => a + b)
              note(
                "reweight.weights",
                powers.map((power) => power / sum)
              )
              last = data.slice()
            })
          )
        )
        const wanted = [...tensors].filter(([key]) => key.startsWith(`${name}.`))
        assert.strictEqual(wanted.length, Object.keys(found).length)
        for (const [key, { data }] of wanted) {
          const got = found[key.slice(name.length + 1)]!
          assert.isAtMost(
            relative(got, data),
            key.endsWith("hypergradient") ? tolerance : Math.min(tolerance, 1e-4),
            key
          )
        }
      }).pipe(Effect.provide(layer))
    )
  }
})
