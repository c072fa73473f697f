import * as tf from "@tensorflow/tfjs-core"
import { Dataset, Hypergradient, Init, Level, Optimizer, Problem, Product, Solver, Var } from "tapweight"
import * as Entry from "../Entry.ts"

const x = Var.make("x", Init.uniform(3, []))
const w = Var.make("w", Init.uniform(3, []))

/** x against w over x w: whether x sees that w answers it. */
const game = (estimator: Hypergradient.Hypergradient) => {
  const raise = Level.minimize(w, {
    name: "raise",
    given: [x],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.1).pipe(Optimizer.clamp({ minimum: -10, maximum: 10 })),
    objective: ({ w, x }) => tf.neg(tf.mul(x, w))
  }).pipe(Level.hypergradient(estimator))
  const lower = Level.minimize(x, {
    name: "lower",
    upstream: [raise],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.1).pipe(Optimizer.clamp({ minimum: -10, maximum: 10 })),
    objective: ({ w, x }) => tf.mul(x, w)
  })
  return Problem.simultaneous(Problem.close(lower))
}

export const minimax = Entry.make({
  name: "minimax",
  card: {
    title: "A minimax game, x w, that plain gradients run away from",
    levels: ["w: −x w on [−10, 10]", "x: x w on [−10, 10]"],
    sizes: "two numbers",
    data: "none; both start anywhere in [−3, 3]",
    reference: "Ye et al., BOME! Bilevel optimization made easy, NeurIPS 2022, its minimax problem",
    published:
      "curves; the saddle is (0, 0). The lower curvature is zero: only a damped solve answers, here (0 + ρ)⁻¹ with ρ = 1"
  },
  ticks: 3000,
  problems: () => ({
    learned: game(
      Hypergradient.implicit({
        solver: Solver.damped(Solver.conjugateGradient({ iterations: 1 }), { damping: 1 }),
        product: Product.exact
      })
    ),
    plain: game(Hypergradient.detached)
  }),
  figures: {
    "distance to the saddle": {
      of: ({ learned }) => Math.hypot(learned.x.data[0]!, learned.w.data[0]!),
      atMost: 1e-6,
      because: "x sees the answer to it"
    },
    "distance to the saddle, w taken as a constant": {
      of: ({ plain }) => Math.hypot(plain.x.data[0]!, plain.w.data[0]!),
      atLeast: 5,
      because: "simultaneous gradients spiral outwards until the bounds hold them"
    }
  }
})

export default minimax.program
