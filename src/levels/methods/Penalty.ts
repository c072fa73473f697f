/** Methods that replace the response of a lower solution by a second copy of it: first-order, the lower level's value as a penalty. */
import * as tf from "@tensorflow/tfjs-core"
import * as Level from "../../dsl/Level.ts"
import * as Var from "../../dsl/Var.ts"
import * as NdArray from "../../dsl/values/NdArray.ts"
import { positive, whole } from "../../dsl/errors/Numbers.ts"
import type { Method } from "./Composition.ts"
import { changed, copied, pair, refuse, type Vars, withTop } from "./Twin.ts"

interface Penalty {
  /** What the lower level's value is multiplied by, from turns made. */
  readonly weight: (turns: tf.Tensor) => tf.Tensor
  /** What every loss with the penalty is multiplied by, from the penalty's weight; 1 where absent. */
  readonly scale?: (weight: tf.Tensor) => tf.Tensor
  /** Updates a tick of the penalized copy and of the other. */
  readonly updates: readonly [penalized: number, other: number]
  /** Whether the other copy minimizes `weight · g − f` in place of g. */
  readonly central?: boolean
}

/**
 * Beside the lower level's minimizer y of g stands z of `weight · g + f`, and the upper level minimizes `f(z) + weight (g(z) − g(y))` by its own
 * variable: of two sides the mean of that and of what −f in place of f says.
 */
const penalized =
  (method: string, { central = false, scale, updates, weight }: Penalty): Method =>
  (problem) => {
    const { at, copy, data, f, g, lower, reads, upper } = pair(method, problem)
    const name = lower.own.name
    const twin = copy(`${name} twin`)
    // Updates of z so far, from which the weight follows.
    const count = Var.make(`${name} updates`, () => NdArray.scalar(0))
    const twinCount = Var.make(`${name} twin updates`, () => NdArray.scalar(0))
    const weightAt = (made: tf.Tensor, each: number) => weight(tf.floor(tf.div(made, each)))
    const scaled = (loss: tf.Tensor, by: tf.Tensor): tf.Scalar =>
      (scale === undefined ? loss : tf.mul(scale(by), loss)) as tf.Scalar
    const minimizing = (
      counter: Var.Var.Any,
      each: number,
      sign: 1 | -1,
      own: (vars: Vars) => Vars
    ): Partial<Level.Definition> => ({
      given: reads,
      buffers: counter,
      data: data as never,
      objective: ((vars: Vars, batch: object) => {
        const made = vars[counter.name] as tf.Tensor
        const by = weightAt(made, each)
        const [below, above] = [g(own(vars), batch), f(own(vars), batch)]
        const loss = sign === 1 ? tf.add(tf.mul(by, below), above) : tf.sub(tf.mul(by, below), above)
        return { loss: scaled(loss, by), buffers: tf.add(made, 1) }
      }) as never
    })
    const mine = (vars: Vars) => at(vars, vars[twin.name]!)
    const z = copied(
      lower,
      minimizing(count, updates[0], 1, (vars) => vars)
    )
    const own = { name: `${lower.name} twin`, own: twin }
    const y = central
      ? copied(lower, { ...own, ...minimizing(twinCount, updates[1], -1, mine) })
      : copied(lower, {
          ...own,
          objective: (vars: Vars, batch: object) =>
            (lower.objective as unknown as (vars: Vars, batch: object) => unknown)(mine(vars), batch)
        })
    const top = changed(upper, {
      given: reads.filter((each) => each !== upper.own),
      upstream: [Level.repeat(updates[0])(z), Level.repeat(updates[1])(y)],
      data: data as never,
      objective: (vars: Vars, batch: object) => {
        const by = weightAt(tf.sub(vars[count.name] as tf.Tensor, 1), updates[0])
        const there = mine(vars)
        const gap = tf.mul(by, tf.sub(g(vars, batch), g(there, batch)))
        const loss = central
          ? tf.mul(0.5, tf.add(tf.add(f(vars, batch), f(there, batch)), gap))
          : tf.add(f(vars, batch), gap)
        return scaled(loss, by)
      }
    })
    return withTop(problem, top)
  }

const nonNegative = (method: string, what: string, value: number): void => {
  if (!(value >= 0 && Number.isFinite(value))) refuse(method, `${what} is ${value}: give a number of at least 0`)
}

/**
 * F2SA (Kwon et al., "A fully first-order method for stochastic bilevel optimization", ICML 2023): beside the lower level's
 * minimizer y of g stands z of `L g + f`; the upper direction `∂f(z) + L (∂g(z) − ∂g(y))`, all by x, takes no second derivative
 * and is off by O(1/L). Each tick makes `lowerSteps` (10) updates of both, then one of x, then L ← L + `growth` (0.01), from
 * `multiplier` (1).
 *
 * The curvature of z is L times that of g: the lower rate has to stay below 2 / (L λmax) for the L that a run ends with, and as y
 * follows x at the same rate, the upper rate well below. A `growth` of 0 stays with one L; an adaptive lower optimizer sees no L.
 *
 * With two `sides` y is a minimizer of `L g − f` and the upper direction the central difference of what these two say: off by
 * O(1/L²). It needs an L at which `L g − f` has a minimizer.
 *
 * z keeps the lower variable's name, optimizer and initial value; y is `'NAME twin'`. Throws a `RangeError` for problems that are not one
 * level on one other, and unless `multiplier` is positive and `growth` not negative.
 */
export const f2sa = (
  options: {
    readonly multiplier?: number
    readonly growth?: number
    readonly lowerSteps?: number
    readonly sides?: "one" | "two"
  } = {}
): Method => {
  const { growth = 0.01, lowerSteps = 10, multiplier = 1, sides = "one" } = options
  positive("f2sa: multiplier", multiplier)
  whole("f2sa: lowerSteps", lowerSteps, 1)
  nonNegative("f2sa", "growth", growth)
  return penalized("f2sa", {
    weight: (turns) => tf.add(multiplier, tf.mul(growth, turns)),
    updates: [lowerSteps, lowerSteps],
    central: sides === "two"
  })
}

/**
 * PBGD (Shen and Chen, "On penalty-based bilevel gradient descent method", ICML 2023), by the lower level's value: each tick the twin y makes
 * `lowerSteps` (10) updates towards a minimizer of g, then z and x one each along `f + γ (g − g(y))`, times 1/γ where γ is above 1. γ rises
 * in equal steps to `multiplier` (10) over `ramp` ticks (1, at once). Its end is off by O(1/γ). As {@link f2sa}, but for a γ that
 * stays; in the paper z and x move from one snapshot, here z first.
 *
 * Throws a `RangeError` for problems that are not one level on one other, and unless `multiplier` is positive and `ramp` a whole number.
 */
export const pbgd = (
  options: { readonly multiplier?: number; readonly ramp?: number; readonly lowerSteps?: number } = {}
): Method => {
  const { lowerSteps = 10, multiplier = 10, ramp = 1 } = options
  positive("pbgd: multiplier", multiplier)
  whole("pbgd: ramp", ramp, 1)
  whole("pbgd: lowerSteps", lowerSteps, 1)
  return penalized("pbgd", {
    weight: (turns) => tf.mul(multiplier, tf.minimum(tf.div(tf.add(turns, 1), ramp), 1)),
    scale: (weight) => tf.minimum(tf.div(1, weight), 1),
    updates: [1, lowerSteps]
  })
}
