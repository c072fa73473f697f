/** Operations that bring many elements together, simplified as they are made. */
import { CompileError } from "./CompileError.ts"
import { binary, broadcastShape } from "./Elementwise.ts"
import { type Graph, type Node, none, type Shape, sizeOf, uniformValue } from "./Graph.ts"
import { aligned, reshape, transpose } from "./Layout.ts"

const reduced = (shape: Shape, axes: ReadonlyArray<number>, keep: boolean): Shape =>
  keep ? shape.map((n, axis) => (axes.includes(axis) ? 1 : n)) : shape.filter((_, axis) => !axes.includes(axis))

/** Sum, greatest, least or product along axes. */
export const reduce = (
  g: Graph,
  op: "sum" | "max" | "min" | "prod",
  x: Node,
  axes: ReadonlyArray<number>,
  keep: boolean
): Node => {
  const shape = reduced(x.shape, axes, keep)
  const along = axes.filter((axis) => x.shape[axis] !== 1).sort((a, b) => a - b)
  if (along.length === 0) return reshape(g, x, shape)
  if (x.op === "broadcast" && op !== "prod") {
    // What is repeated along an axis is multiplied by the number of times instead.
    const source = aligned(g, x)
    const repeated = along.filter((axis) => source.shape[axis] === 1)
    const times = repeated.reduce((product, axis) => product * x.shape[axis]!, 1)
    const rest = along.filter((axis) => source.shape[axis] !== 1)
    const once = reduce(g, op, source, rest, true)
    const total = op === "sum" ? binary(g, "mul", once, g.scalar(times, x.dtype)) : once
    return reshape(g, g.broadcast(total, reduced(x.shape, axes, true)), shape)
  }
  if (op === "sum" && x.op === "mul" && x.dtype === "float32") {
    const factor = uniformValue(x.inputs[1]!)
    // The sum of a multiple is the multiple of the sum: one pass over the elements less.
    if (factor !== undefined)
      return binary(g, "mul", reduce(g, op, x.inputs[0]!, axes, keep), g.scalar(factor, "float32"))
  }
  if (op === "sum" && x.op === "neg")
    return binary(g, "mul", reduce(g, op, x.inputs[0]!, axes, keep), g.scalar(-1, x.dtype))
  if (x.op === "transpose") {
    const perm = x.attrs["perm"] as ReadonlyArray<number>
    const small = reduce(
      g,
      op,
      x.inputs[0]!,
      along.map((axis) => perm[axis]!),
      true
    )
    return reshape(g, transpose(g, small, perm), shape)
  }
  // One number has no axes; fewer axes otherwise would only need reshapes.
  const whole = x.shape.every((n, axis) => n === 1 || along.includes(axis))
  const kept = whole ? [] : reduced(x.shape, along, true)
  const inner = g.node(
    op === "sum" ? op : `${op}Of`,
    [x],
    { axes: whole ? x.shape.map((_, axis) => axis) : along },
    kept,
    x.dtype
  )
  return reshape(g, inner, shape)
}

/** The place of the greatest or least element along an axis. */
export const argument = (g: Graph, op: "argMax" | "argMin", x: Node, axis: number): Node =>
  g.node(op, [x], { axis }, reduced(x.shape, [axis], false), "int32")

/** Running sums along an axis. */
export const cumulative = (g: Graph, x: Node, axis: number, exclusive: boolean, reverse: boolean): Node =>
  g.node("cumsum", [x], { axis, exclusive, reverse }, x.shape, x.dtype)

const swapsLast = (perm: ReadonlyArray<number>): boolean => {
  const n = perm.length
  return perm.every((axis, i) => axis === (i === n - 1 ? n - 2 : i === n - 2 ? n - 1 : i))
}

const untransposed = (x: Node, flag: boolean): readonly [Node, boolean] =>
  x.op === "transpose" && swapsLast(x.attrs["perm"] as ReadonlyArray<number>) ? [x.inputs[0]!, !flag] : [x, flag]

/** Matrix products over the last two axes; the axes before them broadcast. */
export const matmul = (g: Graph, left: Node, right: Node, transposeA: boolean, transposeB: boolean): Node => {
  const [a, ta] = untransposed(left, transposeA)
  const [b, tb] = untransposed(right, transposeB)
  const [m, k] = ta ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!]
  const [l, n] = tb ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!]
  if (k !== l) {
    const shapes = `[${a.shape.join(", ")}] and [${b.shape.join(", ")}]`
    throw new CompileError({ op: "matmul", level: "", reason: `inner lengths ${k} and ${l} of ${shapes} differ` })
  }
  const batch = broadcastShape("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2))
  const shape = [...batch, m, n]
  if (uniformValue(a) === 0 || uniformValue(b) === 0) return g.broadcast(g.scalar(0, a.dtype), shape)
  // A product with one row or column of inner length one is an outer product: element by element.
  if (k === 1) {
    const column = ta ? transpose(g, a, lastSwapped(a.shape.length)) : a
    const row = tb ? transpose(g, b, lastSwapped(b.shape.length)) : b
    return binary(g, "mul", column, row)
  }
  if (batch.length > 0 && sizeOf({ ...a, shape: batch }) === 1) {
    const flat = (x: Node) => reshape(g, x, x.shape.slice(-2))
    return reshape(g, matmul(g, flat(a), flat(b), ta, tb), shape)
  }
  return throughLowRank(g, a, ta, b, tb) ?? g.node("matmul", [a, b], { ta, tb }, shape, a.dtype)
}

/**
 * `A (B C)` as `(A B) C` where the inner length of `B C` is so small that two products cost less than the one with `B C`
 * ready made. Gradients of dense layers are such products, of as low a rank as the batch has rows: where one is met only
 * as a direction (`Product.exact`), it then never comes to be.
 */
const throughLowRank = (g: Graph, a: Node, ta: boolean, b: Node, tb: boolean): Node | undefined => {
  if (b.op !== "matmul" || a.shape.length !== 2 || b.shape.length !== 2) return undefined
  const [c, d] = b.inputs as [Node, Node]
  const [tc, td] = [b.attrs["ta"] === true, b.attrs["tb"] === true]
  const [k, n] = tb ? [b.shape[1]!, b.shape[0]!] : [b.shape[0]!, b.shape[1]!]
  const rank = tc ? c.shape[0]! : c.shape[1]!
  // A kernel more must be worth it.
  if (4 * rank * (k + n) > 3 * k * n) return undefined
  return tb ? matmul(g, matmul(g, a, d, ta, !td), c, false, !tc) : matmul(g, matmul(g, a, c, ta, tc), d, false, td)
}

const lastSwapped = (rank: number): ReadonlyArray<number> =>
  Array.from({ length: rank }, (_, i) => (i === rank - 1 ? rank - 2 : i === rank - 2 ? rank - 1 : i))

/** Sums of the rows of `x` by number: row `i` of the result sums the rows of `x` whose id is `i`. */
export const segmentSum = (g: Graph, x: Node, ids: Node, rows: number): Node => {
  const inner = x.shape.slice(ids.shape.length)
  if (uniformValue(x) === 0) return g.broadcast(g.scalar(0, x.dtype), [rows, ...inner])
  return g.node("segmentSum", [x, ids], none, [rows, ...inner], x.dtype)
}

/** `eˣ / Σ eˣ` along the last axis. */
export const softmax = (g: Graph, x: Node): Node => g.node("softmax", [x], none, x.shape, "float32")
