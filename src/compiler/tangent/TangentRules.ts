/** How each operation moves when its operands do. */
import { reduce } from "../graph/Contraction.ts"
import { maxPoolTangent } from "../graph/Convolution.ts"
import { binary, cast, comparisons, logical, select, unary } from "../graph/Elementwise.ts"
import type { Graph, Node, Shape } from "../graph/Graph.ts"
import * as Layout from "../graph/Layout.ts"
import { rebuilt } from "../graph/Rebuild.ts"

/** An operation at a place: `node` says which, `x` and `y` are its operands and its result there, `dx` what moves of them. */
export interface Place {
  readonly g: Graph
  readonly node: Node
  readonly x: ReadonlyArray<Node>
  readonly y: Node
  /** One of `x` does not move where it has none. At least one has. */
  readonly dx: ReadonlyArray<Node | undefined>
}

/** The tangent of a result, of its shape or of one that broadcasts to it; none where the result does not move. */
export type Rule = (at: Place) => Node | undefined

/** Operations whose results do not move with their operands, but at jumps. */
export const constant: ReadonlySet<string> = new Set([
  ...Object.keys(comparisons),
  ...Object.keys(logical),
  ..."not isNan isInf sign floor ceil round floorDiv argMax argMin noise".split(" "),
  // From float32 they lead to whole numbers and truth values.
  "cast"
])

const each = (ops: string, rule: Rule) => Object.fromEntries(ops.split(" ").map((op) => [op, rule]))
const number = (g: Graph, value: number): Node => g.scalar(value, "float32")
const zeros = (g: Graph, { shape }: Node): Node => g.broadcast(number(g, 0), shape)

/** Linear in all operands together. */
const linear: Rule = ({ dx, g, node, x }) =>
  rebuilt(
    g,
    node,
    dx.map((along, i) => along ?? zeros(g, x[i]!))
  )

/** Linear in each operand while the others are held: a term for each that moves. */
const multilinear: Rule = ({ dx, g, node, x }) =>
  dx
    .flatMap((along, i) => (along === undefined ? [] : [rebuilt(g, node, x.with(i, along))]))
    .reduce((sum, term) => binary(g, "add", sum, term))

/** Linear in the first operand; the second only decides where its elements go. */
const routed: Rule = ({ dx: [along], g, node, x }) =>
  along === undefined ? undefined : rebuilt(g, node, x.with(0, along))

/** Operations on numbers, short to write. */
interface Algebra {
  readonly of: (op: string, x: Node) => Node
  readonly n: (value: number) => Node
  readonly add: (a: Node, b: Node) => Node
  readonly sub: (a: Node, b: Node) => Node
  readonly mul: (a: Node, b: Node) => Node
  readonly div: (a: Node, b: Node) => Node
}
const algebra = (g: Graph): Algebra => ({
  of: (op, x) => unary(g, op, x),
  n: (value) => number(g, value),
  add: (a, b) => binary(g, "add", a, b),
  sub: (a, b) => binary(g, "sub", a, b),
  mul: (a, b) => binary(g, "mul", a, b),
  div: (a, b) => binary(g, "div", a, b)
})

/** An operation on each element by itself: its derivative at x, where it is y. */
const slope =
  (derivative: (a: Algebra, x: Node, y: Node) => Node): Rule =>
  ({ dx: [along], g, x: [x], y }) =>
    binary(g, "mul", along!, derivative(algebra(g), x!, y))

/** The same where dividing by something is better than multiplying by its reciprocal. */
const over =
  (divisor: (a: Algebra, x: Node, y: Node) => Node): Rule =>
  ({ dx: [along], g, x: [x], y }) =>
    binary(g, "div", along!, divisor(algebra(g), x!, y))

const square = (a: Algebra, x: Node) => a.mul(x, x)
const oneMinusSquare = (a: Algebra, x: Node) => a.sub(a.n(1), square(a, x))
const onePlusSquare = (a: Algebra, x: Node) => a.add(a.n(1), square(a, x))

/** Of two operands, the first where the comparison holds; at a tie the first, as in TensorFlow.js's gradients. */
const either =
  (comparison: "greaterEqual" | "lessEqual"): Rule =>
  ({ dx: [da, db], g, x: [a, b] }) =>
    select(g, binary(g, comparison, a!, b!), da ?? zeros(g, a!), db ?? zeros(g, b!))

/** A reduced result in the rank of its operand. */
const kept = (g: Graph, node: Node, x: Node, y: Node): Node => {
  const axes = node.attrs["axes"] as Shape
  return Layout.reshape(
    g,
    y,
    x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n))
  )
}
const summed = (g: Graph, node: Node, x: Node): Node =>
  reduce(g, "sum", x, node.attrs["axes"] as Shape, node.shape.length > 0)

/** The mean over those elements that are the extreme one. */
const extreme: Rule = ({ dx: [along], g, node, x: [x], y }) => {
  const hit = cast(g, binary(g, "equal", x!, kept(g, node, x!, y)), "float32")
  return binary(g, "div", summed(g, node, binary(g, "mul", along!, hit)), summed(g, node, hit))
}

