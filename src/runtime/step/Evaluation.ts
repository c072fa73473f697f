import * as tf from "@tensorflow/tfjs-core"
import type { Definition } from "../../dsl/Level.ts"
import { entries, type Tree } from "../../dsl/Tree.ts"
import * as Gradient from "../../tensor/Gradient.ts"
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

/** What an objective said of one batch. */
export type Said = {
  readonly loss: tf.Scalar
  readonly metrics: { readonly [name: string]: tf.Tensor }
  /** The next value of the level's buffers; empty where it has none. */
  readonly buffers: Tree
}

/** The next value of a level's buffers, held against the present one. */
const nextOf = (level: Definition, before: Vars, returned: Tree | undefined): Tree => {
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
  const [was, is] = [before[name]!, returned].map((tree) => new Map(entries(tree)))
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
export const evaluate = (level: Definition, vars: Vars, batch: { readonly [field: string]: Tree }): Said =>
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
      readonly buffers?: Tree
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
 * that the loss was computed from.
 */
export const gradient = (
  level: Definition,
  vars: Vars,
  batch: { readonly [field: string]: Tree },
  wrt: ReadonlyArray<string>
): Said & { readonly gradient: Vars; readonly touched: ReadonlyArray<string> } => {
  const at = Object.fromEntries(wrt.map((name) => [name, vars[name]!]))
  return inLevel(level.name, () => {
    const found = Gradient.valueAndGradient((x: Vars) => {
      const { buffers, loss, metrics } = evaluate(level, { ...vars, ...x }, batch)
      return [loss, { metrics, buffers }] as const
    }, at)
    const leaves = Object.entries(at).flatMap(([name, tree]) => entries(tree).map(() => name))
    const touched = [...new Set(leaves.filter((_, i) => found.touches[i]))]
    return { loss: found.loss, ...found.aux, gradient: found.gradient, touched }
  })
}
