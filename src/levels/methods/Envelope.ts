import * as tf from "@tensorflow/tfjs-core"
import * as Var from "../../dsl/Var.ts"
import * as NdArray from "../../dsl/values/NdArray.ts"
import { positive } from "../../dsl/errors/Numbers.ts"
import * as Vector from "../../tensor/Vector.ts"
import type { Method } from "./Composition.ts"
import { changed, copied, pair, type Vars, withTop } from "./Twin.ts"

/**
 * MEHA (Liu et al., "Moreau envelope for nonconvex bi-level optimization: a single-loop and Hessian-free solution strategy", ICML 2024): the
 * penalty is `g − min over θ of g(θ) + ½γ ‖θ − z‖²`, whose value needs no minimizer of g, so that g may be nonconvex. Each tick makes one
 * update of the twin θ, then one of z along `f/c + g − ½γ ‖z − θ‖²`, then one of x along `f/c + g(z) − g(θ)`, with `c = multiplier (t + 1)^growth`:
 * 1 and ¼ where absent, as `proximal`, γ, is 1. The optimizers are the levels' own.
 *
 * Throws a `RangeError` for problems that are not one level on one other, and unless the numbers are positive.
 */
export const meha =
  (options: { readonly multiplier?: number; readonly growth?: number; readonly proximal?: number } = {}): Method =>
  (problem) => {
    const { growth = 0.25, multiplier = 1, proximal = 1 } = options
    positive("meha: multiplier", multiplier)
    positive("meha: proximal", proximal)
    if (!(growth >= 0 && Number.isFinite(growth)))
      throw new RangeError(`meha: growth is ${growth}; give a number of at least 0`)
    const { at, copy, data, f, g, lower, reads, upper } = pair("meha", problem)
    const name = lower.own.name
    const twin = copy(`${name} twin`)
    const count = Var.make(`${name} updates`, () => NdArray.scalar(0))
    const apart = (vars: Vars): tf.Tensor => {
      const between = Vector.subtract(vars[name]!, vars[twin.name]!)
      return tf.mul(proximal / 2, Vector.dot(between, between))
    }
    const share = (made: tf.Tensor): tf.Tensor => tf.div(tf.exp(tf.mul(-growth, tf.log(tf.add(made, 1)))), multiplier)
    const mine = (vars: Vars) => at(vars, vars[twin.name]!)
    const envelope = copied(lower, {
      name: `${lower.name} twin`,
      own: twin,
      given: [...reads, lower.own],
      data: data as never,
      objective: (vars: Vars, batch: object) => tf.add(g(mine(vars), batch), apart(vars))
    })
    const z = copied(lower, {
      given: reads,
      upstream: [envelope],
      buffers: count,
      data: data as never,
      objective: (vars: Vars, batch: object) => {
        const made = vars[count.name] as tf.Tensor
        const loss = tf.add(tf.mul(share(made), f(vars, batch)), tf.sub(g(vars, batch), apart(vars)))
        return { loss, buffers: tf.add(made, 1) }
      }
    })
    const top = changed(upper, {
      given: reads.filter((each) => each !== upper.own),
      upstream: [z, envelope],
      data: data as never,
      objective: (vars: Vars, batch: object) => {
        const gap = tf.sub(g(vars, batch), g(mine(vars), batch))
        return tf.add(tf.mul(share(tf.sub(vars[count.name] as tf.Tensor, 1)), f(vars, batch)), gap)
      }
    })
    return withTop(problem, top)
  }
