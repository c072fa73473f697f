/** Kernels of activations that are more than one operation of graphs. */
import { CompileError } from "../graph/CompileError.ts"
import { binary, select, unary } from "../graph/Elementwise.ts"
import type { Graph, Node } from "../graph/Graph.ts"
import type { Kernel } from "./Kernel.ts"

const number = (g: Graph, like: Node, value: number): Node => g.scalar(value, like.dtype)

/** What a fused kernel does last. */
export const activated = (
  g: Graph,
  x: Node,
  activation: string,
  weights: Node | undefined,
  alpha: number | undefined
): Node => {
  switch (activation) {
    case "linear":
      return x
    case "relu":
      return unary(g, "relu", x)
    case "relu6":
      return binary(g, "min", unary(g, "relu", x), number(g, x, 6))
    case "sigmoid":
      return unary(g, "sigmoid", x)
    case "elu":
      return elu(g, x)
    case "prelu":
      return leaky(g, x, weights!)
    case "leakyrelu":
      return leaky(g, x, number(g, x, alpha ?? 0.2))
    default:
      throw new CompileError({
        op: `activation '${activation}'`,
        level: "",
        reason: "is not one that a fused kernel can end with"
      })
  }
}

const leaky = (g: Graph, x: Node, slope: Node): Node =>
  select(g, binary(g, "greaterEqual", x, number(g, x, 0)), x, binary(g, "mul", x, slope))
const elu = (g: Graph, x: Node): Node =>
  select(g, binary(g, "greaterEqual", x, number(g, x, 0)), x, unary(g, "expm1", x))

const seluScale = 1.0507009873554805
const seluAlpha = 1.7580993408473768

export const kernels: { readonly [name: string]: Kernel } = {
  Step: (g, { x }, { alpha }) => {
    const positive = binary(g, "greater", x!, number(g, x!, 0))
    const step = select(g, positive, number(g, x!, 1), number(g, x!, alpha ?? 0))
    return x!.dtype === "float32" ? select(g, unary(g, "isNan", x!), x!, step) : step
  },
  Relu6: (g, { x }) => activated(g, x!, "relu6", undefined, undefined),
  LeakyRelu: (g, { x }, { alpha }) => leaky(g, x!, number(g, x!, alpha)),
  Prelu: (g, { alpha, x }) => leaky(g, x!, alpha!),
  Elu: (g, { x }) => elu(g, x!),
  EluGrad: (g, { dy, y }) => {
    const below = binary(g, "mul", dy!, binary(g, "add", y!, number(g, y!, 1)))
    return select(g, binary(g, "greaterEqual", y!, number(g, y!, 0)), dy!, below)
  },
  Selu: (g, { x }) => {
    const below = binary(g, "mul", unary(g, "expm1", x!), number(g, x!, seluAlpha))
    return select(
      g,
      binary(g, "greaterEqual", x!, number(g, x!, 0)),
      binary(g, "mul", x!, number(g, x!, seluScale)),
      below
    )
  }
}
