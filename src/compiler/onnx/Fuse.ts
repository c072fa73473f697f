/** Groups of nodes that ONNX Runtime has one operator for, where nothing else needs what is inside of the group. */
import { type Node, sizeOf, uniformValue } from "../graph/Graph.ts"
import type { Attribute } from "./Onnx.ts"

/** One operator in place of a node and of others that only it needs. */
export interface Fusion {
  readonly op: string
  readonly domain: string
  readonly inputs: ReadonlyArray<Node>
  readonly attrs: { readonly [name: string]: Attribute }
  readonly absorbed: ReadonlyArray<Node>
}

type Rule = (node: Node, alone: (inner: Node) => boolean) => Fusion | undefined

const near = (value: number | undefined, wanted: number): boolean =>
  value !== undefined && Math.abs(value - wanted) < 1e-6 * Math.abs(wanted)
const product = (x: Node): boolean => x.op === "matmul" && x.dtype === "float32"
const flat = (x: Node): boolean => product(x) && x.inputs.every(({ shape }) => shape.length === 2)

/** `a b + c`: the bias of a dense layer. */
const biased: Rule = (node, alone) => {
  if (node.op !== "add") return undefined
  const inner = node.inputs.find((x) => flat(x) && alone(x))
  const bias = node.inputs.find((x) => x !== inner)
  if (inner === undefined || bias === undefined || bias.shape.length > 2 || sizeOf(inner) !== sizeOf(node))
    return undefined
  const attrs = { transA: Number(inner.attrs["ta"]), transB: Number(inner.attrs["tb"]) }
  return { op: "Gemm", domain: "", inputs: [...inner.inputs, bias], attrs, absorbed: [inner] }
}

/** A multiple of a matrix product. */
const multiple: Rule = (node, alone) => {
  const [inner, factor] = node.inputs as [Node, Node]
  const alpha = node.op === "mul" ? uniformValue(factor) : undefined
  if (alpha === undefined || !product(inner) || !alone(inner)) return undefined
  const attrs = { transA: Number(inner.attrs["ta"]), transB: Number(inner.attrs["tb"]), alpha: { float: alpha } }
  const [op, domain] = flat(inner) ? ["Gemm", ""] : ["FusedMatMul", "com.microsoft"]
  return { op, domain, inputs: inner.inputs, attrs, absorbed: [inner] }
}

/** `x Φ(x)`. */
const gelu: Rule = (node, alone) => {
  if (node.op !== "mul") return undefined
  const [first, second] = node.inputs as [Node, Node]
  for (const [x, half] of [
    [first, second],
    [second, first]
  ] as const) {
    const [sum, erf, scaled] = [half.inputs[0], half.inputs[0]?.inputs[0], half.inputs[0]?.inputs[0]?.inputs[0]]
    const shaped =
      half.op === "mul" && sum?.op === "add" && erf?.op === "erf" && scaled?.op === "mul" && scaled.inputs[0] === x
    if (!shaped || ![half, sum, erf, scaled].every(alone)) continue
    const [a, b, c] = [half, sum, scaled].map((each) => uniformValue(each.inputs[1]!))
    if (!near(a, 0.5) || !near(b, 1) || !near(c, Math.SQRT1_2)) continue
    return { op: "Gelu", domain: "com.microsoft", inputs: [x], attrs: {}, absorbed: [half, sum, erf, scaled] }
  }
  return undefined
}

/** `Σ x²` over all elements. */
const squares: Rule = (node, alone) => {
  const [square] = node.inputs as [Node]
  if (node.op !== "sum" || node.shape.length > 0 || square.op !== "mul" || square.inputs[0] !== square.inputs[1])
    return undefined
  if (!alone(square)) return undefined
  return { op: "ReduceSumSquare", domain: "", inputs: [square.inputs[0]!], attrs: { keepdims: 0 }, absorbed: [square] }
}

const rules: ReadonlyArray<Rule> = [gelu, multiple, biased, squares]

/** Fusions by the node they end with, none of them into an operator of ONNX Runtime's own for operations in `apart`. */
export const find = (
  nodes: ReadonlyArray<Node>,
  results: ReadonlyArray<Node>,
  apart: { readonly [op: string]: unknown } = {}
): ReadonlyMap<Node, Fusion> => {
  const uses = new Map<Node, number>()
  for (const x of [...nodes.flatMap(({ inputs }) => inputs), ...results]) uses.set(x, (uses.get(x) ?? 0) + 1)
  const absorbed = new Set<Node>()
  const alone = (inner: Node): boolean => uses.get(inner) === 1 && !absorbed.has(inner)
  const found = new Map<Node, Fusion>()
  // From the results down, so that the outermost operation takes in as much as it can.
  for (const node of nodes.toReversed()) {
    if (absorbed.has(node)) continue
    for (const rule of rules) {
      const fusion = rule(node, alone)
      if (fusion === undefined) continue
      if (fusion.domain !== "" && fusion.absorbed.some(({ op }) => op in apart)) continue
      found.set(node, fusion)
      for (const inner of fusion.absorbed) absorbed.add(inner)
      break
    }
  }
  return found
}
