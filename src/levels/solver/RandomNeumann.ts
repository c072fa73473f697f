import * as tf from "@tensorflow/tfjs-core"
import type { Solver } from "../../dsl/Hypergradient.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import * as Noise from "../../tensor/Noise.ts"
import * as Vector from "../../tensor/Vector.ts"
import { count, positive } from "./Stateless.ts"

/**
 * One term of the Neumann series, drawn at random and weighed so that its mean is their sum: `u = K α (I − αH)ᵖ v` with p uniform in
 * {0, …, K − 1}, K = `terms`, α = `rate`. What BSA (Ghadimi and Wang, "Approximation methods for bilevel programming", 2018), TTSA
 * and SUSTAIN take. Its mean is `neumann({ terms: K − 1, rate })`; its variance grows with K, and what it saves are no products
 * here, since a step has a fixed form: the products of all terms are made, and one of them is used.
 *
 * p is a function of `seed`, 0 where absent, and of a counter that is kept in the run's state.
 *
 * Throws a `RangeError` unless `terms` is a positive whole number and `rate` is positive.
 *
 * ```ts
 * Solver.randomNeumann({ terms: 10, rate: 0.1 }).name // => "randomNeumann(10, 0.1)"
 * ```
 */
export const randomNeumann = (options: {
  readonly terms: number
  readonly rate: number
  readonly seed?: number
}): Solver => {
  const { rate, seed, terms } = options
  count("randomNeumann", "terms", terms, 1)
  positive("randomNeumann", "rate", rate)
  const word = Seed.fold(Seed.make(seed ?? 0), "randomNeumann").key[0]! | 0
  return {
    name: `randomNeumann(${terms}, ${rate}${seed === undefined ? "" : `, seed=${seed}`})`,
    cost: { products: terms - 1, productsPerElement: 0 },
    preconditioned: false,
    keeps: true,
    init: () => ({ drawn: tf.scalar(0, "int32") }),
    update: (product, v, state) => {
      const { drawn } = state as { readonly drawn: tf.Scalar }
      const key = tf.stack([drawn, tf.scalar(word, "int32")]) as tf.Tensor1D
      const chosen = tf.floor(tf.mul(Noise.uniform(key, []), terms))
      const weight = (p: number) => tf.mul(terms * rate, tf.cast(tf.equal(chosen, p), "float32")) as tf.Scalar
      let power = v
      let u = Vector.scale(weight(0), power)
      for (let p = 1; p < terms; p++) {
        power = Vector.addScaled(power, -rate, product(power))
        u = Vector.addScaled(u, weight(p), power)
      }
      return [u, { drawn: tf.add(drawn, tf.scalar(1, "int32")) }]
    }
  }
}
