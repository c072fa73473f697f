/** How much a graph computes: by which small programs are told from large ones. */
import { type Node, reachable, sizeOf } from "../graph/Graph.ts"
import { moves } from "./Access.ts"
import { lacking } from "./Lower.ts"

/**
 * Operations up to which a program is small. Measured on perceptrons of two to four layers: WebAssembly takes a tenth of ONNX
 * Runtime's time at 0.1 million, a quarter at two, six tenths at seven, and more than it from fourteen on.
 */
export const small = 5_000_000

/** Operations of a node, an element of what it takes or gives for one where it is no product. */
const workOf = (node: Node): number => {
  if (node.op === "input" || node.op === "const" || moves(node)) return 0
  const [a] = node.inputs
  if (node.op === "matmul") return 2 * sizeOf(node) * a!.shape.at(node.attrs["ta"] === true ? -2 : -1)!
  return Math.max(sizeOf(node), ...node.inputs.map(sizeOf))
}

/**
 * Operations of everything that the results need. Each element of an input counts as one, read or not: it has to be brought;
 * so does each of a result that only moves others: it has to be written.
 */
export const work = (inputs: ReadonlyArray<Node>, results: ReadonlyArray<Node>): number =>
  [...inputs.map(sizeOf), ...results.filter(moves).map(sizeOf), ...reachable(results).map(workOf)].reduce(
    (sum, n) => sum + n,
    0
  )

/** Nodes up to which a program is small, whatever they compute: to lower ten thousand takes seconds. */
export const fewNodes = 10_000

/** Whether a program is to run in WebAssembly: a function of its graph, and so the same on every machine. */
export const suits = (inputs: ReadonlyArray<Node>, results: ReadonlyArray<Node>): boolean => {
  const nodes = reachable(results)
  // What is only repeated is no work, but may have to be put down.
  const fits = nodes.length <= fewNodes && nodes.every((node) => sizeOf(node) <= small)
  return fits && lacking(results) === undefined && work(inputs, results) <= small
}
