/** What each TensorFlow.js kernel is in terms of graphs. A kernel that is not here is refused. */
import * as tf from "@tensorflow/tfjs-core"
import * as Activations from "./Activations.ts"
import { size } from "../../dsl/values/NdArray.ts"
import { Threefry2x32 } from "../../tensor/Noise.ts"
import { argument, cumulative, matmul, reduce, segmentSum, softmax } from "../graph/Contraction.ts"
import { binary, cast, select, unary } from "../graph/Elementwise.ts"
import { capitalized, type Dtype, type Graph, type Node, type Shape } from "../graph/Graph.ts"
import * as Images from "./ImageKernels.ts"
import * as Layout from "../graph/Layout.ts"
import type { Kernel } from "./Kernel.ts"

const axesOf = (axis: number | ReadonlyArray<number> | null | undefined, rank: number): ReadonlyArray<number> =>
  tf.util.parseAxisParam((axis ?? Array.from({ length: rank }, (_, i) => i)) as number, Array<number>(rank).fill(1))

const number = (g: Graph, like: Node, value: number): Node => g.scalar(value, like.dtype)
const filled = (g: Graph, shape: Shape, value: number, dtype: Dtype): Node => g.broadcast(g.scalar(value, dtype), shape)

const ofOne =
  (op: string): Kernel =>
  (g, { x }) =>
    unary(g, op, x!)

const ofTwo =
  (op: string): Kernel =>
  (g, { a, b }) =>
    binary(g, op, a!, b!)

const reducing =
  (op: "sum" | "max" | "min" | "prod", attr = "axis"): Kernel =>
  (g, { x }, attrs) =>
    reduce(
      g,
      op,
      x!.dtype === "bool" ? cast(g, x!, "int32") : x!,
      axesOf(attrs[attr], x!.shape.length),
      attrs.keepDims === true
    )

const testing =
  (op: "max" | "min"): Kernel =>
  (g, { x }, { axis, keepDims }) =>
    cast(g, reduce(g, op, cast(g, x!, "int32"), axesOf(axis, x!.shape.length), keepDims), "bool")

const unaryNames = [
  ...capitalized(
    "abs acos acosh asin asinh atan atanh ceil cos cosh erf exp expm1 floor isInf isNan log log1p neg reciprocal"
  ),
  ...capitalized("relu round sigmoid sign sin sinh softplus sqrt tan tanh"),
  ["LogicalNot", "not"]
] as const

const binaryNames = [
  ...capitalized("add equal floorDiv greater greaterEqual less lessEqual mod notEqual pow sub"),
  ["LogicalAnd", "and"],
  ["LogicalOr", "or"],
  ["Maximum", "max"],
  ["Minimum", "min"],
  ["Multiply", "mul"],
  ["RealDiv", "div"]
] as const

const fused =
  (name: "_FusedMatMul" | "FusedConv2D" | "FusedDepthwiseConv2D"): Kernel =>
  (g, inputs, attrs) => {
    const product =
      name === "_FusedMatMul"
        ? matmul(g, inputs["a"]!, inputs["b"]!, attrs.transposeA, attrs.transposeB)
        : (Images.kernels[name === "FusedConv2D" ? "Conv2D" : "DepthwiseConv2dNative"]!(g, inputs, attrs) as Node)
    const moved = inputs["bias"] === undefined ? product : binary(g, "add", product, inputs["bias"])
    return Activations.activated(g, moved, attrs.activation, inputs["preluActivationWeights"], attrs.leakyreluAlpha)
  }

const unshaped = (x: Node): Node => (x.op === "reshape" ? unshaped(x.inputs[0]!) : x)
/** Of how many rows some were taken by these numbers. */
const taken = new WeakMap<Node, number>()

