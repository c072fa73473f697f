/**
 * Kernels of networks that look at images. TensorFlow.js keeps channels last and filters as [height, width, in, out];
 * graphs keep channels first and filters as [out, in, height, width], as ONNX does, between transposes that mostly cancel.
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Columns from "../graph/Im2col.ts"
import { matmul } from "../graph/Contraction.ts"
import { binary, unary } from "../graph/Elementwise.ts"
import type { Graph, Node, Shape } from "../graph/Graph.ts"
import type { Kernel } from "./Kernel.ts"
import { reshape, transpose } from "../graph/Layout.ts"
import * as Convolution from "../graph/Convolution.ts"
import * as Phases from "../graph/StridedConvolution.ts"
import { CompileError } from "../graph/CompileError.ts"
import { interpolation } from "../../tensor/Interpolation.ts"

type Four = [number, number, number, number]

const toFirst = [0, 3, 1, 2] as const
const toLast = [0, 2, 3, 1] as const
const first = (g: Graph, x: Node): Node => transpose(g, x, toFirst)
const last = (g: Graph, x: Node): Node => transpose(g, x, toLast)

const dense = (g: Graph, filter: Node): Node => transpose(g, filter, [3, 2, 0, 1])
/** A depthwise filter [height, width, in, multiple] as [in · multiple, 1, height, width]. */
const deep = (g: Graph, filter: Node): Node => {
  const [height, width, channels, multiple] = filter.shape as Four
  return reshape(g, transpose(g, filter, [2, 3, 0, 1]), [channels * multiple, 1, height, width])
}

const pair = (given: number | ReadonlyArray<number> | undefined): readonly [number, number] =>
  typeof given === "object" ? [given[0]!, given[1]!] : [given ?? 1, given ?? 1]

interface Attributes {
  readonly strides: number | [number, number]
  readonly pad: "valid" | "same" | number
  readonly dataFormat?: string
  readonly dilations?: number | [number, number]
  readonly dimRoundingMode?: "floor" | "round" | "ceil"
  readonly filterSize: number | [number, number]
}

const geometry = (
  op: string,
  image: Shape,
  filter: Shape,
  attrs: Attributes,
  depthwise: boolean
): Convolution.Geometry => {
  const format = attrs.dataFormat ?? "NHWC"
  if (format !== "NHWC")
    throw new CompileError({ op, level: "", reason: `takes images as ${format}: give them as NHWC` })
  const info = tf.backend_util.computeConv2DInfo(
    image as Four,
    filter as Four,
    attrs.strides,
    pair(attrs.dilations) as [number, number],
    attrs.pad,
    attrs.dimRoundingMode,
    depthwise
  )
  const form = Convolution.geometry(info, depthwise ? info.inChannels : 1)
  if (!Convolution.consistent(form)) {
    const reason = `strides [${form.strides.join(", ")}] with a number as padding: TensorFlow.js gives a wrong shape; pad with tf.pad`
    throw new CompileError({ op, level: "", reason })
  }
  return form
}

const pooling = (image: Shape, { dimRoundingMode, filterSize, pad, strides }: Attributes): Convolution.Geometry =>
  Convolution.geometry(
    tf.backend_util.computePool2DInfo(image as Four, filterSize, strides, 1, pad, dimRoundingMode),
    image[3]!
  )

/** A resize is linear along each axis: two products with constant matrices. */
const resize =
  (nearest: boolean): Kernel =>
  (g, { images }, attrs) => {
    const [height, width] = images!.shape.slice(1) as [number, number]
    const [tall, wide] = attrs.size as [number, number]
    const weights = (from: number, to: number) =>
      g.const(interpolation(from, to, attrs, nearest), [to, from], "float32")
    const rows = matmul(g, weights(height, tall), first(g, images!), false, false)
    return last(g, matmul(g, rows, weights(width, wide), false, true))
  }

export const kernels: { readonly [name: string]: Kernel } = {
  Conv2D: (g, { filter, x }, attrs) => {
    const form = geometry("Conv2D", x!.shape, filter!.shape, attrs, false)
    if (Columns.pays(form)) return Columns.forward(g, x!, filter!, form)
    if (Phases.pays(form)) return Phases.forward(g, x!, filter!, form)
    return last(g, Convolution.forward(g, first(g, x!), dense(g, filter!), form))
  },
  Conv2DBackpropInput: (g, { dy, filter }, attrs) => {
    const form = geometry("Conv2DBackpropInput", attrs.inputShape, filter!.shape, attrs, false)
    if (Columns.pays(form)) return Columns.toInput(g, dy!, filter!, form)
    return last(g, Convolution.toInput(g, first(g, dy!), dense(g, filter!), form))
  },
  Conv2DBackpropFilter: (g, { dy, x }, attrs) => {
    const form = geometry("Conv2DBackpropFilter", x!.shape, attrs.filterShape, attrs, false)
    if (Columns.pays(form)) return Columns.toFilter(g, x!, dy!, form)
    if (Phases.pays(form)) return Phases.toFilter(g, x!, dy!, form)
    return transpose(g, Convolution.toFilter(g, first(g, x!), first(g, dy!), form), [2, 3, 1, 0])
  },
  DepthwiseConv2dNative: (g, { filter, x }, attrs) =>
    last(
      g,
      Convolution.forward(
        g,
        first(g, x!),
        deep(g, filter!),
        geometry("DepthwiseConv2dNative", x!.shape, filter!.shape, attrs, true)
      )
    ),
  DepthwiseConv2dNativeBackpropInput: (g, { dy, filter }, attrs) => {
    const form = geometry("DepthwiseConv2dNativeBackpropInput", attrs.inputShape, filter!.shape, attrs, true)
    return last(g, Convolution.toInput(g, first(g, dy!), deep(g, filter!), form))
  },
  DepthwiseConv2dNativeBackpropFilter: (g, { dy, x }, attrs) => {
    const [height, width, channels, multiple] = attrs.filterShape as Four
    const form = geometry("DepthwiseConv2dNativeBackpropFilter", x!.shape, attrs.filterShape, attrs, true)
    const found = Convolution.toFilter(g, first(g, x!), first(g, dy!), form)
    return transpose(g, reshape(g, found, [channels, multiple, height, width]), [2, 3, 0, 1])
  },
  MaxPool: (g, { x }, attrs) => last(g, Convolution.maxPool(g, first(g, x!), pooling(x!.shape, attrs))),
  MaxPoolGrad: (g, { dy, input }, attrs) =>
    last(g, Convolution.maxPoolGradient(g, first(g, dy!), first(g, input!), pooling(input!.shape, attrs))),
  AvgPool: (g, { x }, attrs) => last(g, Convolution.meanPool(g, first(g, x!), pooling(x!.shape, attrs))),
  AvgPoolGrad: (g, { dy, input }, attrs) =>
    last(g, Convolution.meanPoolGradient(g, first(g, dy!), pooling(input!.shape, attrs))),
  FusedBatchNorm: (g, { mean, offset, scale, variance, x }, { varianceEpsilon }) => {
    const deviation = unary(g, "sqrt", binary(g, "add", variance!, g.scalar(varianceEpsilon, "float32")))
    const normal = binary(g, "div", binary(g, "sub", x!, mean!), deviation)
    const scaled = scale === undefined ? normal : binary(g, "mul", normal, scale)
    return offset === undefined ? scaled : binary(g, "add", scaled, offset)
  },
  ResizeBilinear: resize(false),
  ResizeNearestNeighbor: resize(true)
}
