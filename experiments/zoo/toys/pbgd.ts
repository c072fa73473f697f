import * as tf from "@tensorflow/tfjs-core"
import { Dataset, Hypergradient, Init, Level, Optimizer, Problem, Product, Seed, Solver, Var } from "tapweight"
import * as Entry from "../Entry.ts"

const y = Var.make("y", Init.zeros([]))
/** Starts anywhere in [0, 3]. */
const x = Var.make("x", (seed) => Init.constant(3 * Seed.uniform(seed, 1)[0]!, [])(seed))

/** Local minima of f(x, −x) on [0, 3], to six digits. */
const minima = [0.38236, 1.215145, 2.829642]

export const pbgd = Entry.make({
  name: "pbgd",
  card: {
    title: "A lower level whose curvature changes with x, an upper one with three local minima",
    levels: [
      "y: (x + y)² + x sin²(x + y), solved by y = −x",
      "x: cos(4y + 2) / (1 + exp(2 − 4x)) + ½ ln((4x − 2)² + 1)"
    ],
    sizes: "two numbers",
    data: "none",
    reference: "Shen and Chen, On penalty-based bilevel gradient descent method, ICML 2023, section 6.1",
    published: "a figure of iterates, no numbers; the three minima are known to six digits"
  },
  ticks: 4000,
  problems: () => {
    const lower = Level.minimize(y, {
      name: "lower",
      given: [x],
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective: ({ x, y }) => tf.add(tf.square(tf.add(x, y)), tf.mul(x, tf.square(tf.sin(tf.add(x, y)))))
    }).pipe(
      Level.unroll(5),
      Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact }))
    )
    const upper = Level.minimize(x, {
      name: "upper",
      upstream: [lower],
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.01),
      objective: ({ x, y }) => {
        const slope = tf.sub(tf.mul(4, x), 2)
        return tf.add(
          tf.mul(tf.cos(tf.add(tf.mul(4, y), 2)), tf.sigmoid(slope)),
          tf.mul(0.5, tf.log(tf.add(tf.square(slope), 1)))
        )
      }
    })
    return { learned: Problem.close(upper) }
  },
  figures: {
    "distance to a local minimum": {
      of: ({ learned }) => Math.min(...minima.map((each) => Math.abs(learned.x.data[0]! - each))),
      atMost: 1e-4,
      because: "the minima are known"
    },
    "distance of y to −x": {
      of: ({ learned }) => Math.abs(learned.x.data[0]! + learned.y.data[0]!),
      atMost: 1e-4,
      because: "y = −x solves the lower level"
    }
  }
})

export default pbgd.program
