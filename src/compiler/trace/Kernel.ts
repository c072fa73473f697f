import type { Graph, Node } from "../graph/Graph.ts"

type Inputs = { readonly [name: string]: Node }
// Each kernel knows the attributes it was called with; TensorFlow.js does not type them by name.
type Attrs = any

/** From the nodes and attributes a kernel is called with to the node, or nodes, that it yields. */
export type Kernel = (g: Graph, inputs: Inputs, attrs: Attrs) => Node | ReadonlyArray<Node>
