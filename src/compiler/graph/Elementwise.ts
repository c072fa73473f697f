/** Operations on each element by itself, simplified as they are made: constants fold, broadcasts sink towards results. */
import { CompileError } from "./CompileError.ts"
import { type Dtype, type Graph, type Node, type Shape, core, none, sameShape, sizeOf, uniformValue } from "./Graph.ts"
import { type Arithmetic, rules } from "./Algebra.ts"
import { inLayout, layoutOf, reshape, transpose } from "./Layout.ts"

const round = Math.fround

/** What each unary operation computes; also the list of those there are. */
export const unaries: { readonly [op: string]: (x: number) => number } = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
  ceil: Math.ceil,
  // To even at halves, as every engine rounds.
  round: (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)),
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sqrt: Math.sqrt,
  reciprocal: (x) => 1 / x,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  relu: (x) => Math.max(x, 0),
  tanh: Math.tanh,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh
}

/** Folded only where a whole graph would otherwise depend on it; their own kernels are otherwise as good. */
export const unfolded: ReadonlySet<string> = new Set(["erf", "isNan", "isInf", "not"])

/** What each arithmetic operation of two numbers computes. */
export const arithmetic: { readonly [op: string]: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  floorDiv: (a, b) => Math.floor(a / b),
  // With the sign of the divisor.
  mod: (a, b) => (a < 0 === b < 0 || a % b === 0 ? a % b : (a % b) + b),
  pow: Math.pow,
  max: Math.max,
  min: Math.min
}

/** What each comparison computes. */
export const comparisons: { readonly [op: string]: (a: number, b: number) => boolean } = {
  equal: (a, b) => a === b,
  notEqual: (a, b) => a !== b,
  greater: (a, b) => a > b,
  greaterEqual: (a, b) => a >= b,
  less: (a, b) => a < b,
  lessEqual: (a, b) => a <= b
}

/** What each operation on truth values computes. */
export const logical: { readonly [op: string]: (a: number, b: number) => boolean } = {
  and: (a, b) => a !== 0 && b !== 0,
  or: (a, b) => a !== 0 || b !== 0
}

const commutative = new Set(["add", "mul", "max", "min", "equal", "notEqual", "and", "or"])
const largestFolded = 64

/** The shape two operands broadcast to. */
export const broadcastShape = (op: string, a: Shape, b: Shape): Shape => {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, i) => {
    const m = a[i - rank + a.length] ?? 1
    const n = b[i - rank + b.length] ?? 1
    if (m !== n && m !== 1 && n !== 1) {
      throw new CompileError({
        op,
        level: "",
        reason: `shapes [${a.join(", ")}] and [${b.join(", ")}] do not broadcast`
      })
    }
    return m === 1 ? n : m
  })
}

const stored = (dtype: Dtype, value: number): number =>
  dtype === "float32" ? round(value) : dtype === "int32" ? value | 0 : Number(value !== 0)

const foldable = (x: Node): boolean => x.values !== undefined && sizeOf(x) <= largestFolded

/** `op` of each element. */
export const unary = (g: Graph, op: string, x: Node): Node => {
  const inner = core(x)
  if (inner !== x) return g.broadcast(unary(g, op, inner), x.shape)
  const dtype = op === "not" || op === "isNan" || op === "isInf" ? "bool" : x.dtype
  const f = unaries[op]
  if (f !== undefined && foldable(x))
    return g.const(
      Array.from(x.values!, (v) => stored(dtype, f(v))),
      x.shape,
      dtype
    )
  if (f === undefined && !unfolded.has(op))
    throw new CompileError({ op, level: "", reason: "is not a unary operation of graphs" })
  if (op === "neg") {
    if (x.op === "neg") return x.inputs[0]!
    if (x.op === "sub") return binary(g, "sub", x.inputs[1]!, x.inputs[0]!)
  }
  if ((op === "relu" || op === "abs") && x.op === op) return x
  if (x.op === "transpose") return transpose(g, unary(g, op, x.inputs[0]!), x.attrs["perm"] as Shape)
  if (x.op === "reshape") return reshape(g, unary(g, op, x.inputs[0]!), x.shape)
  return g.node(op, [x], none, x.shape, dtype)
}

