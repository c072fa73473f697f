/**
 * Gradients of operations that move elements without changing them. The formulas follow those of TensorFlow.js (Copyright
 * Google LLC, licensed under the Apache License 2.0), but for mirrored padding, which it gets wrong, slices with strides, which
 * it lacks, rows taken in batches, and parts that are the whole.
 */
import * as tf from "@tensorflow/tfjs-core"
import { linear, ofInput, reading, readingAll, type Rule, zeros } from "./Rule.ts"

const listed = (dy: tf.Tensor | Array<tf.Tensor>): Array<tf.Tensor> => (Array.isArray(dy) ? dy : [dy])
const starts = (paddings: ReadonlyArray<readonly [number, number]>): Array<number> => paddings.map(([before]) => before)
const inverse = (perm: ReadonlyArray<number>): Array<number> => perm.map((_, axis) => perm.indexOf(axis))
const range = (from: number, to: number): Array<number> => Array.from({ length: to - from }, (_, i) => from + i)
const padded = (x: tf.Tensor, axis: number, before: number, after: number): tf.Tensor =>
  tf.pad(
    x,
    x.shape.map((_, i): [number, number] => (i === axis ? [before, after] : [0, 0]))
  )
const part = (x: tf.Tensor, axis: number, from: number, length: number): tf.Tensor =>
  tf.slice(
    x,
    x.shape.map((_, i) => (i === axis ? from : 0)),
    x.shape.with(axis, length)
  )

/** Elements `strides` apart along each axis, with zeros between them. */
export const spread = (x: tf.Tensor, strides: ReadonlyArray<number>): tf.Tensor =>
  strides.reduce((y, stride, axis) => {
    if (stride === 1) return y
    const [before, n, after] = [y.shape.slice(0, axis), y.shape[axis]!, y.shape.slice(axis + 1)]
    const apart = padded(tf.reshape(y, [...before, n, 1, ...after]), axis + 1, 0, stride - 1)
    return part(tf.reshape(apart, [...before, n * stride, ...after]), axis, 0, (n - 1) * stride + 1)
  }, x)

/** Every `strides`-th element along each axis, the first one first: what {@link spread} spread. */
export const gathered = (x: tf.Tensor, strides: ReadonlyArray<number>): tf.Tensor =>
  strides.reduce((y, stride, axis) => {
    if (stride === 1) return y
    const n = Math.ceil(y.shape[axis]! / stride)
    const whole = padded(y, axis, 0, n * stride - y.shape[axis]!)
    const [before, after] = [y.shape.slice(0, axis), y.shape.slice(axis + 1)]
    return tf.reshape(part(tf.reshape(whole, [...before, n, stride, ...after]), axis + 1, 0, 1), [
      ...before,
      n,
      ...after
    ])
  }, x)

const mirrored = ofInput(tf.MirrorPad, (dy, x, { mode, paddings }) => {
  // An edge that is mirrored with the rest starts at the edge itself.
  const skip = mode === "reflect" ? 1 : 0
  return (paddings as ReadonlyArray<readonly [number, number]>).reduce((flow, [before, after], axis) => {
    const n = x.shape[axis]!
    const back = (from: number, length: number, to: number): tf.Tensor =>
      padded(tf.reverse(part(flow, axis, from, length), axis), axis, to, n - to - length)
    let sum = part(flow, axis, before, n)
    if (before > 0) sum = tf.add(sum, back(0, before, skip))
    if (after > 0) sum = tf.add(sum, back(before + n, after, n - after - skip))
    return sum
  }, dy)
})

const strided = ofInput(tf.StridedSlice, (dy, x, attrs) => {
  const { begin, beginMask, ellipsisMask, end, endMask, newAxisMask, shrinkAxisMask, strides } = attrs
  const box = tf.slice_util.sliceInfo(
    x.shape,
    begin,
    end,
    strides,
    beginMask,
    endMask,
    ellipsisMask,
    newAxisMask,
    shrinkAxisMask
  )
  const extent = tf.slice_util.computeOutShape(box.begin, box.end, box.strides)
  if (extent.includes(0)) return zeros(x)
  const back = box.strides.flatMap((n, axis) => (n < 0 ? [axis] : []))
  const forwards = tf.reshape(dy, extent)
  const flow = spread(back.length === 0 ? forwards : tf.reverse(forwards, back), box.strides.map(Math.abs))
  const from = box.begin.map((n, axis) => (box.strides[axis]! < 0 ? n + (extent[axis]! - 1) * box.strides[axis]! : n))
  return tf.pad(
    flow,
    from.map((n, axis): [number, number] => [n, x.shape[axis]! - n - flow.shape[axis]!])
  )
})

/** Sums of what flows back to each row; rows that were taken several times gather several flows. */
const rows = (x: tf.Tensor, indices: tf.Tensor, dy: tf.Tensor, axis: number): tf.Tensor => {
  const [outer, inner] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)]
  const values = tf.reshape(dy, [...outer, indices.size, ...inner])
  const order = [axis, ...range(0, axis), ...range(axis + 1, x.rank)]
  const sums = tf.unsortedSegmentSum(
    tf.transpose(values, order),
    tf.reshape(indices, [indices.size]) as tf.Tensor1D,
    x.shape[axis]!
  )
  return tf.transpose(sums, inverse(order))
}

