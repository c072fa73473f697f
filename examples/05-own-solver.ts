// A solver of one's own: steepest descent on H u = v, with the exact step along each residual.
// w minimizes ½ wᵀAw − wᵀλ, so w* = A⁻¹λ; λ minimizes ½‖w* − t‖² + ½c‖λ‖², which a t / (1 + c a²) does for each a of A.
//   tapweight run examples/05-own-solver.ts
//   tapweight verify examples/05-own-solver.ts
import * as tf from "@tensorflow/tfjs-core"
import { Config, Dataset, Hypergradient, Init, Level, Optimizer, Problem, Product, Program } from "tapweight"
import { Solver, type Tree, Var, Vector } from "tapweight"

const curvature = [1, 2, 4, 8]
const c = 0.1

/** The system is known by its products only: `product(u)` is H u. Every tree operation is of tensors, without host reads. */
const steepestDescent = (iterations: number): Solver.Solver =>
  Solver.stateless(
    `steepestDescent(${iterations})`,
    { products: iterations, productsPerElement: 0 },
    <T extends Tree.Tree>(product: (u: T) => T, v: T): T => {
      let u = Vector.zeros(v)
      let residual = v
      for (let i = 0; i < iterations; i++) {
        const image = product(residual)
        // A residual of zero has nothing to add, and 0 / 0 would be no number.
        const size = tf.add(Vector.dot(residual, image), 1e-30)
        const step = tf.div(Vector.dot(residual, residual), size) as tf.Scalar
        u = Vector.addScaled(u, step, residual)
        residual = Vector.addScaled(residual, tf.neg(step) as tf.Scalar, image)
      }
      return u
    }
  )

const w = Var.make("w", Init.zeros([4]))
const lambda = Var.make("lambda", Init.zeros([4]))

const solve = Level.minimize(w, {
  name: "solve",
  given: [lambda],
  data: Dataset.none,
  optimizer: Optimizer.sgd(0.1),
  objective: ({ lambda, w }) => tf.sub(tf.mul(0.5, tf.sum(tf.mul(curvature, tf.square(w)))), tf.sum(tf.mul(w, lambda)))
}).pipe(
  Level.unroll(20),
  Level.hypergradient(Hypergradient.implicit({ solver: steepestDescent(20), product: Product.exact }))
)

const choose = Level.minimize(lambda, {
  name: "choose",
  upstream: [solve],
  data: Dataset.none,
  optimizer: Optimizer.adam(0.05),
  objective: ({ lambda, w }) =>
    tf.add(tf.mul(0.5, tf.sum(tf.square(tf.sub(w, 1)))), tf.mul(c / 2, tf.sum(tf.square(lambda))))
})

export default Program.fromProblem({
  name: "own-solver",
  description: "A quadratic problem solved by steepest descent on its curvature",
  config: Config.make({ schema: Program.Common, defaults: { seed: 0, ticks: 4000 } }),
  problem: () => Problem.close(choose)
})
