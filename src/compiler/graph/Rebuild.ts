/** Any operation of graphs made anew on other operands, by the builder that makes it: what is then simpler is simplified. */
import { cumulative, matmul, reduce, segmentSum, softmax } from "./Contraction.ts"
import { arithmetic, binary, cast, comparisons, logical, select, unaries, unary, unfolded } from "./Elementwise.ts"
import { type Graph, isHalf, type Node, type Shape } from "./Graph.ts"
import * as Layout from "./Layout.ts"

type Rebuild = (g: Graph, node: Node, inputs: ReadonlyArray<Node>) => Node

const each = (ops: Iterable<string>, rebuild: Rebuild) => Object.fromEntries([...ops].map((op) => [op, rebuild]))
const shapeOf = (node: Node, attr: string): Shape => node.attrs[attr] as Shape

const reducing =
  (op: "sum" | "max" | "min" | "prod"): Rebuild =>
  (g, node, [x]) =>
    reduce(g, op, x!, shapeOf(node, "axes"), node.shape.length > 0)

const rebuilds: { readonly [op: string]: Rebuild } = {
  ...each([...Object.keys(unaries), ...unfolded], (g, { op }, [x]) => unary(g, op, x!)),
  ...each([arithmetic, comparisons, logical].flatMap(Object.keys), (g, { op }, [a, b]) => binary(g, op, a!, b!)),
  cast: (g, { dtype }, [x]) => cast(g, x!, dtype),
  select: (g, _, [condition, a, b]) => select(g, condition!, a!, b!),

  broadcast: (g, { shape }, [x]) => g.broadcast(x!, shape),
  reshape: (g, { shape }, [x]) => Layout.reshape(g, x!, shape),
  transpose: (g, node, [x]) => Layout.transpose(g, x!, shapeOf(node, "perm")),
  slice: (g, node, [x]) => Layout.slice(g, x!, shapeOf(node, "begin"), node.shape, shapeOf(node, "strides")),
  reverse: (g, node, [x]) => Layout.reverse(g, x!, shapeOf(node, "axes")),
  concat: (g, { attrs }, parts) => Layout.concat(g, parts, attrs["axis"] as number),
  pad: (g, node, [x]) =>
    Layout.pad(g, x!, shapeOf(node, "before"), shapeOf(node, "after"), node.attrs["value"] as number),
  gather: (g, { attrs }, [x, indices]) => Layout.gather(g, x!, indices!, attrs["axis"] as number, 0),

  sum: reducing("sum"),
  maxOf: reducing("max"),
  minOf: reducing("min"),
  prodOf: reducing("prod"),
  cumsum: (g, { attrs }, [x]) =>
    cumulative(g, x!, attrs["axis"] as number, attrs["exclusive"] as boolean, attrs["reverse"] as boolean),
  softmax: (g, _, [x]) => softmax(g, x!),
  matmul: (g, { attrs }, [a, b]) => matmul(g, a!, b!, attrs["ta"] as boolean, attrs["tb"] as boolean),
  segmentSum: (g, { shape }, [x, ids]) => segmentSum(g, x!, ids!, shape[0]!)
}

/** Whether an operation may be simplified: rounded ones stay as they are, because their rounding is what was asked for. */
const exact = ({ attrs, dtype, inputs }: Node): boolean =>
  ![dtype, ...inputs.map((x) => x.dtype)].some(isHalf) && attrs["tf32"] !== true

/** `node` with other inputs, of the same shapes and types. Those that builders do not simplify are made as they are. */
export const rebuilt = (g: Graph, node: Node, inputs: ReadonlyArray<Node>): Node => {
  if (inputs.every((x, i) => x === node.inputs[i])) return node
  const rebuild = exact(node) ? rebuilds[node.op] : undefined
  const made =
    rebuild === undefined ? g.node(node.op, inputs, node.attrs, node.shape, node.dtype) : rebuild(g, node, inputs)
  return g.broadcast(made, node.shape)
}
