import * as tf from "@tensorflow/tfjs-core"
import * as Dataset from "../../dsl/Dataset.ts"
import { positive, whole } from "../../dsl/errors/Numbers.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Gradient from "../../tensor/Gradient.ts"
import * as Vector from "../../tensor/Vector.ts"
import type { Method } from "./Composition.ts"
import { changed, copied, pair, refuse, type Vars, withTop } from "./Twin.ts"

/**
 * BOME (Ye et al., "BOME! Bilevel optimization made easy: a simple first-order approach", NeurIPS 2022): both variables move from one snapshot
 * along `∇f + λ q`, where q is the gradient of `g(z) − g(y)` with y found anew from z by `lowerSteps` (10) gradient steps of `rate` on g, held
 * constant, and `λ = max(η ‖q‖² − ⟨∇f, q⟩, 0) / ‖q‖²` makes q fall at least as η (`barrier`, ½) asks. First-order, and without a second
 * variable. How far it ends from the optimum is set by `lowerSteps`: y is not the minimizer.
 *
 * The levels report `multiplier`, λ. Throws a `RangeError` for problems that are not one level on one other, and unless the numbers are positive.
 */
export const bome =
  (options: { readonly rate: number; readonly lowerSteps?: number; readonly barrier?: number }): Method =>
  (problem) => {
    const { barrier = 0.5, lowerSteps = 10, rate } = options
    positive("bome: rate", rate)
    positive("bome: barrier", barrier)
    whole("bome: lowerSteps", lowerSteps, 1)
    const { at, data: joined, f, g, lower, reads, upper } = pair("bome", problem)
    if (JSON.stringify(lower.schedule) !== JSON.stringify(upper.schedule) || lower.schedule.unroll > 1) {
      refuse(
        "bome",
        `'${lower.name}' and '${upper.name}' have schedules of their own, and it moves both at once: drop them`
      )
    }
    const [x, z] = [upper.own.name, lower.own.name]
    // Both levels take the same batch, so that both have the same λ.
    const data = Dataset.shared(joined as Dataset.Dataset<Tree>)
    const gapAt = (vars: Vars, y: Tree, batch: object) => tf.sub(g(vars, batch), g(at(vars, y), batch)) as tf.Scalar
    const gradientOf = (loss: (vars: Vars) => tf.Scalar, vars: Vars): Vars =>
      Gradient.valueAndGradient((at: Vars) => [loss({ ...vars, ...at }), {}] as const, {
        [x]: vars[x]!,
        [z]: vars[z]!
      }).gradient
    const found = (vars: Vars, batch: object) =>
      Gradient.constant(() => {
        let y = vars[z]!
        for (let step = 0; step < lowerSteps; step++) {
          const slope = Gradient.valueAndGradient((own: Tree) => [g(at(vars, own), batch), {}] as const, y).gradient
          y = Vector.addScaled(y, -rate, slope)
        }
        const q = gradientOf((moved) => gapAt(moved, y, batch), vars)
        const along = Vector.dot(
          gradientOf((moved) => f(moved, batch), vars),
          q
        )
        const squared = Vector.dot(q, q)
        const wanted = tf.maximum(tf.sub(tf.mul(barrier, squared), along), 0)
        return { y, multiplier: tf.divNoNan(wanted, squared) as tf.Scalar }
      })
    const objective = (vars: Vars, batch: object) => {
      const { multiplier, y } = found(vars, batch)
      const loss = tf.add(f(vars, batch), tf.mul(multiplier, gapAt(vars, y, batch)))
      return { loss, metrics: { multiplier } }
    }
    const below = copied(lower, { given: reads, data: data as never, objective })
    const top = changed(upper, {
      given: reads.filter((each) => each !== upper.own),
      upstream: [below],
      data: data as never,
      objective
    })
    return withTop(problem, top, true)
  }