/** The same where each block of the first `batch` axes has rows of its own: rows of one table of all blocks. */
const rowsOfBlocks = (x: tf.Tensor, indices: tf.Tensor, dy: tf.Tensor, axis: number, batch: number): tf.Tensor => {
  const blocks = x.shape.slice(0, batch).reduce((n, m) => n * m, 1)
  const [outer, length, inner] = [x.shape.slice(batch, axis), x.shape[axis]!, x.shape.slice(axis + 1)]
  const taken = indices.size / blocks
  const flat = tf.reshape(dy, [blocks, ...outer, taken, ...inner])
  const at = 1 + outer.length
  const order = [0, at, ...range(1, at), ...range(at + 1, flat.rank)]
  const values = tf.reshape(tf.transpose(flat, order), [blocks * taken, ...outer, ...inner])
  const offsets = tf.mul(tf.range(0, blocks, 1, "int32"), tf.scalar(length, "int32"))
  const places = tf.add(tf.reshape(indices, [blocks, taken]), tf.reshape(offsets, [blocks, 1]))
  const sums = tf.unsortedSegmentSum(values, tf.reshape(places, [blocks * taken]) as tf.Tensor1D, blocks * length)
  const apart = tf.reshape(sums, [blocks, length, ...outer, ...inner])
  return tf.reshape(tf.transpose(apart, inverse(order)), x.shape)
}

const byNumber: ReadonlyArray<Rule> = [
  reading(tf.GatherV2, ["x", "indices"], (dy, [x, indices], { axis, batchDims }) => {
    const at = tf.util.parseAxisParam(axis, x.shape)[0]!
    return {
      x: () => (batchDims ? rowsOfBlocks(x, indices, dy, at, batchDims) : rows(x, indices, dy, at)),
      indices: () => zeros(indices)
    }
  }),
  reading(tf.UnsortedSegmentSum, ["x", "segmentIds"], (dy, [x, ids]: ReadonlyArray<tf.Tensor>) => ({
    // Rows with a negative number went nowhere.
    x: () => {
      const found = tf.gather(dy, tf.maximum(ids!, tf.zerosLike(ids!)) as tf.Tensor1D)
      const present = tf.reshape(tf.greaterEqual(ids!, tf.scalar(0, "int32")), [
        ...ids!.shape,
        ...Array<number>(x!.rank - ids!.rank).fill(1)
      ])
      return tf.where(tf.logicalAnd(present, tf.ones(found.shape, "bool")), found, tf.zerosLike(found))
    },
    segmentIds: () => zeros(ids!)
  }))
]

export const rules: ReadonlyArray<Rule> = [
  ofInput(tf.Reshape, (dy, x) => tf.reshape(dy, x.shape)),
  ofInput(tf.ExpandDims, (dy, input) => tf.reshape(dy, input.shape), "input"),
  linear(tf.Transpose, (dy, { perm }) => tf.transpose(dy, inverse(perm))),
  linear(tf.Reverse, (dy, { dims }) => tf.reverse(dy, tf.util.parseAxisParam(dims, dy.shape))),
  ofInput(tf.Slice, (dy, x, { begin, size }) => {
    const [from, extent] = tf.slice_util.parseSliceParams(x, begin, size)
    return tf.pad(
      dy,
      from!.map((n, axis): [number, number] => [n, x.shape[axis]! - n - extent![axis]!])
    )
  }),
  strided,
  readingAll(tf.Concat, (dy, saved, { axis }) => {
    const along = tf.util.parseAxisParam(axis, saved[0].shape)[0]!
    const parts = tf.split(
      dy as tf.Tensor,
      saved.map(({ shape }) => shape[along]),
      along
    )
    return Object.fromEntries(parts.map((each, i) => [i, () => each]))
  }),
  linear(tf.SplitV, (dy, { axis }) => tf.concat(listed(dy), axis)),
  readingAll(tf.Pack, (dy, _, { axis }) =>
    Object.fromEntries(tf.unstack(dy as tf.Tensor, axis).map((each, i) => [i, () => each]))
  ),
  linear(tf.Unpack, (dy, { axis }) => tf.stack(listed(dy), axis), "value"),
  ofInput(tf.PadV2, (dy, x, { paddings }) => tf.slice(dy, starts(paddings), x.shape)),
  mirrored,
  // Repeating is broadcasting along a new axis before each one.
  ofInput(tf.Tile, (dy, x, { reps }) => {
    const apart = tf.reshape(
      dy,
      x.shape.flatMap((n, axis) => [reps[axis] as number, n])
    )
    return tf.sum(
      apart,
      x.shape.map((_, axis) => 2 * axis)
    )
  }),
  linear(tf.SpaceToBatchND, (dy, { blockShape, paddings }) => tf.batchToSpaceND(dy, blockShape, paddings)),
  linear(tf.BatchToSpaceND, (dy, { blockShape, crops }) => tf.spaceToBatchND(dy, blockShape, crops)),
  ...byNumber
]
