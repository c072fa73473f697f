/** Differentiates a graph forwards: of every node, how it moves when some of those that it comes from do. */
import { CompileError } from "../graph/CompileError.ts"
import { type Graph, type Node, reachable, uniformValue } from "../graph/Graph.ts"
import { rebuilt } from "../graph/Rebuild.ts"
import { rules } from "./TangentRules.ts"

/** What stands in for a node while a function of it is recorded: the node itself, and how it moves. */
export interface Stand {
  readonly for: Node
  readonly along: Node
}

const still = (tangent: Node): boolean => uniformValue(tangent) === 0

/**
 * The derivatives of `results` where the stand-ins move along their directions. One pass over what the results need: each node
 * is made anew on what is stood in for, so that what the graph already computes there is not computed again, and no stand-in
 * is left. What does not move has no tangent and costs nothing.
 *
 * Throws a `CompileError` for an operation without a rule.
 */
export const tangents = (
  g: Graph,
  results: ReadonlyArray<Node>,
  stands: ReadonlyMap<Node, Stand>
): ReadonlyArray<Node> => {
  const placed = new Map<Node, Node>()
  const moving = new Map<Node, Node>()
  // What was made before the stand-ins cannot come from them.
  const first = Math.min(...[...stands.keys()].map(({ id }) => id))
  for (const node of reachable(results, ({ id }) => id < first)) {
    const stand = stands.get(node)
    if (stand !== undefined) {
      placed.set(node, stand.for)
      if (node.dtype === "float32" && !still(stand.along)) moving.set(node, stand.along)
      continue
    }
    if (!node.inputs.some((x) => placed.has(x))) continue
    const x = node.inputs.map((input) => placed.get(input) ?? input)
    const y = rebuilt(g, node, x)
    placed.set(node, y)
    const dx = node.inputs.map((input) => moving.get(input))
    if (dx.every((each) => each === undefined)) continue
    const rule = rules[node.op]
    if (rule === undefined)
      throw new CompileError({
        op: node.op,
        level: node.level,
        reason: "has no rule to be differentiated forwards: take Product.finiteDifference instead of Product.exact"
      })
    const dy = rule({ g, node, x, y, dx })
    if (dy !== undefined && !still(dy)) moving.set(node, g.broadcast(dy, node.shape))
  }
  return results.map((node) => moving.get(node) ?? g.broadcast(g.scalar(0, "float32"), node.shape))
}