/** Kernels by name. */
export const kernels: { readonly [name: string]: Kernel } = {
  ...Object.fromEntries(unaryNames.map(([name, op]) => [name, ofOne(op)])),
  ...Object.fromEntries(binaryNames.map(([name, op]) => [name, ofTwo(op)])),
  ...Activations.kernels,
  ...Images.kernels,

  Identity: (_, { x }) => x!,
  Cast: (g, { x }, { dtype }) => cast(g, x!, dtype),
  ZerosLike: (g, { x }) => filled(g, x!.shape, 0, x!.dtype),
  OnesLike: (g, { x }) => filled(g, x!.shape, 1, x!.dtype),
  Fill: (g, _, { dtype, shape, value }) => filled(g, shape, value, dtype ?? "float32"),
  Range: (g, _, { dtype, start, step, stop }) => {
    const values = Array.from(
      { length: Math.max(0, Math.ceil((stop - start) / step)) },
      (_value, i) => start + i * step
    )
    return g.const(values, [values.length], dtype)
  },
  LinSpace: (g, _, { num, start, stop }) =>
    g.const(
      Float32Array.from({ length: num }, (_value, i) => start + (i * (stop - start)) / Math.max(num - 1, 1)),
      [num],
      "float32"
    ),

  AddN: (g, inputs) => Object.values(inputs).reduce((sum, x) => binary(g, "add", sum, x)),
  Square: (g, { x }) => binary(g, "mul", x!, x!),
  SquaredDifference: (g, { a, b }) => {
    const difference = binary(g, "sub", a!, b!)
    return binary(g, "mul", difference, difference)
  },
  Rsqrt: (g, { x }) => unary(g, "reciprocal", unary(g, "sqrt", x!)),
  IsFinite: (g, { x }) => unary(g, "not", binary(g, "or", unary(g, "isNan", x!), unary(g, "isInf", x!))),
  ClipByValue: (g, { x }, { clipValueMax, clipValueMin }) =>
    binary(g, "min", binary(g, "max", x!, number(g, x!, clipValueMin)), number(g, x!, clipValueMax)),
  Select: (g, { condition, e, t }) => select(g, condition!, t!, e!),

  Sum: reducing("sum"),
  Max: reducing("max", "reductionIndices"),
  Min: reducing("min"),
  Prod: reducing("prod"),
  All: testing("min"),
  Any: testing("max"),
  Mean: (g, { x }, { axis, keepDims }) => {
    const axes = axesOf(axis, x!.shape.length)
    const sum = reduce(g, "sum", cast(g, x!, "float32"), axes, keepDims === true)
    return binary(
      g,
      "div",
      sum,
      g.scalar(
        axes.reduce((n, i) => n * x!.shape[i]!, 1),
        "float32"
      )
    )
  },
  ArgMax: (g, { x }, { axis }) => argument(g, "argMax", x!, axesOf(axis, x!.shape.length)[0]!),
  ArgMin: (g, { x }, { axis }) => argument(g, "argMin", x!, axesOf(axis, x!.shape.length)[0]!),
  Cumsum: (g, { x }, { axis, exclusive, reverse }) =>
    cumulative(g, x!, axesOf(axis, x!.shape.length)[0]!, exclusive, reverse),
  Softmax: (g, { logits }) => softmax(g, logits!),
  BatchMatMul: (g, { a, b }, { transposeA, transposeB }) => matmul(g, a!, b!, transposeA, transposeB),
  _FusedMatMul: fused("_FusedMatMul"),
  FusedConv2D: fused("FusedConv2D"),
  FusedDepthwiseConv2D: fused("FusedDepthwiseConv2D"),
  UnsortedSegmentSum: (g, { segmentIds, x }, { numSegments }) => {
    const [ids, rows] = [segmentIds!, numSegments as number]
    // What flows back to a table goes where its rows came from.
    if (taken.get(unshaped(ids)) === rows) return segmentSum(g, x!, ids, rows)
    // Numbers that are none of a segment go to one more, which is dropped.
    const last = g.scalar(rows, "int32")
    const inside = binary(g, "and", binary(g, "greaterEqual", ids, g.scalar(0, "int32")), binary(g, "less", ids, last))
    const sums = segmentSum(g, x!, select(g, inside, ids, last), rows + 1)
    return Layout.slice(
      g,
      sums,
      sums.shape.map(() => 0),
      sums.shape.with(0, rows)
    )
  },

  Reshape: (g, { x }, { shape }) => Layout.reshape(g, x!, tf.util.inferFromImplicitShape(shape, size(x!.shape))),
  ExpandDims: (g, { input }, { dim }) => {
    const at = dim < 0 ? dim + input!.shape.length + 1 : dim
    return Layout.reshape(g, input!, input!.shape.toSpliced(at, 0, 1))
  },
  Transpose: (g, { x }, { perm }) => Layout.transpose(g, x!, perm),
  Slice: (g, { x }, { begin, size: extent }) => {
    const [from, to] = tf.slice_util.parseSliceParams(
      { shape: [...x!.shape], rank: x!.shape.length } as tf.Tensor,
      begin,
      extent
    )
    return Layout.slice(g, x!, from!, to!)
  },
  StridedSlice: (g, { x }, attrs) => {
    const { begin, beginMask, ellipsisMask, end, endMask, newAxisMask, shrinkAxisMask, strides } = attrs
    const found = tf.slice_util.sliceInfo(
      [...x!.shape],
      begin,
      end,
      strides,
      beginMask,
      endMask,
      ellipsisMask,
      newAxisMask,
      shrinkAxisMask
    )
    const back = found.strides.flatMap((n, axis) => (n < 0 ? [axis] : []))
    // Backwards from `begin` is forwards from the mirror image of it.
    const from = found.begin.map((n, axis) => (found.strides[axis]! < 0 ? x!.shape[axis]! - 1 - n : n))
    const extent = tf.slice_util.computeOutShape(found.begin, found.end, found.strides)
    const taken = Layout.slice(g, Layout.reverse(g, x!, back), from, extent, found.strides.map(Math.abs))
    return Layout.reshape(g, taken, found.finalShape)
  },
  Concat: (g, inputs, { axis }) => {
    const parts = Object.values(inputs)
    return Layout.concat(g, parts, axesOf(axis, parts[0]!.shape.length)[0]!)
  },
  SplitV: (g, { x }, { axis, numOrSizeSplits }) => {
    const along = axesOf(axis, x!.shape.length)[0]!
    const sizes = tf.backend_util.prepareSplitSize({ shape: [...x!.shape] } as tf.Tensor, numOrSizeSplits, along)
    let offset = 0
    return sizes.map((length) => {
      const begin = x!.shape.map((_, i) => (i === along ? offset : 0))
      offset += length
      return Layout.slice(g, x!, begin, x!.shape.with(along, length))
    })
  },
  Pack: (g, inputs, { axis }) => {
    const parts = Object.values(inputs)
    const at = axis < 0 ? axis + parts[0]!.shape.length + 1 : axis
    return Layout.concat(
      g,
      parts.map((x) => Layout.reshape(g, x, x.shape.toSpliced(at, 0, 1))),
      at
    )
  },
  Unpack: (g, { value }, { axis }) => {
    const at = axesOf(axis, value!.shape.length)[0]!
    return Array.from({ length: value!.shape[at]! }, (_, k) => {
      const row = Layout.slice(
        g,
        value!,
        value!.shape.map((_n, i) => (i === at ? k : 0)),
        value!.shape.with(at, 1)
      )
      return Layout.reshape(g, row, value!.shape.toSpliced(at, 1))
    })
  },
  PadV2: (g, { x }, { constantValue, paddings }) =>
    Layout.pad(
      g,
      x!,
      paddings.map((p: Shape) => p[0]),
      paddings.map((p: Shape) => p[1]),
      constantValue
    ),
  MirrorPad: (g, { x }, { mode, paddings }) =>
    Layout.mirrorPad(
      g,
      x!,
      paddings.map((p: Shape) => p[0]),
      paddings.map((p: Shape) => p[1]),
      mode
    ),
  Tile: (g, { x }, { reps }) => Layout.tile(g, x!, reps),
  Reverse: (g, { x }, { dims }) => Layout.reverse(g, x!, axesOf(dims, x!.shape.length)),
  FlipLeftRight: (g, { image }) => Layout.reverse(g, image!, [2]),
  GatherV2: (g, { indices, x }, { axis, batchDims }) => {
    const along = axesOf(axis, x!.shape.length)[0]!
    taken.set(unshaped(indices!), x!.shape[along]!)
    return Layout.gather(g, x!, indices!, along, batchDims)
  },
  OneHot: (g, { indices }, { depth, dtype, offValue, onValue }) => {
    const classes = g.const(
      Int32Array.from({ length: depth }, (_, i) => i),
      [depth],
      "int32"
    )
    const hit = cast(g, binary(g, "equal", Layout.reshape(g, indices!, [...indices!.shape, 1]), classes), dtype)
    return binary(g, "add", binary(g, "mul", hit, g.scalar(onValue - offValue, dtype)), g.scalar(offValue, dtype))
  },

  [Threefry2x32]: (g, { key }, { salt, shape }) => g.node("noise", [key!], { salt }, shape, "float32")
}
