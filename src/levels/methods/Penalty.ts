/** Methods that replace the response of a lower solution by a second copy of it: first-order, the lower level's value as a penalty. */
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Dataset from "../../dsl/Dataset.ts"
import * as Hypergradient from "../../dsl/Hypergradient.ts"
import * as Level from "../../dsl/Level.ts"
import type * as Problem from "../../dsl/Problem.ts"
import * as Var from "../../dsl/Var.ts"
import * as NdArray from "../../dsl/values/NdArray.ts"
import { positive, whole } from "../../dsl/errors/Numbers.ts"
import type * as Seed from "../../dsl/values/Seed.ts"
import type { Method } from "./Composition.ts"

type Objective = (vars: object, batch: object) => tf.Tensor | { readonly loss: tf.Tensor }
const lossOf = (level: Level.Definition, vars: object, batch: object): tf.Tensor => {
  const said = (level.objective as unknown as Objective)(vars, batch)
  return said instanceof tf.Tensor ? said : said.loss
}

const refuse = (method: string, why: string): never => {
  throw new RangeError(`Method.${method}: ${why}`)
}

/** The two levels that a penalty is made of, or why there are none. */
const pair = (method: string, { top, simultaneous }: Problem.Problem.Any) => {
  const [lower, ...others] = top.upstream
  if (lower === undefined || others.length > 0 || lower.upstream.length > 0) {
    return refuse(
      method,
      `it is for one level on one other, and '${top.name}' has ${top.upstream.length === 1 ? `'${lower!.name}' on others` : `${top.upstream.length} levels`} ` +
        "below it: a penalty for each level would need penalties of penalties; take Method.soba, or merge the levels"
    )
  }
  if (!lower.given.includes(top.own))
    return refuse(method, `'${lower.name}' is not given '${top.own.name}', so that its solution does not respond`)
  if (lower.buffers !== undefined || top.buffers !== undefined)
    return refuse(method, "a level with buffers has no second copy: leave the buffers out")
  if (simultaneous) return refuse(method, "it has an order of its own: drop Problem.simultaneous")
  return { lower, upper: top }
}

/**
 * F2SA (Kwon et al., "A fully first-order method for stochastic bilevel optimization", ICML 2023): beside the lower level's
 * minimizer y of g stands z of `L g + f`; the upper direction `∂f(z) + L (∂g(z) − ∂g(y))`, all by x, takes no second derivative
 * and is off by O(1/L). Each tick makes `lowerSteps` (10) updates of both, then one of x, then L ← L + `growth`.
 *
 * z keeps the lower variable's name, optimizer and initial value; y is `'NAME twin'`. Throws a `RangeError` for problems that are not one
 * level on one other, and unless `multiplier` is positive and `growth` not negative.
 */
export const f2sa =
  (options: { readonly multiplier?: number; readonly growth?: number; readonly lowerSteps?: number } = {}): Method =>
  (problem) => {
    const { growth = 0.01, lowerSteps = 10, multiplier = 1 } = options
    positive("f2sa: multiplier", multiplier)
    whole("f2sa: lowerSteps", lowerSteps, 1)
    if (!(growth >= 0 && Number.isFinite(growth))) refuse("f2sa", `growth is ${growth}: give a number of at least 0`)
    const { lower, upper } = pair("f2sa", problem)
    const [name, twinName] = [lower.own.name, `${lower.own.name} twin`]
    const twin = Var.make(twinName, (seed) => lower.own.init(seed))
    // Updates of z so far, from which L follows.
    const count = Var.make(`${name} updates`, () => NdArray.scalar(0))
    const weight = (updates: tf.Tensor) => tf.add(multiplier, tf.mul(growth, tf.floor(tf.div(updates, lowerSteps))))
    const data = Dataset.join(
      `${lower.data.name} + ${upper.data.name}`,
      prefixed("lower", lower.data),
      prefixed("upper", upper.data)
    )
    const change = (level: Level.Definition, to: Partial<Level.Definition>): Level.Definition =>
      Object.assign(Object.create(Object.getPrototypeOf(level)), level, to)
    const seen = (vars: object, of: string) => ({ ...vars, [name]: (vars as { [name: string]: unknown })[of] })
    const copy = change(lower, {
      name: `${lower.name} twin`,
      own: twin,
      objective: ((vars: object, batch: object) => lossOf(lower, seen(vars, twinName), batch)) as never
    })
    const penalized = change(lower, {
      given: [...new Set([...lower.given, ...upper.given, upper.own])],
      buffers: count,
      data: data as never,
      objective: ((vars: { [name: string]: tf.Tensor }, batch: object) => {
        const updates = vars[count.name]!
        const [g, f] = [lossOf(lower, vars, part("lower", batch)), lossOf(upper, vars, part("upper", batch))]
        return { loss: tf.add(tf.mul(weight(updates), g), f), buffers: tf.add(updates, 1) }
      }) as never
    })
    const held = (level: Level.Definition) =>
      Level.hypergradient(Hypergradient.detached)(Level.repeat(lowerSteps)(level))
    const learning = change(upper, {
      given: [...new Set([...lower.given, ...upper.given])].filter((each) => each !== upper.own),
      upstream: [held(penalized), held(copy)],
      data: data as never,
      objective: ((vars: { [name: string]: tf.Tensor }, batch: object) => {
        const [under, over] = [part("lower", batch), part("upper", batch)]
        const gap = tf.sub(lossOf(lower, vars, under), lossOf(lower, seen(vars, twinName), under))
        const last = tf.sub(vars[count.name]!, 1)
        return tf.add(lossOf(upper, vars, over), tf.mul(weight(last), gap)) as tf.Scalar
      }) as never
    })
    return Object.assign(Object.create(Object.getPrototypeOf(problem)), problem, { top: learning })
  }

/** A dataset whose fields begin with a word, so that two may be joined. */
const prefixed = (word: string, data: Dataset.Dataset.Any): Dataset.Dataset.Any => {
  const named = <A>(fields: { readonly [field: string]: A }): { readonly [field: string]: A } =>
    Object.fromEntries(Object.entries(fields).map(([field, each]) => [`${word}.${field}`, each]))
  return Object.assign(Object.create(Object.getPrototypeOf(data)), data, {
    fields: named(data.fields),
    open: Effect.map(data.open, (draw) => (seed: Seed.Seed, index: number) => Effect.map(draw(seed, index), named))
  })
}

const part = (word: string, batch: object): object =>
  Object.fromEntries(
    Object.entries(batch).flatMap(([field, each]) =>
      field.startsWith(`${word}.`) ? [[field.slice(word.length + 1), each] as const] : []
    )
  )
