/** A level on one other with copies of the lower variable beside it: what value-function methods are made of. */
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Dataset from "../../dsl/Dataset.ts"
import * as Hypergradient from "../../dsl/Hypergradient.ts"
import * as Level from "../../dsl/Level.ts"
import type * as Problem from "../../dsl/Problem.ts"
import type * as Seed from "../../dsl/values/Seed.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Var from "../../dsl/Var.ts"

type Objective = (vars: object, batch: object) => tf.Tensor | { readonly loss: tf.Tensor }
/** Values by variable name. */
export type Vars = { readonly [variable: string]: Tree }
/** A loss of values and of a batch that has the fields of both levels. */
export type Loss = (vars: Vars, batch: object) => tf.Scalar

/** Throws a `RangeError` that says why a problem has no such method. */
export const refuse = (method: string, why: string): never => {
  throw new RangeError(`Method.${method}: ${why}`)
}

/** The two levels of a problem, and what copies of the lower one are made with. */
export interface Pair {
  readonly lower: Level.Definition
  readonly upper: Level.Definition
  /** The lower and upper loss, of one batch. */
  readonly g: Loss
  readonly f: Loss
  /** Batches with the fields of both levels. */
  readonly data: Dataset.Dataset.Any
  /** The values with the lower variable replaced. */
  readonly at: (vars: Vars, lower: Tree) => Vars
  /** What the lower objective reads beside its own variable, and the upper variable first. */
  readonly reads: ReadonlyArray<Var.Var.Any>
  /** A copy of the lower variable, of this name. */
  readonly copy: (name: string) => Var.Var.Any
}

interface Change extends Partial<Omit<Level.Definition, "objective">> {
  readonly objective?: (vars: never, batch: never) => unknown
}

/** A level of this one's, changed. */
export const changed = (level: Level.Definition, to: Change): Level.Definition =>
  Object.assign(Object.create(Object.getPrototypeOf(level)), level, to)

/** A level of this one's, changed, which answers to nothing above it. */
export const copied = (level: Level.Definition, to: Change): Level.Definition =>
  Level.hypergradient(Hypergradient.detached)(changed(level, to))

/** The problem whose top is this level. */
export const withTop = <P extends Problem.Problem.Any>(problem: P, top: Level.Definition, simultaneous = false): P =>
  Object.assign(Object.create(Object.getPrototypeOf(problem)), problem, { top, simultaneous })

const lossOf = (level: Level.Definition, prefix: string): Loss => {
  const objective = level.objective as unknown as Objective
  return (vars, batch) => {
    const said = objective(vars, part(prefix, batch))
    return (said instanceof tf.Tensor ? said : said.loss) as tf.Scalar
  }
}

/** The two levels that a method is for, or a `RangeError` that says why there are none. */
export const pair = (method: string, { simultaneous, top, upperFirst }: Problem.Problem.Any): Pair => {
  const [only, ...others] = top.upstream
  if (only === undefined || others.length > 0 || only.upstream.length > 0) {
    const beneath =
      top.upstream.length === 1
        ? `'${only!.name}' on others`
        : `${top.upstream.length === 0 ? "no" : top.upstream.length} levels`
    return refuse(
      method,
      `it is for one level on one other, and '${top.name}' has ${beneath} below it: a penalty for each level would need ` +
        "penalties of penalties; take Method.soba, or merge the levels"
    )
  }
  // A method says how many updates a tick has.
  const lower = Level.unroll(1)(only)
  if (!lower.given.includes(top.own))
    return refuse(method, `'${lower.name}' is not given '${top.own.name}', so that its solution does not respond`)
  if (lower.buffers !== undefined || top.buffers !== undefined)
    return refuse(method, "a level with buffers has no second copy: leave the buffers out")
  if (simultaneous || upperFirst === true)
    return refuse(method, "it has an order of its own: drop Problem.simultaneous and Problem.upperFirst")
  const data = Dataset.join(
    `${lower.data.name} + ${top.data.name}`,
    prefixed("lower", lower.data),
    prefixed("upper", top.data)
  )
  const { name } = lower.own
  return {
    lower,
    upper: top,
    g: lossOf(lower, "lower"),
    f: lossOf(top, "upper"),
    data,
    at: (vars, own) => ({ ...vars, [name]: own }),
    reads: [...new Set([top.own, ...lower.given, ...top.given])],
    copy: (name) => Var.make(name, (seed) => lower.own.init(seed))
  }
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