/** Σᵢ dxᵢ Πⱼ≠ᵢ xⱼ, where one factor or several may be zero. */
const product: Rule = ({ dx: [along], g, node, x: [x] }) => {
  const { div, mul, n } = algebra(g)
  const zero = binary(g, "equal", x!, n(0))
  const others = select(g, zero, n(1), x!)
  const whole = reduce(g, "prod", others, node.attrs["axes"] as Shape, node.shape.length > 0)
  const count = summed(g, node, cast(g, zero, "float32"))
  const without = summed(g, node, div(along!, others))
  const through = summed(g, node, mul(along!, cast(g, zero, "float32")))
  const share = select(g, binary(g, "equal", count, n(0)), without, through)
  return select(g, binary(g, "greater", count, n(1)), n(0), mul(whole, share))
}

/** Rules by operation. */
export const rules: { readonly [op: string]: Rule } = {
  ...each([...constant].join(" "), () => undefined),
  ...each("add sub neg broadcast reshape transpose slice reverse concat sum cumsum meanPool", linear),
  ...each("mul matmul gather segmentSum conv convToInput convToFilter", multilinear),
  ...each("maxPoolGrad maxPoolTangent", routed),

  abs: slope(({ of }, x) => of("sign", x)),
  exp: slope((_, __, y) => y),
  expm1: slope(({ of }, x) => of("exp", x)),
  log: over((_, x) => x),
  log1p: over(({ add, n }, x) => add(n(1), x)),
  sqrt: over(({ mul, n }, _, y) => mul(y, n(2))),
  reciprocal: slope((a, _, y) => a.of("neg", square(a, y))),
  sigmoid: slope(({ mul, n, sub }, _, y) => mul(y, sub(n(1), y))),
  softplus: slope(({ of }, x) => of("sigmoid", x)),
  relu: ({ dx: [along], g, x: [x] }) =>
    binary(g, "mul", along!, cast(g, binary(g, "greater", x!, number(g, 0)), "float32")),
  tanh: slope((a, _, y) => oneMinusSquare(a, y)),
  erf: slope((a, x) => a.mul(a.of("exp", a.of("neg", square(a, x))), a.n(2 / Math.sqrt(Math.PI)))),
  sin: slope(({ of }, x) => of("cos", x)),
  cos: slope(({ of }, x) => of("neg", of("sin", x))),
  tan: slope((a, _, y) => onePlusSquare(a, y)),
  asin: over((a, x) => a.of("sqrt", oneMinusSquare(a, x))),
  acos: over((a, x) => a.of("neg", a.of("sqrt", oneMinusSquare(a, x)))),
  atan: over(onePlusSquare),
  sinh: slope(({ of }, x) => of("cosh", x)),
  cosh: slope(({ of }, x) => of("sinh", x)),
  asinh: over((a, x) => a.of("sqrt", onePlusSquare(a, x))),
  acosh: over((a, x) => a.of("sqrt", a.sub(square(a, x), a.n(1)))),
  atanh: over(oneMinusSquare),

  div: ({ dx: [da, db], g, x: [, b], y }) => {
    const { div, mul, of, sub } = algebra(g)
    if (db === undefined) return div(da!, b!)
    const pulled = mul(y, db)
    return div(da === undefined ? of("neg", pulled) : sub(da, pulled), b!)
  },
  mod: ({ dx: [da, db], g, x: [a, b] }) => {
    if (db === undefined) return da
    const { mul, of, sub } = algebra(g)
    const pulled = mul(binary(g, "floorDiv", a!, b!), db)
    return da === undefined ? of("neg", pulled) : sub(da, pulled)
  },
  pow: ({ dx: [da, db], g, x: [a, b], y }) => {
    const { add, mul, n, of, sub } = algebra(g)
    const base = da === undefined ? undefined : mul(da, mul(b!, binary(g, "pow", a!, sub(b!, n(1)))))
    if (db === undefined) return base
    // Where a power is zero it stays so, as in TensorFlow.js's gradients.
    const log = of("log", select(g, binary(g, "greater", a!, n(0)), a!, n(1)))
    const exponent = mul(mul(y, log), db)
    return base === undefined ? exponent : add(base, exponent)
  },
  max: either("greaterEqual"),
  min: either("lessEqual"),
  select: ({ dx: [, da, db], g, x: [condition, a, b] }) =>
    select(g, condition!, da ?? zeros(g, a!), db ?? zeros(g, b!)),

  pad: ({ dx: [along], g, node: { attrs } }) =>
    Layout.pad(g, along!, attrs["before"] as Shape, attrs["after"] as Shape, 0),
  maxOf: extreme,
  minOf: extreme,
  prodOf: product,
  softmax: ({ dx: [along], g, y }) => {
    const { mul, sub } = algebra(g)
    const weighted = mul(y, along!)
    return sub(weighted, mul(y, reduce(g, "sum", weighted, [y.shape.length - 1], true)))
  },
  maxPool: ({ dx: [along], g, node, x: [x] }) => maxPoolTangent(g, along!, x!, node)
}
