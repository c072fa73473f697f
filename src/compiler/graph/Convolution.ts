/** Convolutions and pools of images with channels first, and what flows back through them. */
import { size } from "../../dsl/values/NdArray.ts"
import { binary } from "./Elementwise.ts"
import type { Attrs, Graph, Node, Shape } from "./Graph.ts"
import { reduce } from "./Contraction.ts"
import { reshape, reverse, transpose } from "./Layout.ts"

/** How a window moves over an image. */
export interface Geometry {
  /** [batch, channels, height, width]. */
  readonly image: Shape
  /** [batch, channels, height, width] of what comes out. */
  readonly result: Shape
  readonly window: readonly [number, number]
  readonly strides: readonly [number, number]
  readonly dilations: readonly [number, number]
  /** Before and after: top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number]
  readonly groups: number
}

/** What TensorFlow.js works out about a window, in the terms of graphs. */
export const geometry = (
  info: {
    readonly batchSize: number
    readonly inChannels: number
    readonly inHeight: number
    readonly inWidth: number
    readonly outChannels: number
    readonly outHeight: number
    readonly outWidth: number
    readonly filterHeight: number
    readonly filterWidth: number
    readonly strideHeight: number
    readonly strideWidth: number
    readonly dilationHeight: number
    readonly dilationWidth: number
    readonly padInfo: { readonly top: number; readonly left: number; readonly bottom: number; readonly right: number }
  },
  groups: number
): Geometry => ({
  image: [info.batchSize, info.inChannels, info.inHeight, info.inWidth],
  result: [info.batchSize, info.outChannels, info.outHeight, info.outWidth],
  window: [info.filterHeight, info.filterWidth],
  strides: [info.strideHeight, info.strideWidth],
  dilations: [info.dilationHeight, info.dilationWidth],
  pads: [info.padInfo.top, info.padInfo.left, info.padInfo.bottom, info.padInfo.right],
  groups
})

/** Whether the result has the shape that the window makes of the image. */
export const consistent = ({ dilations, image, pads, result, strides, window }: Geometry): boolean =>
  ([0, 1] as const).every((axis) => {
    const room = image[2 + axis]! + pads[axis] + pads[2 + axis]! - (window[axis] - 1) * dilations[axis] - 1
    return Math.floor(room / strides[axis]) + 1 === result[2 + axis]
  })

const attrsOf = ({ dilations, groups, pads, strides, window }: Geometry): Attrs => ({
  window,
  strides,
  dilations,
  pads,
  groups
})

/** The convolution of x with filters [out, in per group, height, width]. */
export const forward = (g: Graph, x: Node, filter: Node, form: Geometry): Node =>
  g.node("conv", [x, filter], attrsOf(form), form.result, "float32")

/**
 * What flows back to the image of a convolution. Where the window moves by one, that is a convolution with the filter turned
 * round, which is faster than a transposed convolution.
 */
export const toInput = (g: Graph, dy: Node, filter: Node, form: Geometry): Node => {
  const around = form.pads.map((n, i) => (form.window[i % 2]! - 1) * form.dilations[i % 2]! - n)
  if (form.groups !== 1 || form.strides[0] !== 1 || form.strides[1] !== 1 || around.some((n) => n < 0)) {
    return g.node("convToInput", [dy, filter], attrsOf(form), form.image, "float32")
  }
  // Turned round with the window's axes in front, where whole blocks move; filters of TensorFlow.js already lie so.
  const turned = transpose(g, reverse(g, transpose(g, filter, [2, 3, 0, 1]), [0, 1]), [3, 2, 0, 1])
  return forward(g, dy, turned, {
    ...form,
    image: form.result,
    result: form.image,
    pads: around as unknown as Geometry["pads"]
  })
}

/** What flows back to the filter of a convolution. The node itself yields [height, width, in per group, out]. */
export const toFilter = (g: Graph, x: Node, dy: Node, form: Geometry): Node => {
  const shape = [...form.window, form.image[1]! / form.groups, form.result[1]!]
  return transpose(g, g.node("convToFilter", [x, dy], attrsOf(form), shape, "float32"), [3, 2, 0, 1])
}

/** The greatest element under each window. */
export const maxPool = (g: Graph, x: Node, form: Geometry): Node =>
  g.node("maxPool", [x], attrsOf(form), form.result, "float32")

/** What flows back through {@link maxPool}: all of it to the first of the greatest elements. */
export const maxPoolGradient = (g: Graph, dy: Node, x: Node, form: Geometry): Node =>
  g.node("maxPoolGrad", [dy, x], attrsOf(form), form.image, "float32")

/** How {@link maxPool} moves along `dx`: the elements of `dx` where the first of the greatest elements of `x` are. */
export const maxPoolTangent = (g: Graph, dx: Node, x: Node, pool: Node): Node =>
  g.node("maxPoolTangent", [dx, x], pool.attrs, pool.shape, "float32")

const wholeImage = ({ image, pads, window }: Geometry): boolean =>
  window[0] === image[2] && window[1] === image[3] && pads.every((n) => n === 0)

/** The mean of the image's elements under each window; padding does not count. */
export const meanPool = (g: Graph, x: Node, form: Geometry): Node => {
  if (!wholeImage(form)) return g.node("meanPool", [x], attrsOf(form), form.result, "float32")
  return binary(g, "mul", reduce(g, "sum", x, [2, 3], true), g.scalar(1 / size(form.window), "float32"))
}

/** What flows back through {@link meanPool}. */
export const meanPoolGradient = (g: Graph, dy: Node, form: Geometry): Node => {
  const shares = binary(g, "mul", dy, g.const(oneOverCounts(form), [1, 1, ...form.result.slice(2)], "float32"))
  const [batch, channels, height, width] = form.result as readonly [number, number, number, number]
  const [tall, wide] = form.window
  if (
    height * tall === form.image[2] &&
    width * wide === form.image[3] &&
    form.strides[0] === tall &&
    form.strides[1] === wide
  ) {
    const apart = g.broadcast(reshape(g, shares, [batch, channels, height, 1, width, 1]), [
      batch,
      channels,
      height,
      tall,
      width,
      wide
    ])
    return reshape(g, apart, form.image)
  }
  const ones = g.broadcast(g.scalar(1, "float32"), [channels, 1, tall, wide])
  return toInput(g, shares, ones, form)
}

// TensorFlow.js's cpu kernel divides by the whole window also at padded edges, where its forward kernel does not.
const oneOverCounts = ({ image, pads, result, strides, window }: Geometry): Float32Array => {
  const along = (axis: 0 | 1, i: number) => {
    const from = i * strides[axis] - pads[axis]
    return Math.min(from + window[axis], image[2 + axis]!) - Math.max(from, 0)
  }
  const [height, width] = [result[2]!, result[3]!]
  return Float32Array.from(
    { length: height * width },
    (_, i) => 1 / (along(0, Math.floor(i / width)) * along(1, i % width))
  )
}
