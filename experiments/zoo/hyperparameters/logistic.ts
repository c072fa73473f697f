import * as tf from "@tensorflow/tfjs-core"
import {
  Dataset,
  Hypergradient,
  Init,
  Level,
  Objective,
  Optimizer,
  Problem,
  Product,
  Solver,
  Statistics,
  Var
} from "tapweight"
import * as Closed from "../Closed.ts"
import * as Entry from "../Entry.ts"
import { leading, linear } from "../rows.ts"

const [features, informative] = [8, 3]

/** Labels by the sum of the first three features and noise. */
const rows = (seed: number, part: string, count: number) =>
  linear({
    seed,
    problem: "logistic",
    part,
    count,
    coefficients: leading(informative, features),
    noise: 1,
    label: (sum) => (sum > 0 ? 1 : 0)
  })

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z))

/** Φ in double precision: the validation loss at w*(penalties), by Newton's method. */
const reduced = (seed: number) => {
  const host = ({ x, y }: ReturnType<typeof rows>) =>
    [...y.data].map((label, r) => ({ label, x: [...x.data.subarray(features * r, features * r + features)] }))
  const [train, validation] = [host(rows(seed, "train", 40)), host(rows(seed, "validation", 200))]
  return (penalties: ReadonlyArray<number>): number => {
    let w: ReadonlyArray<number> = Array(features).fill(0)
    const score = (x: ReadonlyArray<number>) => x.reduce((sum, each, j) => sum + each * w[j]!, 0)
    for (let step = 0; step < 30; step++) {
      const share = train.map(({ x }) => sigmoid(score(x)))
      const gradient = penalties.map(
        (p, j) => Statistics.mean(train.map(({ label, x }, r) => (share[r]! - label) * x[j]!)) + Math.exp(p) * w[j]!
      )
      const curvature = penalties.map((p, i) =>
        penalties.map(
          (_, j) =>
            Statistics.mean(train.map(({ x }, r) => share[r]! * (1 - share[r]!) * x[i]! * x[j]!)) +
            (i === j ? Math.exp(p) : 0)
        )
      )
      const move = Closed.solve(curvature, gradient)
      w = w.map((each, j) => each - move[j]!)
    }
    return Statistics.mean(validation.map(({ label, x }) => Math.log1p(Math.exp(score(x))) - label * score(x)))
  }
}

const w = Var.make("w", Init.zeros([features]))
const penalty = Var.make("penalty", Init.constant(-2, [features]))
const logits = (w: tf.Tensor1D, x: tf.Tensor2D) => tf.reshape(tf.matMul(x, tf.reshape(w, [features, 1])), [-1])

export const logistic = Entry.make({
  name: "logistic",
  card: {
    title: "A penalty for each coefficient of a logistic regression",
    levels: ["w: mean log loss + ½ Σ exp(λⱼ) wⱼ² on training rows", "λ: mean log loss on validation rows"],
    sizes: "8 coefficients of which 3 matter, 40 training and 200 validation rows, 8 upper variables",
    data: "made from the seed",
    reference:
      "Pedregosa, Hyperparameter optimization with approximate gradient, ICML 2016; the problem `ijcnn1` of benchmark_bilevel",
    published: "curves on ijcnn1, which no package brings; Φ and ∇Φ are known here by Newton's method"
  },
  ticks: 8000,
  problems: (seed) => {
    const fit = Level.minimize(w, {
      name: "fit",
      given: [penalty],
      data: Dataset.constant("train", rows(seed, "train", 40)),
      optimizer: Optimizer.sgd(0.1),
      objective: ({ penalty, w }, { x, y }) =>
        tf.add(
          Objective.binaryCrossEntropy(logits(w, x), y),
          tf.mul(0.5, tf.sum(tf.mul(tf.exp(penalty), tf.square(w))))
        )
    }).pipe(
      Level.unroll(10),
      Level.hypergradient(
        Hypergradient.implicit({ solver: Solver.conjugateGradient({ iterations: 8 }), product: Product.exact })
      )
    )
    const tune = Level.minimize(penalty, {
      name: "tune",
      upstream: [fit],
      data: Dataset.constant("validation", rows(seed, "validation", 200)),
      optimizer: Optimizer.sgd(5),
      objective: ({ w }, { x, y }) => Objective.binaryCrossEntropy(logits(w, x), y)
    })
    return { learned: Problem.close(tune) }
  },
  figures: {
    "‖∇Φ‖ over that at the start": {
      of: ({ learned }, seed) => {
        const phi = reduced(seed)
        const slope = (at: ReadonlyArray<number>) => Closed.norm(Closed.differences(phi, at))
        return slope([...learned.penalty.data]) / slope(Array(features).fill(-2))
      },
      atMost: 0.05,
      because: "Φ is known; penalties of useless coefficients go on rising ever more slowly"
    },
    "Φ over that at the start": {
      of: ({ learned }, seed) => reduced(seed)([...learned.penalty.data]) / reduced(seed)(Array(features).fill(-2)),
      atMost: 1,
      because: "learning has to pay"
    },
    "useless penalties above useful ones": {
      of: ({ learned }) =>
        Statistics.mean([...learned.penalty.data.subarray(informative)]) -
        Statistics.mean([...learned.penalty.data.subarray(0, informative)]),
      atLeast: 1,
      because: "five of eight coefficients carry nothing"
    }
  }
})

export default logistic.program
