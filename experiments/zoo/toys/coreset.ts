import * as tf from "@tensorflow/tfjs-core"
import { Dataset, Hypergradient, Init, Level, NdArray, Optimizer, Problem, Product, Solver, Var } from "tapweight"
import * as Entry from "../Entry.ts"

const corners = NdArray.float32([4, 2], [1, 3, 3, 1, -2, 2, -3, -2])
/** Outside of the corners' hull, and of those within it nearest to this: the foot on the edge from (1, 3) to (3, 1). */
const target = [3, 2]
const nearest = [2.5, 1.5]

const x = Var.make("x", Init.zeros([2]))
const w = Var.make("w", Init.zeros([4]))

export const coreset = Entry.make({
  name: "coreset",
  card: {
    title: "A coreset of four points: which mixture of them is nearest to a target",
    levels: ["x: ‖Σ softmax(w)ᵢ cᵢ − x‖²", "w: 0.1 ‖x − t‖²"],
    sizes: "4 weights, 2 lower variables",
    data: "none",
    reference: "Ye et al., BOME! Bilevel optimization made easy, NeurIPS 2022, its coreset problem (other points here)",
    published: "curves; the optimum is the projection on the hull"
  },
  ticks: 20_000,
  seeds: 1,
  problems: () => {
    const mix = Level.minimize(x, {
      name: "mix",
      given: [w],
      data: Dataset.constant("corners", { corners }),
      optimizer: Optimizer.sgd(0.25),
      objective: ({ w, x }, { corners }) =>
        tf.sum(tf.squaredDifference(tf.reshape(tf.matMul(tf.reshape(tf.softmax(w), [1, 4]), corners), [2]), x))
    }).pipe(
      Level.unroll(2),
      Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact }))
    )
    const choose = Level.minimize(w, {
      name: "choose",
      upstream: [mix],
      data: Dataset.none,
      optimizer: Optimizer.sgd(1),
      objective: ({ x }) => tf.mul(0.1, tf.sum(tf.squaredDifference(x, target)))
    })
    return { learned: Problem.close(choose) }
  },
  figures: {
    "distance to the projection on the hull": {
      of: ({ learned }) => Math.hypot(...nearest.map((each, i) => each - learned.x.data[i]!)),
      atMost: 0.01,
      because: "the projection is known; softmax nears an edge without reaching it"
    }
  }
})

export default coreset.program
