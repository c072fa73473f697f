import * as tf from "@tensorflow/tfjs-core"
import type { Definition } from "../../dsl/Level.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Gradient from "../../tensor/Gradient.ts"
import { after } from "../../tensor/Ordering.ts"
import * as Rounding from "../../tensor/Rounding.ts"
import * as Vector from "../../tensor/Vector.ts"
import { inLevel, StepFailure } from "./Failure.ts"
import { declare } from "./Numbering.ts"
import { type Vars, visible } from "./State.ts"

export { currentLevel, inLevel, StepFailure } from "./Failure.ts"

// Reading a name that is not there would otherwise surface as "undefined is not a tensor" deep inside an operation.
const strict = <A extends object>(level: string, record: A, missing: (key: string) => string): A =>
  new Proxy(record, {
    get: (target, key) => {
      if (typeof key === "string" && !(key in target)) throw new StepFailure(level, missing(key))
      return Reflect.get(target, key)
    }
  })

const list = (names: ReadonlyArray<string>): string => (names.length === 0 ? "nothing" : names.join(", "))

/** A batch on the device. */
export type Batch = { readonly [field: string]: tf.Tensor }

/** What an update takes: a batch, or micro-batches in turn. */
export type UpdateBatch = Batch | ReadonlyArray<Batch>

/** The micro-batches of an update: of most, its one batch. */
export const microBatches = (batch: UpdateBatch): ReadonlyArray<Batch> =>
  Array.isArray(batch) ? (batch as ReadonlyArray<Batch>) : [batch as Batch]

/** What an objective said of one batch. */
export type Said = {
  readonly loss: tf.Scalar
  readonly metrics: { readonly [name: string]: tf.Tensor }
  /** The next value of the level's buffers; empty where it has none. */
  readonly buffers: Tree.Tree
}

/** The next value of a level's buffers, held against the present one. */
const nextOf = (level: Definition, before: Vars, returned: Tree.Tree | undefined): Tree.Tree => {
  if (level.buffers === undefined) {
    if (returned === undefined) return {}
    throw new StepFailure(
      level.name,
      "the objective returned buffers, but the level has none: add `buffers: variable` beside the objective"
    )
  }
  const { name } = level.buffers
  if (returned === undefined) {
    const reason = `the objective returned no buffers: return { loss, buffers } with the next value of '${name}'`
    throw new StepFailure(level.name, reason)
  }
  const form = (leaf: tf.Tensor | undefined) =>
    leaf === undefined ? "nothing" : `${leaf.dtype}[${leaf.shape.join(", ")}]`
  const [was, is] = [before[name]!, returned].map((tree) => new Map(Tree.entries(tree)))
  for (const path of new Set([...was!.keys(), ...is!.keys()])) {
    const [want, found] = [form(was!.get(path)), form(is!.get(path))]
    if (want === found) continue
    const at = path === "" ? `'${name}'` : `'${name}' at '${path}'`
    const reason = `the objective returned ${found} for the buffers ${at}, which hold ${want}: return what they hold`
    throw new StepFailure(level.name, reason)
  }
  return returned
}

/** Loss, metrics and next buffers of one batch, held against what an objective must return. */
export const evaluate = (level: Definition, vars: Vars, batch: { readonly [field: string]: Tree.Tree }): Said =>
  inLevel(level.name, () => {
    declare(level.name, level.data.name, batch)
    const declared = visible(level).map((v) => v.name)
    const seen = Object.fromEntries(declared.map((name) => [name, vars[name]!]))
    const undeclared = (name: string) =>
      `the objective reads variable '${name}', which the level does not declare (it declares ${list(declared)}): ` +
      "add it to given or upstream"
    const absent = (name: string) =>
      `the objective reads field '${name}', which dataset '${level.data.name}' does not have (it has ${list(Object.keys(batch))})`
    const result = level.objective(
      strict(level.name, seen, undeclared) as never,
      strict(level.name, batch, absent) as never
    )
    const { buffers, loss, metrics } = (result instanceof tf.Tensor ? { loss: result } : (result ?? {})) as {
      readonly buffers?: Tree.Tree
      readonly loss?: unknown
      readonly metrics?: Said["metrics"]
    }
    if (!(loss instanceof tf.Tensor)) {
      throw new StepFailure(level.name, "the objective returned no loss: return a scalar tensor, or { loss, metrics }")
    }
    if (loss.rank !== 0 || loss.dtype !== "float32") {
      const remedy = "return a float32 scalar, e.g. tf.mean(losses)"
      throw new StepFailure(
        level.name,
        `the objective returned a ${loss.dtype} tensor of shape [${loss.shape.join(", ")}]: ${remedy}`
      )
    }
    for (const [name, value] of Object.entries(metrics ?? {})) {
      if (!(value instanceof tf.Tensor)) {
        throw new StepFailure(
          level.name,
          `metric '${name}' is ${String(value)}: metrics are tensors, e.g. tf.scalar(${String(value)})`
        )
      }
    }
    return { loss: loss as tf.Scalar, metrics: metrics ?? {}, buffers: nextOf(level, vars, buffers) }
  })

