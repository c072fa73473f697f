import * as tf from "@tensorflow/tfjs-core"
import {
  Dataset,
  Hypergradient,
  Init,
  Level,
  Metrics,
  Objective,
  Optimizer,
  Problem,
  Product,
  Solver,
  Var
} from "tapweight"
import * as Entry from "../Entry.ts"
import { leading, linear } from "../rows.ts"

const [features, informative] = [20, 5]

const rows = (seed: number, part: string, count: number) =>
  linear({ seed, problem: "pruning", part, count, coefficients: leading(informative, features), noise: 0.5 })

const w = Var.make("w", Init.zeros([features]))
const mask = Var.make("mask", Init.constant(1, [features]))
const predict = (w: tf.Tensor1D, mask: tf.Tensor1D, x: tf.Tensor2D) =>
  tf.reshape(tf.matMul(x, tf.reshape(tf.mul(w, tf.sigmoid(mask)), [features, 1])), [-1])

export const pruning = Entry.make({
  name: "pruning",
  card: {
    title: "Pruning: a mask over weights, learned on validation data with a price for each",
    levels: [
      "w: mean (x·(w σ(m)) − y)² + 0.1 ‖w‖² on training rows",
      "m: mean (x·(w σ(m)) − y)² + 0.01 Σ σ(m) on validation rows"
    ],
    sizes: "20 weights of which 5 matter, 80 training and 100 validation rows",
    data: "made from the seed",
    reference:
      "Zhang et al., Advancing model pruning via bi-level optimization, NeurIPS 2022 (the idea; its masks are binary)",
    published: "sparsity of image networks, not comparable; the support is planted here"
  },
  ticks: 4000,
  problems: (seed) => {
    const train = Level.minimize(w, {
      name: "train",
      given: [mask],
      data: Dataset.constant("train", rows(seed, "train", 80)),
      optimizer: Optimizer.sgd(0.1),
      objective: ({ mask, w }, { x, y }) =>
        tf.add(Objective.meanSquaredError(predict(w, mask, x), y), tf.mul(0.1, tf.sum(tf.square(w))))
    }).pipe(
      Level.unroll(5),
      Level.hypergradient(
        Hypergradient.implicit({ solver: Solver.conjugateGradient({ iterations: 10 }), product: Product.exact })
      )
    )
    const prune = Level.minimize(mask, {
      name: "prune",
      upstream: [train],
      data: Dataset.constant("validation", rows(seed, "validation", 100)),
      optimizer: Optimizer.adam(0.01),
      objective: ({ mask, w }, { x, y }) =>
        tf.add(Objective.meanSquaredError(predict(w, mask, x), y), tf.mul(0.01, tf.sum(tf.sigmoid(mask))))
    })
    return { learned: Problem.close(prune) }
  },
  figures: {
    "F1 of the weights that are kept": {
      of: ({ learned }) =>
        Metrics.f1(
          Array.from(learned.mask.data, (_, i) => Number(i < informative)),
          Array.from(learned.mask.data, (each) => Number(each > 0))
        ),
      atLeast: 0.9,
      because: "five of twenty carry all"
    }
  }
})

export default pruning.program
