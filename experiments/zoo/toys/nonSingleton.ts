import * as tf from "@tensorflow/tfjs-core"
import { Dataset, Hypergradient, Init, Level, Method, Optimizer, Problem, Product, Solver, Var } from "tapweight"
import * as Entry from "../Entry.ts"

const x = Var.make("x", Init.uniform(2, [2]))
const w = Var.make("w", Init.uniform(2, []))

const part = (x: tf.Tensor1D, i: number) => tf.reshape(tf.slice(x, i, 1), [])

/** The lower level says nothing of x₁: every value of it is a solution. */
const problem = () => {
  const lower = Level.minimize(x, {
    name: "lower",
    given: [w],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.1),
    objective: ({ w, x }) => tf.sub(tf.mul(0.5, tf.square(part(x, 0))), tf.mul(w, part(x, 0)))
  }).pipe(
    Level.hypergradient(
      Hypergradient.implicit({
        solver: Solver.damped(Solver.conjugateGradient({ iterations: 2 }), { damping: 1e-4 }),
        product: Product.exact
      })
    )
  )
  const upper = Level.minimize(w, {
    name: "upper",
    upstream: [lower],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.02),
    objective: ({ w, x }) =>
      tf.mul(0.5, tf.add(tf.squaredDifference(w, part(x, 1)), tf.mul(2, tf.squaredDifference(part(x, 0), 1))))
  })
  return Problem.close(upper)
}

const value = ({ w, x }: { readonly w: Numbers; readonly x: Numbers }) =>
  0.5 * (w.data[0]! - x.data[1]!) ** 2 + (x.data[0]! - 1) ** 2
type Numbers = { readonly data: ArrayLike<number> }

export const nonSingleton = Entry.make({
  name: "non-singleton",
  card: {
    title: "A lower level with many solutions, of which the upper one may choose",
    levels: ["x: ½ x₀² − w x₀", "w: ½ (w − x₁)² + (x₀ − 1)²"],
    sizes: "2 lower variables, 1 upper",
    data: "none; all start anywhere in [−2, 2]",
    reference:
      "Ye et al., BOME! Bilevel optimization made easy, NeurIPS 2022, its problem without lower-level singletons",
    published:
      "curves; w = 1, x = (1, 1), where the upper loss is 0. A response leaves x₁ where it starts; a penalty (F2SA) moves it"
  },
  ticks: 6000,
  problems: () => ({ penalized: problem().pipe(Method.f2sa({ multiplier: 4, growth: 0 })), implicit: problem() }),
  figures: {
    "upper loss by a penalty": {
      of: ({ penalized }) => value(penalized),
      atMost: 1e-6,
      because: "the optimum is zero"
    },
    "distance of w to 1, by a penalty": {
      of: ({ penalized }) => Math.abs(penalized.w.data[0]! - 1),
      atMost: 1e-3,
      because: "the solution is known"
    },
    "distance of w to (2 + x₁) / 3, by a response": {
      of: ({ implicit }) => Math.abs(implicit.w.data[0]! - (2 + implicit.x.data[1]!) / 3),
      atMost: 1e-3,
      because: "x₁ answers to nothing below: the best w for the x₁ that stands is reached, and not a NaN"
    }
  }
})

export default nonSingleton.program
