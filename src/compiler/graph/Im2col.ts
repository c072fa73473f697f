/**
 * Convolutions of small images with large filters as matrix products, channels last: each window of the image is a row.
 * Filters of TensorFlow.js, [height, width, in, out], are the matrix as they lie, and so is what flows back to them.
 */
import { size } from "../../dsl/values/NdArray.ts"
import { matmul, reduce } from "./Contraction.ts"
import type { Geometry } from "./Convolution.ts"
import type { Graph, Node, Shape } from "./Graph.ts"
import { gather, pad, reshape } from "./Layout.ts"

/** Places of all results together, for each filter, up to which the product is the faster form: measured. */
const mostPlaces = 16
/** Numbers in filters from which on it matters. */
const leastNumbers = 1024

/**
 * Whether to compute so. ONNX Runtime's convolution goes through all filters once for each image, and wants them transposed:
 * with few places that takes longer than to lay out the windows of all images.
 */
export const pays = ({ groups, image, result, window }: Geometry): boolean =>
  groups === 1 &&
  result[0]! * result[2]! * result[3]! <= mostPlaces * result[1]! &&
  size(window) * image[1]! * result[1]! >= leastNumbers

/** Of each place of the result and each place of the window, where in the flat image it looks; −1 in the padding. */
const looks = ({ dilations, image, pads, result, strides, window }: Geometry): ReadonlyArray<number> => {
  const [height, width] = image.slice(2) as [number, number]
  return Array.from({ length: size(result.slice(2)) * size(window) }, (_, i) => {
    const [place, tap] = [Math.floor(i / size(window)), i % size(window)]
    const row = Math.floor(place / result[3]!) * strides[0] - pads[0] + Math.floor(tap / window[1]) * dilations[0]
    const column = (place % result[3]!) * strides[1] - pads[1] + (tap % window[1]) * dilations[1]
    return row < 0 || row >= height || column < 0 || column >= width ? -1 : row * width + column
  })
}

/** Rows [batch, places, channels] at places: [batch, number of places, channels], with zeros at −1. */
const rowsAt = (g: Graph, x: Node, places: ReadonlyArray<number>): Node => {
  const rows = x.shape[1]!
  if (places.length === rows && places.every((place, i) => place === i)) return x
  const around = places.includes(-1) ? pad(g, x, [0, 0, 0], [0, 1, 0], 0) : x
  const at = Int32Array.from(places, (place) => (place < 0 ? rows : place))
  return gather(g, around, g.const(at, [at.length], "int32"), 1, 0)
}

const placesOf = ([batch, channels, height, width]: Shape): Shape => [batch!, height! * width!, channels!]
const lastOf = ([batch, channels, height, width]: Shape): Shape => [batch!, height!, width!, channels!]

/** Every window of images [batch, height, width, channels] as a row. */
const columns = (g: Graph, x: Node, form: Geometry): Node => {
  const found = rowsAt(g, reshape(g, x, placesOf(form.image)), looks(form))
  return reshape(g, found, [form.image[0]! * size(form.result.slice(2)), size(form.window) * form.image[1]!])
}

const matrix = (g: Graph, filter: Node): Node => reshape(g, filter, [size(filter.shape.slice(0, 3)), filter.shape[3]!])
const rowsOf = (g: Graph, dy: Node): Node => reshape(g, dy, [size(dy.shape.slice(0, 3)), dy.shape[3]!])

/** The convolution of images [batch, height, width, in]. */
export const forward = (g: Graph, x: Node, filter: Node, form: Geometry): Node =>
  reshape(g, matmul(g, columns(g, x, form), matrix(g, filter), false, false), lastOf(form.result))

/** What flows back to the image: at each of its places, the sum over the windows that look there. */
export const toInput = (g: Graph, dy: Node, filter: Node, form: Geometry): Node => {
  const [batch, channels] = form.image as readonly [number, number]
  const seen = looks(form)
  const flows = reshape(g, matmul(g, rowsOf(g, dy), matrix(g, filter), false, true), [batch, seen.length, channels])
  const seeing = Array.from({ length: size(form.image.slice(2)) }, (): Array<number> => [])
  for (const [i, place] of seen.entries()) seeing[place]?.push(i)
  const most = Math.max(1, ...seeing.map(({ length }) => length))
  const places = seeing.flatMap((from) => Array.from({ length: most }, (_, i) => from[i] ?? -1))
  const found = reshape(g, rowsAt(g, flows, places), [batch, seeing.length, most, channels])
  return reshape(g, reduce(g, "sum", found, [2], false), lastOf(form.image))
}

/** What flows back to the filter: [height, width, in, out]. */
export const toFilter = (g: Graph, x: Node, dy: Node, form: Geometry): Node =>
  reshape(g, matmul(g, columns(g, x, form), rowsOf(g, dy), true, false), [
    ...form.window,
    form.image[1]!,
    form.result[1]!
  ])
