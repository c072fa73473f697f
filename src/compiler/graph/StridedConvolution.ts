/**
 * Convolutions by windows that move by several places, as convolutions by windows that move by one: the places that a step
 * passes over become channels. Windows then read whole rows, where they would pick single numbers.
 */
import { size } from "../../dsl/values/NdArray.ts"
import * as Convolution from "./Convolution.ts"
import type { Graph, Node, Shape } from "./Graph.ts"
import { pad, reshape, slice, transpose } from "./Layout.ts"

type Geometry = Convolution.Geometry

const axes = [0, 1] as const
/** Steps that a window reaches over along an axis, the last perhaps in part. */
const steps = ({ strides, window }: Geometry): readonly [number, number] => [
  Math.ceil(window[0] / strides[0]),
  Math.ceil(window[1] / strides[1])
]

/** How many times the products there may be for it. */
const mostProducts = 1.5

/** Whether to compute so: where windows end about where a step does. */
export const pays = (form: Geometry): boolean => {
  const { dilations, groups, strides, window } = form
  const whole = size(steps(form)) * size(strides)
  return groups === 1 && size(dilations) === 1 && size(strides) > 1 && whole <= mostProducts * size(window)
}

/** The same convolution of images that are taken {@link apart}. */
const inner = (form: Geometry): Geometry => {
  const { image, result, strides } = form
  const window = steps(form)
  const sides = axes.map((axis) => result[2 + axis]! + window[axis] - 1)
  return {
    image: [image[0]!, image[1]! * size(strides), ...sides],
    result,
    window,
    strides: [1, 1],
    dilations: [1, 1],
    pads: [0, 0, 0, 0],
    groups: 1
  }
}

/** Images [batch, height, width, channels] as [batch, phases · channels, steps down, steps across], padded. */
const apart = (g: Graph, x: Node, form: Geometry): Node => {
  const { image, pads, strides } = form
  const [batch, channels] = image as readonly [number, number]
  const [rows, columns] = inner(form).image.slice(2) as [number, number]
  const around = axes.map((axis) => [rows, columns][axis]! * strides[axis] - image[2 + axis]! - pads[axis])
  // Places at the far edge that no window reaches are cut off.
  const kept = axes.map((axis) => image[2 + axis]! + Math.min(0, around[axis]!))
  const seen = slice(g, x, [0, 0, 0, 0], [batch, ...kept, channels])
  const after = around.map((n) => Math.max(0, n))
  const padded = pad(g, seen, [0, pads[0], pads[1], 0], [0, ...after, 0], 0)
  const split = reshape(g, padded, [batch, rows, strides[0], columns, strides[1] * channels])
  return reshape(g, transpose(g, split, [0, 2, 4, 1, 3]), inner(form).image)
}

/** A filter [height, width, in, out] as [out, phases · in, steps down, steps across]. */
const filterApart = (g: Graph, filter: Node, form: Geometry): Node => {
  const { strides, window } = form
  const [channels, out] = filter.shape.slice(2) as [number, number]
  const [down, across] = steps(form)
  const padded = pad(g, filter, [0, 0, 0, 0], [down * strides[0] - window[0], across * strides[1] - window[1], 0, 0], 0)
  const split: Shape = [down, strides[0], across, strides[1], channels, out]
  const turned = transpose(g, reshape(g, padded, split), [5, 1, 3, 4, 0, 2])
  return reshape(g, turned, [out, channels * size(strides), down, across])
}

/** The convolution of images [batch, height, width, in]. */
export const forward = (g: Graph, x: Node, filter: Node, form: Geometry): Node =>
  transpose(g, Convolution.forward(g, apart(g, x, form), filterApart(g, filter, form), inner(form)), [0, 2, 3, 1])

/** What flows back to the filter: [height, width, in, out]. */
export const toFilter = (g: Graph, x: Node, dy: Node, form: Geometry): Node => {
  const { image, result, strides, window } = form
  const [channels, out] = [image[1]!, result[1]!]
  const [down, across] = steps(form)
  const found = Convolution.toFilter(g, apart(g, x, form), transpose(g, dy, [0, 3, 1, 2]), inner(form))
  const turned = transpose(g, reshape(g, found, [out, ...strides, channels, down, across]), [4, 1, 5, 2, 3, 0])
  const whole = reshape(g, turned, [down * strides[0], across * strides[1], channels, out])
  return slice(g, whole, [0, 0, 0, 0], [...window, channels, out])
}