/**
 * What the objective says, and first-order gradients with respect to the variables in `wrt`. `touched` names those of them
 * that the loss was computed from. With a `scale`, gradients are those of the loss times it.
 */
export const gradient = (
  level: Definition,
  vars: Vars,
  batch: { readonly [field: string]: Tree.Tree },
  wrt: ReadonlyArray<string>,
  scale?: tf.Scalar
): Said & { readonly gradient: Vars; readonly touched: ReadonlyArray<string> } => {
  const at = Object.fromEntries(wrt.map((name) => [name, vars[name]!]))
  return inLevel(level.name, () => {
    const found = Gradient.valueAndGradient((x: Vars) => {
      const { buffers, loss, metrics } = evaluate(level, { ...vars, ...x }, batch)
      if (scale === undefined) return [loss, { metrics, buffers }] as const
      return [tf.mul(loss, scale) as tf.Scalar, { metrics, buffers, loss }] as const
    }, at)
    const leaves = Object.entries(at).flatMap(([name, tree]) => Tree.entries(tree).map(() => name))
    const touched = [...new Set(leaves.filter((_, i) => found.touches[i]))]
    return { loss: found.loss, ...found.aux, gradient: found.gradient, touched }
  })
}

type Evaluated = ReturnType<typeof gradient>

/** {@link gradient}, computed in the level's own precision, for its own update: estimators take it in float32. */
const rounded = (
  level: Definition,
  vars: Vars,
  batch: Batch,
  wrt: ReadonlyArray<string>,
  scale: tf.Scalar | undefined
): Evaluated => {
  const format = level.precision?._tag ?? "float32"
  if (format === "float32") return gradient(level, vars, batch, wrt)
  let touched: ReadonlyArray<string> = []
  const seen = Object.fromEntries(visible(level).map(({ name }) => [name, vars[name]!]))
  const found = inLevel(level.name, () =>
    Rounding.rounded(
      format,
      (x: Vars) => {
        const { touched: names, ...rest } = gradient(level, x, batch, wrt, scale)
        touched = names
        return rest
      },
      seen
    )
  )
  return {
    ...found,
    gradient: scale === undefined ? found.gradient : Vector.scale(tf.div(1, scale) as tf.Scalar, found.gradient),
    touched
  }
}
const tidily = (f: () => Evaluated): Evaluated => tf.tidy(f as () => never)

/** Sums of what is averaged over micro-batches, with what the last one left. */
const joined = (sofar: Evaluated, next: Evaluated): Evaluated => ({
  loss: tf.add(sofar.loss, next.loss),
  metrics: Vector.add(sofar.metrics, Tree.map(next.metrics, float)),
  buffers: next.buffers,
  gradient: Vector.add(sofar.gradient, next.gradient),
  touched: [...new Set([...sofar.touched, ...next.touched])]
})

const float = (x: tf.Tensor): tf.Tensor => tf.cast(x, "float32")

/**
 * {@link gradient} over micro-batches: means of losses, metrics and gradients. Each is done with before the next is begun, so
 * that no more is kept of it than its gradient; buffers pass through them in order.
 */
export const accumulated = (
  level: Definition,
  vars: Vars,
  batches: ReadonlyArray<Batch>,
  wrt: ReadonlyArray<string>,
  one: typeof gradient = gradient
): Evaluated => {
  if (batches.length === 1) return one(level, vars, batches[0]!, wrt)
  const carried = (buffers: Tree.Tree): Vars =>
    level.buffers === undefined ? vars : { ...vars, [level.buffers.name]: buffers }
  const [first, ...rest] = batches
  const begin = tidily(() => {
    const found = one(level, vars, first!, wrt)
    return { ...found, metrics: Tree.map(found.metrics, float) }
  })
  const sums = rest.reduce((sofar, batch) => {
    const next = tidily(() =>
      joined(sofar, one(level, carried(sofar.buffers), after(batch, [sofar.gradient, sofar.buffers]), wrt))
    )
    tf.dispose([sofar.loss, ...Tree.leaves([sofar.metrics, sofar.gradient])] as Array<tf.Tensor>)
    return next
  }, begin)
  const { gradient: sum, loss, metrics } = sums
  return { ...sums, ...Vector.scale(1 / batches.length, { gradient: sum, loss, metrics }) }
}

/**
 * {@link accumulated} for the level's own update: computed in its own precision, its loss times `scale` where that is float16.
 * Gradients are those of the loss itself.
 */
export const ownGradient = (
  level: Definition,
  vars: Vars,
  batches: ReadonlyArray<Batch>,
  wrt: ReadonlyArray<string>,
  scale: tf.Scalar | undefined
): Evaluated =>
  accumulated(level, vars, batches, wrt, (level, vars, batch, wrt) => rounded(level, vars, batch as Batch, wrt, scale))
