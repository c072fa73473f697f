import * as tf from "@tensorflow/tfjs-core"
import { Hypergradient, Level, Mlp, Optimizer, Problem, Product, Var } from "tapweight"
import * as Entry from "../Entry.ts"
import { adapted, none, predict, sinusoids, taskBlind } from "./sinusoid.ts"

const sizes = [1, 40, 40, 1]
const [tasks, shots, rate] = [10, 10, 0.01]

const theta = Var.make("theta", Mlp.init(sizes))
/** What each task of the meta-batch moves away from θ. */
const change = Var.make("change", () => none(sizes, tasks))

export const maml = Entry.make({
  name: "maml",
  card: {
    title: "MAML: an initial net from which one step adapts to a sinusoid",
    levels: [
      "δ: Σ over tasks of the support error of θ + δ, one step from δ = 0",
      "θ: mean query error of θ + δ, through that step"
    ],
    sizes: "nets 1-40-40-1 with softplus, 10 tasks a tick, 10 shots, inner rate 0.01",
    data: "made from the seed",
    reference: "Finn, Abbeel and Levine, Model-agnostic meta-learning, ICML 2017, section 5.1",
    published:
      "curves after 70,000 ticks of 25 tasks; ours is shorter, with softplus for ReLU, so no figure compares. What no task-blind prediction can beat is 3.00567"
  },
  ticks: 6000,
  problems: () => {
    const batches = sinusoids(tasks, shots)
    const adapt = Level.minimize(change, {
      name: "adapt",
      given: [theta],
      data: batches,
      optimizer: Optimizer.sgd(rate),
      // A sum over tasks: each one's step is as if it were alone.
      objective: ({ change, theta }, { x, y }) =>
        tf.mul(tasks, tf.mean(tf.squaredDifference(predict(theta, change, x), y)))
    }).pipe(Level.restart, Level.hypergradient(Hypergradient.unrolled({ steps: 1, product: Product.exact })))
    const learn = Level.minimize(theta, {
      name: "learn",
      upstream: [adapt],
      data: batches,
      optimizer: Optimizer.adam(1e-3),
      objective: ({ change, theta }, { queryX, queryY }) =>
        tf.mean(tf.squaredDifference(predict(theta, change, queryX), queryY))
    })
    return { learned: Problem.close(learn) }
  },
  figures: {
    "error after five steps": {
      of: ({ learned }, seed) => adapted(learned.theta, sizes, { seed, tasks: 200, shots, steps: 5, rate }),
      atMost: 1.5,
      because: `half of what no task-blind prediction goes below, ${taskBlind}`
    },
    "error before any step": {
      of: ({ learned }, seed) => adapted(learned.theta, sizes, { seed, tasks: 200, shots, steps: 0, rate }),
      atLeast: 2.4,
      because: "without a step the net is task-blind: 3.00567, up to 200 tasks' noise"
    }
  }
})

export default maml.program
