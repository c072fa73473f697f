import * as tf from "@tensorflow/tfjs-core"
import { Dataset, Hypergradient, Level, Mlp, Optimizer, Problem, Rate, Tree, Var } from "tapweight"
import * as Entry from "../Entry.ts"
import { adapted, none, predict, sinusoids, taskBlind } from "./sinusoid.ts"

const sizes = [1, 40, 40, 1]
const [tasks, shots, steps, rate] = [10, 20, 8, 0.02]

const theta = Var.make("theta", Mlp.init(sizes))
const change = Var.make("change", () => none(sizes, tasks))

export const reptile = Entry.make({
  name: "reptile",
  card: {
    title: "Reptile: an initial net moved to where tasks moved it",
    levels: [
      "δ: Σ over tasks of the support error of θ + δ, eight steps from δ = 0",
      "θ: −⟨θ, mean of δ⟩, so that a step adds a part of the mean move"
    ],
    sizes: "nets 1-40-40-1 with softplus, 10 tasks a turn, 20 shots, inner rate 0.02",
    data: "made from the seed",
    reference: "Nichol, Achiam and Schulman, On first-order meta-learning algorithms, 2018",
    published: "curves of another net and budget, not comparable. What no task-blind prediction can beat is 3.00567"
  },
  ticks: 24_000,
  problems: () => {
    const batches = sinusoids(tasks, shots)
    const adapt = Level.minimize(change, {
      name: "adapt",
      given: [theta],
      data: Dataset.reindexed(batches, (index) => Math.floor(index / steps)),
      optimizer: Optimizer.sgd(rate),
      objective: ({ change, theta }, { x, y }) =>
        tf.mul(tasks, tf.mean(tf.squaredDifference(predict(theta, change, x), y)))
    }).pipe(Level.unroll(steps), Level.restart, Level.hypergradient(Hypergradient.detached))
    const learn = Level.minimize(theta, {
      name: "learn",
      upstream: [adapt],
      data: Dataset.none,
      optimizer: Optimizer.sgd(Rate.linear({ peak: 1, warmup: 0, total: 3000 })),
      objective: ({ change, theta }) => {
        const moves = Tree.leaves(change).map((leaf) => tf.mean(leaf, 0))
        const along = Tree.leaves(theta).map((leaf, i) => tf.sum(tf.mul(leaf, tf.reshape(moves[i]!, leaf.shape))))
        return tf.neg(tf.addN(along)) as tf.Scalar
      }
    })
    return { learned: Problem.close(learn) }
  },
  figures: {
    "error after eight steps": {
      of: ({ learned }, seed) => adapted(learned.theta, sizes, { seed, tasks: 100, shots, steps, rate }),
      atMost: 1.5,
      because: `half of what no task-blind prediction goes below, ${taskBlind}`
    },
    "error before any step": {
      of: ({ learned }, seed) => adapted(learned.theta, sizes, { seed, tasks: 100, shots, steps: 0, rate }),
      atLeast: 2.2,
      because: "without a step the net is task-blind: 3.00567, up to 100 tasks' noise"
    }
  }
})

export default reptile.program
