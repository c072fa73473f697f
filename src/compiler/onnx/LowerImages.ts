/** Operations of networks that look at images, in ONNX's operators. */
import { size } from "../../dsl/values/NdArray.ts"
import type { Node, Shape } from "../graph/Graph.ts"
import type { Emitter } from "./Emitter.ts"

type Lowering = (e: Emitter, inputs: ReadonlyArray<string>, node: Node) => string

interface Window {
  readonly window: readonly [number, number]
  readonly strides: readonly [number, number]
  readonly dilations: readonly [number, number]
  readonly pads: readonly [number, number, number, number]
  readonly groups: number
}
export const windowOf = (node: Node): Window => node.attrs as unknown as Window

const pool = (node: Node) => {
  const { pads, strides, window } = windowOf(node)
  return { kernel_shape: window, pads, strides }
}

export const toInput: Lowering = (e, inputs, node) => {
  const { dilations, groups, pads, strides, window } = windowOf(node)
  const [result, image] = [node.inputs[0]!.shape, node.shape]
  const missing = ([0, 1] as const).map((axis) => {
    const reach = (result[2 + axis]! - 1) * strides[axis] + (window[axis] - 1) * dilations[axis] + 1
    return image[2 + axis]! - (reach - pads[axis] - pads[2 + axis]!)
  })
  const attrs = { dilations, group: groups, kernel_shape: window, output_padding: missing, pads, strides }
  return e.emit("ConvTranspose", inputs, attrs)
}

/**
 * What flows back to a filter, as one matrix product [height · out] × [width · in] over places: the image once for each column
 * of the window, and what flows back once for each row of it. Many times as fast as a convolution with the image.
 */
const separable: Lowering = (e, [x, dy], node) => {
  const { pads, window } = windowOf(node)
  const [image, result] = [node.inputs[0]!.shape, node.inputs[1]!.shape] as const
  const [batch, channels] = image as readonly [number, number]
  const [, out, height, width] = result as readonly [number, number, number, number]
  const [tall, wide] = window
  const rows = height + tall - 1
  const padded = (v: string, top: number, left: number, bottom: number, right: number) =>
    top + left + bottom + right === 0
      ? v
      : e.emit("Pad", [v, e.longs([0, 0, top, left, 0, 0, bottom, right]), e.float(0)])
  const channelsFirst = (v: string) => e.emit("Transpose", [v], { perm: [1, 0, 2, 3] })
  const joined = (parts: ReadonlyArray<string>, n: number) =>
    e.reshape(parts.length === 1 ? parts[0]! : e.emit("Concat", parts, { axis: 0 }), [n, batch * rows * width])

  // Of the padding below and to the right, as much as the last window reaches; of the image, no more than that.
  const [below, right] = [rows - image[2]! - pads[0], width + wide - 1 - image[3]! - pads[1]]
  const whole = padded(channelsFirst(x!), pads[0], pads[1], Math.max(0, below), Math.max(0, right))
  const columns = Array.from({ length: wide }, (_, i) =>
    wide === 1 && below >= 0 && right >= 0
      ? whole
      : e.emit("Slice", [whole, e.longs([0, i]), e.longs([rows, i + width]), e.longs([2, 3])])
  )
  const back = channelsFirst(dy!)
  const shifted = Array.from({ length: tall }, (_, i) => padded(back, i, 0, tall - 1 - i, 0))
  const product = e.emit("Gemm", [joined(shifted, tall * out), joined(columns, wide * channels)], { transB: 1 })
  return e.emit("Transpose", [e.reshape(product, [tall, out, wide, channels])], { perm: [0, 2, 3, 1] })
}

/** The same with the image once for each place of the window: for windows that move by more than one. */
const unfolded: Lowering = (e, [x, dy], node) => {
  const { pads, strides, window } = windowOf(node)
  const [image, result] = [node.inputs[0]!.shape, node.inputs[1]!.shape] as const
  const [batch, channels] = image as readonly [number, number]
  const [, out, height, width] = result as readonly [number, number, number, number]
  const places = batch * height * width
  const reach = ([0, 1] as const).map((axis) => (result[2 + axis]! - 1) * strides[axis] + window[axis])
  const after = ([0, 1] as const).map((axis) => Math.max(0, reach[axis]! - image[2 + axis]! - pads[axis]))
  const first = e.emit("Transpose", [x!], { perm: [1, 0, 2, 3] })
  const around = [0, 0, pads[0], pads[1], 0, 0, after[0]!, after[1]!]
  const padded = around.every((n) => n === 0) ? first : e.emit("Pad", [first, e.longs(around), e.float(0)])
  const columns = Array.from({ length: window[0] * window[1] }, (_, i) => {
    const from = [Math.floor(i / window[1]), i % window[1]]
    const to = from.map((n, axis) => n + (result[2 + axis]! - 1) * strides[axis]! + 1)
    return e.emit("Slice", [padded, e.longs(from), e.longs(to), e.longs([2, 3]), e.longs(strides)])
  })
  const joined = columns.length === 1 ? columns[0]! : e.emit("Concat", columns, { axis: 0 })
  const back = e.reshape(e.emit("Transpose", [dy!], { perm: [1, 0, 2, 3] }), [out, places])
  const product = e.emit("Gemm", [back, e.reshape(joined, [columns.length * channels, places])], { transB: 1 })
  return e.emit("Transpose", [e.reshape(product, [out, ...window, channels])], { perm: [1, 2, 3, 0] })
}