/** The elements in another type, as TensorFlow.js converts them: towards zero, and to whether they are not zero. */
export const cast = (g: Graph, x: Node, dtype: Dtype): Node => {
  if (x.dtype === dtype) return x
  const inner = core(x)
  if (inner !== x) return g.broadcast(cast(g, inner, dtype), x.shape)
  if (foldable(x))
    return g.const(
      Array.from(x.values!, (v) => stored(dtype, v)),
      x.shape,
      dtype
    )
  if (x.op === "cast" && x.inputs[0]!.dtype === "bool") return cast(g, x.inputs[0]!, dtype)
  if (x.op === "reshape") return reshape(g, cast(g, x.inputs[0]!, dtype), x.shape)
  if (x.op === "transpose") return transpose(g, cast(g, x.inputs[0]!, dtype), x.attrs["perm"] as Shape)
  return g.node("cast", [x], { to: dtype }, x.shape, dtype)
}

/** `op` of two tensors, element by element, with broadcasting. */
export const binary = (g: Graph, op: string, a: Node, b: Node): Node => {
  const shape = broadcastShape(op, a.shape, b.shape)
  const [x, y] = [lean(core(a), core(b)), lean(core(b), core(a))]
  // What is only repeated is computed once and repeated afterwards.
  const small = broadcastShape(op, x.shape, y.shape)
  return g.broadcast(simplified(g, op, x, y, small), shape)
}

// A single number needs no reshape where many broadcast it anyway.
const lean = (x: Node, other: Node): Node => {
  const source = x.op === "reshape" && sizeOf(x) === 1 && sizeOf(other) > 1 ? x.inputs[0]! : x
  return source.shape.length <= other.shape.length ? source : x
}

const arithmeticOf = (graph: Graph): Arithmetic => ({
  graph,
  unary: (op, x) => unary(graph, op, x),
  binary: (op, a, b) => binary(graph, op, a, b)
})

const simplified = (g: Graph, op: string, a: Node, b: Node, shape: Shape): Node => {
  const f = arithmetic[op]
  const test = comparisons[op] ?? logical[op]
  const dtype: Dtype = f === undefined ? "bool" : a.dtype
  if (f === undefined && test === undefined)
    throw new CompileError({ op, level: "", reason: "is not a binary operation of graphs" })
  if (foldable(a) && foldable(b) && (sizeOf(a) === 1 || sizeOf(b) === 1 || sameShape(a.shape, b.shape))) {
    const [u, v] = [a.values!, b.values!]
    const length = Math.max(u.length, v.length)
    const at = (values: typeof u, i: number) => values[values.length === 1 ? 0 : i]!
    const results = Array.from({ length }, (_, i) => {
      const [m, n] = [at(u, i), at(v, i)]
      return f === undefined ? Number(test!(m, n)) : stored(dtype, f(m, n))
    })
    return g.const(results, shape, dtype)
  }
  // A constant, if there is one, comes second where the order is free.
  const swap = commutative.has(op) && (foldable(a) || (a.id > b.id && !foldable(b)))
  const [x, y] = swap ? [b, a] : [a, b]
  const better = rules[op]?.(arithmeticOf(g), x, y)
  return better === undefined ? plain(g, op, x, y, shape, dtype) : g.broadcast(better, shape)
}

// Nothing to simplify: moves of elements wait until after the work.
const plain = (g: Graph, op: string, a: Node, b: Node, shape: Shape, dtype: Dtype): Node => {
  if (a.op === "reshape" && sameShape(a.shape, shape)) {
    const inner = a.inputs[0]!
    const alike = b.op === "reshape" && sameShape(b.inputs[0]!.shape, inner.shape)
    const other = sizeOf(b) === 1 ? reshape(g, b, []) : alike ? b.inputs[0]! : undefined
    if (other !== undefined) return reshape(g, binary(g, op, inner, other), shape)
  }
  const perm = layoutOf([a, b], shape)
  if (perm !== undefined) return transpose(g, binary(g, op, inLayout(g, a, perm), inLayout(g, b, perm)), perm)
  return g.node(op, [a, b], none, shape, dtype)
}

/** `a` where the condition holds, else `b`. */
export const select = (g: Graph, condition: Node, a: Node, b: Node): Node => {
  const shape = broadcastShape("select", condition.shape, broadcastShape("select", a.shape, b.shape))
  const decided = uniformValue(condition)
  if (decided !== undefined) return g.broadcast(decided !== 0 ? a : b, shape)
  const parts = [core(condition), core(a), core(b)] as const
  const small = broadcastShape("select", parts[0].shape, broadcastShape("select", parts[1].shape, parts[2].shape))
  const perm = layoutOf(parts, small)
  if (perm !== undefined) {
    const [c, x, y] = parts.map((part) => inLayout(g, part, perm)) as [Node, Node, Node]
    return g.broadcast(transpose(g, select(g, c, x, y), perm), shape)
  }
  return g.broadcast(g.node("select", parts, none, small, a.dtype), shape)
}
