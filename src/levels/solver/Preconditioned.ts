import type * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../../dsl/Hypergradient.ts"
import * as Vector from "../../tensor/Vector.ts"
import { checked, count, least, shrinkage } from "./Stateless.ts"

const diverges =
  "the series diverges: the level's own learning rate is too high for the curvature, or the curvature is negative along the " +
  "solve: lower that rate, take fewer terms, or use Solver.damped"

/**
 * `u = Σⱼ₌₀..K (I − DH)ʲ D v` with K = `terms`: the Neumann series whose rate is the level's own optimizer, D being the
 * `Hypergradient.Preconditioner` at the level's last update. For gradient descent of rate η it is `neumann({ terms, rate: η })`.
 *
 * Converges to H⁻¹v as terms grow where the eigenvalues of DH lie in (0, 2); D has no sign of its own for Adam, whose
 * first update after a start is almost a sign and so has almost no derivative.
 */
export const preconditioned = (options: { readonly terms: number }): Solver => {
  const { terms } = options
  count("preconditioned", "terms", terms, 0)
  return checked(
    `preconditioned(${terms})`,
    { products: terms, productsPerElement: 0 },
    diverges,
    (product, v, precondition) => {
      let u = precondition(v)
      let soundness: tf.Scalar | undefined
      for (let j = 0; j < terms; j++) {
        const residual = Vector.subtract(v, product(u))
        soundness = least(soundness, shrinkage(v, residual))
        u = Vector.add(u, precondition(residual))
      }
      return [u, soundness]
    },
    true
  )
}

/**
 * SAMA (Choe et al., "Making scalable meta learning practical", NeurIPS 2023): `u = D v`, the inverse Hessian replaced by
 * what the optimizer would have done with v. Costs what `identity` costs and is `preconditioned({ terms: 0 })`.
 *
 * D is the derivative of the last update, which the run keeps, at the gradient, moments and clock of that update: then the
 * hypergradient is that of one unrolled step, but for the mixed derivative, which is taken at the present iterate. It
 * follows from the optimizer whatever the optimizer is, so it carries the learning rate and Adam's bias corrections. Betty's
 * `sama` has a closed form for Adam, with the rate and without bias corrections, and D = I without the rate for SGD.
 */
export const sama: Solver = { ...preconditioned({ terms: 0 }), name: "sama" }
