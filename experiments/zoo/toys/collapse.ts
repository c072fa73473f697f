import * as tf from "@tensorflow/tfjs-core"
import {
  Dataset,
  Diagnose,
  Hypergradient,
  Init,
  Level,
  NdArray,
  Optimizer,
  Problem,
  Product,
  Solver,
  Var
} from "tapweight"
import * as Closed from "../Closed.ts"
import * as Entry from "../Entry.ts"

const points = 20
const circle = Float32Array.from({ length: 2 * points }, (_, i) =>
  (i % 2 === 0 ? Math.cos : Math.sin)((2 * Math.PI * Math.floor(i / 2)) / points)
)
const target = [0.3, 0.1]

const z = Var.make("z", () => NdArray.float32([2], [-2, 1]))
const beta = Var.make("beta", Init.zeros([points]))

/** Both levels and the adjoint move at once, in one step each: SOBA. */
const soba = (inner: number, outer: number) => {
  const place = Level.minimize(z, {
    name: "place",
    given: [beta],
    data: Dataset.constant("circle", { x: NdArray.float32([points, 2], circle) }),
    optimizer: Optimizer.sgd(inner),
    objective: ({ beta, z }, { x }) =>
      tf.mul(0.5, tf.sum(tf.mul(tf.softmax(beta), tf.sum(tf.squaredDifference(tf.reshape(z, [1, 2]), x), 1))))
  }).pipe(
    Level.hypergradient(
      Hypergradient.implicit({ solver: Solver.warm(Solver.neumann({ terms: 0, rate: inner })), product: Product.exact })
    )
  )
  const weigh = Level.minimize(beta, {
    name: "weigh",
    upstream: [place],
    data: Dataset.none,
    optimizer: Optimizer.sgd(outer),
    objective: ({ z }) => tf.mul(0.5, tf.sum(tf.squaredDifference(z, target)))
  })
  return Problem.simultaneous(Problem.close(weigh))
}

/** Φ: how far the weighted mean is from the target. */
const gap = (beta: ArrayLike<number>) => {
  const shares = Closed.softmax(beta)
  const mean = [0, 1].map((axis) => shares.reduce((sum, share, i) => sum + share * circle[2 * i + axis]!, 0))
  return 0.5 * mean.reduce((sum, each, axis) => sum + (each - target[axis]!) ** 2, 0)
}

export const collapse = Entry.make({
  name: "collapse",
  card: {
    title: "Weights that collapse when the upper level is too fast for the lower one",
    levels: ["z: ½ Σ softmax(β)ᵢ ‖z − xᵢ‖², xᵢ on the unit circle", "β: ½ ‖z − t‖², t within it"],
    sizes: "20 weights, 2 lower variables",
    data: "none",
    reference: "Ivanova and Ablin, arXiv 2310.17386 (the effect); the setting is ours",
    published:
      "the effect, without this setting. Our double-precision loop: 16.36 weights that count at steps 0.1 and 0.01, 1.00 at 0.02 and 100"
  },
  ticks: 20_000,
  seeds: 1,
  problems: () => ({ slow: soba(0.1, 0.01), level: soba(0.1, 1), fast: soba(0.02, 100) }),
  figures: {
    "weights that count, slow upper level": {
      of: ({ slow }) => Diagnose.spread(Closed.softmax(slow.beta.data)).effective,
      atLeast: 16,
      because: "the exact hypergradient ends with 16.37"
    },
    "Φ, level": { of: ({ level }) => gap(level.beta.data), atMost: 1e-6, because: "the target lies within the circle" },
    "weights that count, fast upper level": {
      of: ({ fast }) => Diagnose.spread(Closed.softmax(fast.beta.data)).effective,
      atMost: 1.01,
      because: "it has to collapse: this is the alarm's fixture"
    },
    "Φ, fast": { of: ({ fast }) => gap(fast.beta.data), atLeast: 0.2, because: "what collapsed is no solution" }
  }
})

export default collapse.program