/** The convolution of the image with what flows back, where batch and channels change places and so do strides and dilations. */
const grouped: Lowering = (e, [x, dy], node) => {
  const { dilations, groups, pads, strides, window } = windowOf(node)
  const [image, result] = [node.inputs[0]!.shape, node.inputs[1]!.shape]
  const after = ([0, 1] as const).map(
    (axis) =>
      (window[axis] - 1) * dilations[axis] + (result[2 + axis]! - 1) * strides[axis] + 1 - image[2 + axis]! - pads[axis]
  )
  // Rows at the far edge that no window reached are cut off.
  const seen = image.map((n, axis) => (axis < 2 ? n : n + Math.min(0, after[axis - 2]!)))
  const cut = seen.every((n, axis) => n === image[axis])
    ? x!
    : e.emit("Slice", [x!, e.longs([0, 0]), e.longs(seen.slice(2)), e.longs([2, 3])])
  const [batch, channels] = image as readonly [number, number]
  const swapped = e.emit("Transpose", [cut], { perm: [1, 0, 2, 3] })
  const images = groups === 1 ? swapped : e.reshape(swapped, [1, channels * batch, ...seen.slice(2)])
  const filters = e.emit("Transpose", [dy!], { perm: [1, 0, 2, 3] })
  const found = e.emit("Conv", [images, filters], {
    dilations: strides,
    group: groups,
    kernel_shape: result.slice(2),
    pads: [pads[0], pads[1], Math.max(0, after[0]!), Math.max(0, after[1]!)],
    strides: dilations
  })
  if (groups === 1) return e.emit("Transpose", [found], { perm: [2, 3, 0, 1] })
  return e.emit("Transpose", [e.reshape(found, [result[1]!, channels / groups, ...window])], { perm: [2, 3, 1, 0] })
}

const toFilter: Lowering = (e, inputs, node) => {
  const { dilations, groups, strides } = windowOf(node)
  const one = (pair: readonly [number, number]) => pair[0] === 1 && pair[1] === 1
  return (groups > 1 || !one(dilations) ? grouped : one(strides) ? separable : unfolded)(e, inputs, node)
}

const flat = (shape: Shape): Shape => [size(shape)]

export const lowerings: { readonly [op: string]: Lowering } = {
  conv: (e, inputs, node) => {
    const { dilations, groups, pads, strides, window } = windowOf(node)
    return e.emit("Conv", inputs, { dilations, group: groups, kernel_shape: window, pads, strides })
  },
  convToInput: toInput,
  convToFilter: toFilter,
  maxPool: (e, [x], node) => e.emit("MaxPool", [x!], pool(node)),
  maxPoolGrad: (e, [dy, x], node) => {
    const [, places] = e.emits(2, "MaxPool", [x!], pool(node))
    const dyShape = node.inputs[0]!.shape
    const zeros = e.emit("ConstantOfShape", [e.longs(flat(node.shape))])
    const [at, values] = [e.reshape(places!, flat(dyShape)), e.reshape(dy!, flat(dyShape))]
    return e.reshape(e.emit("ScatterElements", [zeros, at, values], { axis: 0, reduction: "add" }), node.shape)
  },
  maxPoolTangent: (e, [along, x], node) => {
    const [, places] = e.emits(2, "MaxPool", [x!], pool(node))
    const moves = e.reshape(along!, flat(node.inputs[0]!.shape))
    return e.reshape(e.emit("Gather", [moves, e.reshape(places!, flat(node.shape))], { axis: 0 }), node.shape)
  },
  meanPool: (e, [x], node) => e.emit("AveragePool", [x!], { ...pool(node), count_include_pad: 0 })
}
