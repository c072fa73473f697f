import type { Node } from "../../src/compiler/graph/Graph.ts"
import { reachable, sizeOf } from "../../src/compiler/graph/Graph.ts"

/** Floating-point operations of the matrix products that the results need. */
export const matrixFlops = (results: ReadonlyArray<Node>): number =>
  reachable(results).reduce((sum, node) => {
    if (node.op !== "matmul") return sum
    const inner = node.inputs[0]!.shape.at(node.attrs["ta"] === true ? -2 : -1)!
    return sum + 2 * sizeOf(node) * inner
  }, 0)
