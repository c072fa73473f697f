/** Convolutions and pools of images with channels first, and what flows back through them, in StableHLO. */
import type { Node, Shape } from "../graph/Graph.ts"
import { type Emitter, list, longs, paddingText, precisionOf, region, type Value } from "./Emitter.ts"

type Lowering = (e: Emitter, inputs: ReadonlyArray<Value>, node: Node) => Value
type Pair = readonly [number, number]

interface Window {
  readonly window: Pair
  readonly strides: Pair
  readonly dilations: Pair
  readonly pads: readonly [number, number, number, number]
  readonly groups: number
}
const windowOf = (node: Node): Window => node.attrs as unknown as Window

interface Form {
  /** E.g. `[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]`. */
  readonly dimensions: string
  readonly stride: Pair
  readonly padding: readonly [Pair, Pair]
  readonly imageDilation: Pair
  readonly filterDilation: Pair
  readonly groups: number
  readonly batchGroups: number
  readonly precision: "HIGHEST" | "DEFAULT"
}

const convolution = (e: Emitter, x: Value, filter: Value, shape: Shape, form: Form): Value => {
  const window =
    `{stride = ${list(form.stride)}, pad = [${form.padding.map(list).join(", ")}], ` +
    `lhs_dilate = ${list(form.imageDilation)}, rhs_dilate = ${list(form.filterDilation)}}`
  const head =
    `stablehlo.convolution(${x.name}, ${filter.name}) dim_numbers = ${form.dimensions}, window = ${window} ` +
    `{batch_group_count = ${form.batchGroups} : i64, feature_group_count = ${form.groups} : i64, ` +
    `precision_config = [#stablehlo<precision ${form.precision}>, #stablehlo<precision ${form.precision}>]}`
  return e.typed(x.element, shape, head, [x, filter])
}

const one: Pair = [1, 1]
const each = <A>(f: (axis: 0 | 1) => A): readonly [A, A] => [f(0), f(1)]

const conv: Lowering = (e, [x, filter], node) => {
  const { dilations, groups, pads, strides } = windowOf(node)
  return convolution(e, x!, filter!, node.shape, {
    dimensions: "[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]",
    stride: strides,
    padding: each((axis) => [pads[axis], pads[2 + axis]!]),
    imageDilation: one,
    filterDilation: dilations,
    groups,
    batchGroups: 1,
    precision: precisionOf(filter!.element, node.attrs)
  })
}

/** The convolution of what flows back, its rows apart by the stride, with the filter turned round. */
const convToInput: Lowering = (e, [dy, filter], node) => {
  const { dilations, groups, pads, strides, window } = windowOf(node)
  const [image, result] = [node.shape, node.inputs[0]!.shape]
  const [out, within, tall, wide] = filter!.shape as readonly [number, number, number, number]
  const apart = e.reshape(filter!, [groups, out / groups, within, tall, wide])
  const swapped = e.reshape(e.transpose(apart, [0, 2, 1, 3, 4]), [groups * within, out / groups, tall, wide])
  const padding = each((axis): Pair => {
    const reach = (window[axis] - 1) * dilations[axis]
    const spread = (result[2 + axis]! - 1) * strides[axis] + 1
    const low = reach - pads[axis]
    return [low, image[2 + axis]! - spread - low + reach]
  })
  return convolution(e, dy!, e.reverse(swapped, [2, 3]), image, {
    dimensions: "[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]",
    stride: one,
    padding,
    imageDilation: strides,
    filterDilation: dilations,
    groups,
    batchGroups: 1,
    precision: precisionOf(filter!.element, node.attrs)
  })
}

/** The convolution of the image with what flows back, where batch and channels change places and so do strides and dilations. */
const convToFilter: Lowering = (e, [x, dy], node) => {
  const { dilations, groups, pads, strides, window } = windowOf(node)
  const [image, result] = [node.inputs[0]!.shape, node.inputs[1]!.shape]
  const padding = each((axis): Pair => {
    const reach = (window[axis] - 1) * dilations[axis] + (result[2 + axis]! - 1) * strides[axis] + 1
    return [pads[axis], reach - image[2 + axis]! - pads[axis]]
  })
  return convolution(e, x!, dy!, node.shape, {
    dimensions: "[f, b, 0, 1]x[i, o, 0, 1]->[0, 1, b, f]",
    stride: dilations,
    padding,
    imageDilation: one,
    filterDilation: strides,
    groups: 1,
    batchGroups: groups,
    precision: precisionOf(x!.element, node.attrs)
  })
}

const windowed = (node: Node, image: Shape) => {
  const { pads, strides, window } = windowOf(node)
  const padding = [[0, 0], [0, 0], ...each((axis): Pair => [pads[axis], pads[2 + axis]!])] as ReadonlyArray<Pair>
  return { window: [1, 1, ...window], strides: [1, 1, ...strides], padding, image }
}

const maxPool: Lowering = (e, [x], node) => {
  const { padding, strides, window } = windowed(node, x!.shape)
  return e.reduceWindow(x!, e.scalar(-Infinity, x!.element), "maximum", window, strides, padding)
}

const maxPoolGrad: Lowering = (e, [dy, x], node) => {
  const { padding, strides, window } = windowed(node, x!.shape)
  const zero = e.scalar(0)
  const first =
    "({^bb0(%a: tensor<f32>, %b: tensor<f32>): %c = stablehlo.compare GE, %a, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1> " +
    "stablehlo.return %c : tensor<i1>}"
  const head =
    `"stablehlo.select_and_scatter"(${x!.name}, ${dy!.name}, ${zero.name}) <{padding = ${paddingText(padding)}, ` +
    `window_dimensions = ${longs(window)}, window_strides = ${longs(strides)}}> ${first}, ${region("add", "f32").slice(1)}`
  return e.typed("f32", node.shape, head, [x!, dy!, zero])
}

/** The element of `dx` where the first of the greatest elements of `x` is: pairs are reduced, and the greater first number wins. */
const maxPoolTangent: Lowering = (e, [dx, x], node) => {
  const { padding, strides, window } = windowed(node, x!.shape)
  const [low, zero] = [e.scalar(-Infinity), e.scalar(0)]
  const type = "tensor<f32>"
  const body =
    `({^bb0(%a: ${type}, %u: ${type}, %b: ${type}, %v: ${type}): ` +
    `%c = stablehlo.compare GE, %a, %b, FLOAT : (${type}, ${type}) -> tensor<i1> ` +
    `%d = stablehlo.select %c, %a, %b : tensor<i1>, ${type} %w = stablehlo.select %c, %u, %v : tensor<i1>, ${type} ` +
    `stablehlo.return %d, %w : ${type}, ${type}})`
  return e.second(
    `"stablehlo.reduce_window"(${x!.name}, ${dx!.name}, ${low.name}, ${zero.name}) <{padding = ${paddingText(padding)}, ` +
      `window_dimensions = ${longs(window)}, window_strides = ${longs(strides)}}> ${body}`,
    [x!, dx!, low, zero],
    node.shape
  )
}

const meanPool: Lowering = (e, [x], node) => {
  const { padding, strides, window } = windowed(node, x!.shape)
  const zero = e.scalar(0)
  const sums = e.reduceWindow(x!, zero, "add", window, strides, padding)
  const counts = e.reduceWindow(e.full(1, "f32", x!.shape), zero, "add", window, strides, padding)
  return e.same("divide", sums, counts)
}

export const lowerings: { readonly [op: string]: Lowering } = {
  conv,
  convToInput,
  convToFilter,
  maxPool,
  maxPoolGrad,
  maxPoolTangent,
  meanPool
}
