/** Algebra of sums, products and powers: what a node is instead, where it can be less. */
import { type Graph, type Node, type Shape, sizeOf, uniformValue } from "./Graph.ts"
import { reshape, transpose } from "./Layout.ts"

/** What rules make nodes with. */
export interface Arithmetic {
  readonly graph: Graph
  readonly unary: (op: string, x: Node) => Node
  readonly binary: (op: string, a: Node, b: Node) => Node
}

/** Another node of the same value, if there is a better one; its shape broadcasts to the one wanted. */
type Rule = (make: Arithmetic, a: Node, b: Node) => Node | undefined

const moves = new Set(["reshape", "transpose"])
const movedLike = (g: Graph, like: Node, x: Node): Node =>
  like.op === "reshape" ? reshape(g, x, like.shape) : transpose(g, x, like.attrs["perm"] as Shape)

/** What a node is the negative of, where it is one. */
const opposite = (g: Graph, x: Node): Node | undefined => {
  if (x.op === "neg") return x.inputs[0]!
  const inner = moves.has(x.op) ? opposite(g, x.inputs[0]!) : undefined
  return inner === undefined ? undefined : movedLike(g, x, inner)
}

/** A node as a sum of multiples of others. */
type Combination = ReadonlyMap<Node, number>
const combinations = new WeakMap<Node, Combination>()
const mostTerms = 8

const merged = (a: Combination, b: Combination, factor: number): Combination => {
  const sum = new Map(a)
  for (const [node, times] of b) {
    const total = (sum.get(node) ?? 0) + factor * times
    if (total === 0) sum.delete(node)
    else sum.set(node, total)
  }
  return sum
}
const nothing: Combination = new Map()

const combinationOf = (g: Graph, x: Node): Combination => {
  const known = combinations.get(x)
  if (known !== undefined) return known
  const sum = x.dtype === "float32" ? expanded(g, x) : undefined
  const found = sum === undefined || sum.size === 0 || sum.size > mostTerms ? new Map([[x, 1]]) : sum
  combinations.set(x, found)
  return found
}

const expanded = (g: Graph, x: Node): Combination | undefined => {
  const [a, b] = x.inputs as [Node, Node]
  if (x.op === "add") return merged(combinationOf(g, a), combinationOf(g, b), 1)
  if (x.op === "sub") return merged(combinationOf(g, a), combinationOf(g, b), -1)
  if (x.op === "neg") return merged(nothing, combinationOf(g, a), -1)
  if (moves.has(x.op)) {
    return new Map(
      [...combinationOf(g, a)].map(([node, times]) => [movedLike(g, x, g.broadcast(node, a.shape)), times])
    )
  }
  const factor = x.op === "mul" ? uniformValue(b) : undefined
  return factor === undefined ? undefined : merged(nothing, combinationOf(g, a), factor)
}

/**
 * `a + factor · b`, where all cancels but one term that both have. So the central difference of a gradient that is linear, as
 * that of a proximal term, needs neither of its two evaluations. Other cancellations are left alone: `(1 + x) − 1` and
 * compensated sums are written for what they round to.
 */
const combined = (make: Arithmetic, a: Node, b: Node, factor: number): Node | undefined => {
  const [left, right] = [combinationOf(make.graph, a), combinationOf(make.graph, b)]
  const sum = merged(left, right, factor)
  if (sum.size !== 1) return a === b && sum.size === 0 ? make.graph.scalar(0, a.dtype) : undefined
  const [[node, times]] = [...sum] as [[Node, number]]
  if (!left.has(node) || !right.has(node)) return undefined
  return make.binary("mul", node, make.graph.scalar(times, a.dtype))
}

const add: Rule = (make, a, b) => {
  if (uniformValue(b) === 0) return a
  const [minusA, minusB] = [opposite(make.graph, a), opposite(make.graph, b)]
  if (minusB !== undefined) return make.binary("sub", a, minusB)
  if (minusA !== undefined) return make.binary("sub", b, minusA)
  return combined(make, a, b, 1)
}

const sub: Rule = (make, a, b) => {
  if (uniformValue(b) === 0) return a
  if (uniformValue(a) === 0) return make.unary("neg", b)
  const minusB = opposite(make.graph, b)
  return minusB === undefined ? combined(make, a, b, -1) : make.binary("add", a, minusB)
}

const mul: Rule = (make, a, b) => {
  const n = uniformValue(b)
  if (n === 1) return a
  // Also where the other factor is not finite: what nothing depends on is not computed.
  if (n === 0) return make.graph.scalar(0, a.dtype)
  if (n === -1) return make.unary("neg", a)
  const [minusA, minusB] = [opposite(make.graph, a), opposite(make.graph, b)]
  if (n !== undefined && minusA !== undefined) return make.binary("mul", minusA, make.graph.scalar(-n, a.dtype))
  // Signs move outwards, where sums absorb them.
  if (minusA !== undefined) return make.unary("neg", make.binary("mul", minusA, b))
  if (minusB !== undefined) return make.unary("neg", make.binary("mul", a, minusB))
  return a.dtype === "float32" ? (gathered(make, a, b) ?? gathered(make, b, a)) : undefined
}

/** `(x · y) · one`, with single numbers multiplied by one another before they meet many. */
const gathered = (make: Arithmetic, product: Node, one: Node): Node | undefined => {
  if (product.op !== "mul" || sizeOf(one) > 1) return undefined
  const [x, y] = product.inputs as [Node, Node]
  const inner = sizeOf(y) === 1 ? y : sizeOf(x) === 1 ? x : undefined
  if (inner === undefined || (sizeOf(product) === 1 && inner.values === undefined)) return undefined
  const factor = make.binary("mul", inner, one)
  const value = uniformValue(factor)
  // A product of two constants may leave the range of float32, where multiplying one after the other does not.
  if (value !== undefined && !(Math.abs(value) > 1e-30 && Number.isFinite(value))) return undefined
  return sizeOf(product) === 1 && factor.values === undefined
    ? undefined
    : make.binary("mul", inner === y ? x : y, factor)
}

const div: Rule = (make, a, b) => {
  const n = uniformValue(b)
  if (n === 1) return a
  if (uniformValue(a) === 0) return make.graph.scalar(0, a.dtype)
  // Exactly the same for a power of two, and a product joins other products.
  const exact = n !== undefined && a.dtype === "float32" && Number.isInteger(Math.log2(Math.abs(n)))
  return exact ? make.binary("mul", a, make.graph.scalar(1 / n, "float32")) : undefined
}

const pow: Rule = (make, a, b) => {
  const n = uniformValue(b)
  if (n === 1) return a
  if (n === 2) return make.binary("mul", a, a)
  if (a.dtype !== "float32") return undefined
  return n === 0.5 ? make.unary("sqrt", a) : n === -1 ? make.unary("reciprocal", a) : undefined
}

const max: Rule = (make, a, b) => (a === b ? a : uniformValue(b) === 0 ? make.unary("relu", a) : undefined)
const min: Rule = (_, a, b) => (a === b ? a : undefined)

/** Rules by operation. Where the order of operands is free, a constant comes second. */
export const rules: { readonly [op: string]: Rule } = { add, sub, mul, div, pow, max, min }
