/** Operations whose usual form in ONNX the WebGPU provider lacks, refuses, or computes wrongly or roughly. */
import { type Node, type Shape, sizeOf } from "../graph/Graph.ts"
import { divisorOf } from "./Divisor.ts"
import type { Emitter } from "./Emitter.ts"
import { toInput, windowOf } from "./LowerImages.ts"
import { typeOf } from "./Onnx.ts"

type Lowering = (e: Emitter, inputs: ReadonlyArray<string>, node: Node) => string

const zeros = (e: Emitter, shape: Shape): string => e.emit("Expand", [e.float(0), e.longs(shape)])
const times = (e: Emitter, a: string, b: string): string => e.emit("Mul", [a, b])
const plus = (e: Emitter, a: string, b: string): string => e.emit("Add", [a, b])
const number = (e: Emitter, condition: string): string => e.cast(condition, "float32")
const counting = (e: Emitter, n: number, shape: Shape): string =>
  e.floats(
    shape,
    Float32Array.from({ length: n }, (_, i) => i)
  )

const sign: Lowering = (e, [x]) => {
  const above = (y: string) => number(e, e.emit("Greater", [y, e.float(0)]))
  return e.emit("Sub", [above(x!), above(e.emit("Neg", [x!]))])
}

/** A half goes to its even neighbour, as in ONNX. */
const round: Lowering = (e, [x]) => {
  const down = e.emit("Floor", [x!])
  const rest = e.emit("Sub", [x!, down])
  const half = times(e, down, e.float(0.5))
  const odd = times(e, e.emit("Sub", [half, e.emit("Floor", [half])]), e.float(2))
  const over = number(e, e.emit("Greater", [rest, e.float(0.5)]))
  const between = number(e, e.emit("Equal", [rest, e.float(0.5)]))
  return plus(e, down, plus(e, over, times(e, between, odd)))
}

const or: Lowering = (e, inputs) => {
  const [a, b] = inputs.map((x) => e.emit("Not", [x]))
  return e.emit("Not", [e.emit("And", [a!, b!])])
}

/** Powers of x times coefficients, the highest first. */
const polynomial = (e: Emitter, x: string, coefficients: ReadonlyArray<number>): string =>
  coefficients.slice(1).reduce((sum, c) => plus(e, times(e, sum, x), e.float(c)), e.float(coefficients[0]!))

// WGSL promises for exp, log and tanh an absolute error only, which near 0 is larger than the result: there, series.
const near = (e: Emitter, x: string, within: number, close: string, far: string): string =>
  e.emit("Where", [e.emit("Less", [e.emit("Abs", [x]), e.float(within)]), close, far])

const expm1: Lowering = (e, [x]) => {
  const series = polynomial(
    e,
    x!,
    [5040, 720, 120, 24, 6, 2, 1].map((n) => 1 / n)
  )
  return near(e, x!, 0.25, times(e, x!, series), e.emit("Sub", [e.emit("Exp", [x!]), e.float(1)]))
}

// log(1 + x) = 2 artanh(x / (2 + x)).
const log1p: Lowering = (e, [x]) => {
  const z = e.emit("Div", [x!, plus(e, x!, e.float(2))])
  const series = polynomial(
    e,
    times(e, z, z),
    [9, 7, 5, 3, 1].map((n) => 2 / n)
  )
  return near(e, x!, 0.25, times(e, z, series), e.emit("Log", [plus(e, x!, e.float(1))]))
}

const turned = (e: Emitter, x: string, { shape }: Node): string =>
  e.emit("Transpose", [x], { perm: shape.map((_, i) => (i < shape.length - 2 ? i : 2 * shape.length - 3 - i)) })

const matmul: Lowering = (e, [a, b], { attrs, dtype, inputs }) => {
  const [ta, tb] = [Boolean(attrs["ta"]), Boolean(attrs["tb"])]
  if (dtype === "float32" && inputs[0]!.shape.length === 2 && inputs[1]!.shape.length === 2)
    return e.emit("Gemm", [a!, b!], { transA: Number(ta), transB: Number(tb) })
  return e.emit("MatMul", [ta ? turned(e, a!, inputs[0]!) : a!, tb ? turned(e, b!, inputs[1]!) : b!])
}

/** Devices read another row, or zeros, for one that there is none of: here such rows are NaN. */
export const gather: Lowering = (e, [x, ids], { attrs, dtype, inputs, shape }) => {
  const [table, indices] = inputs as [Node, Node]
  const axis = attrs["axis"] as number
  const found = e.emit("Gather", [x!, ids!], { axis })
  if (indices.values !== undefined) return found
  const last = table.shape[axis]! - 1
  const inside = e.emit("And", [e.emit("GreaterOrEqual", [ids!, e.int(0)]), e.emit("LessOrEqual", [ids!, e.int(last)])])
  const along = shape.map((n, i) => (i >= axis && i < axis + indices.shape.length ? n : 1))
  return e.emit("Where", [e.reshape(inside, along), found, dtype === "int32" ? e.int(-(2 ** 31)) : e.float(Number.NaN)])
}

const segmentSum: Lowering = (e, [x, ids], { inputs, shape }) => {
  const [rows, ...inner] = shape
  const count = sizeOf(inputs[1]!)
  const places = e.cast(e.reshape(ids!, [count, 1]), "int64")
  const start = zeros(e, [rows!, ...inner])
  return e.emit("ScatterND", [start, places, e.reshape(x!, [count, ...inner])], { reduction: "add" })
}

// Of shaders, WGSL does not promise that they know numbers that are none.
const reducing =
  (op: string): Lowering =>
  (e, [x], { attrs, shape }) =>
    e.emit(op, [x!, e.longs(attrs["axes"] as Shape)], { keepdims: Number(shape.length > 0) })

const mod: Lowering = (e, [a, b], { dtype, inputs }) =>
  dtype === "int32"
    ? e.emit("Mod", [a!, divisorOf(e, b!, inputs[1]!)])
    : e.emit("Sub", [a!, times(e, e.emit("Floor", [e.emit("Div", [a!, b!])]), b!)])

const cast: Lowering = (e, [x], { dtype }) => e.cast(x!, typeOf(dtype))

/** The first place of the best element; the provider's own operator gives integers that it cannot cast. */
const placing =
  (best: string): Lowering =>
  (e, [x], { attrs, inputs }) => {
    const axis = attrs["axis"] as number
    const shape = inputs[0]!.shape
    const places = counting(
      e,
      shape[axis]!,
      shape.map((n, i) => (i === axis ? n : 1))
    )
    const found = e.emit("Equal", [x!, e.emit(best, [x!, e.longs([axis])], { keepdims: 1 })])
    const candidates = e.emit("Where", [found, places, e.float(shape[axis]!)])
    return e.cast(e.emit("ReduceMin", [candidates, e.longs([axis])], { keepdims: 0 }), "int32")
  }

// ONNX Runtime 1.30 mixes up the filters of a group that has several: one filter of every group at a time.
const convToInput: Lowering = (e, [dy, filter], node) => {
  const { groups } = windowOf(node)
  const several = node.inputs[0]!.shape[1]! / groups
  if (groups === 1 || several === 1) return toInput(e, [dy!, filter!], node)
  const every = (x: string, axis: number, from: number) =>
    e.emit("Slice", [x, e.longs([from]), e.longs([groups * several]), e.longs([axis]), e.longs([several])])
  return Array.from({ length: several }, (_, i) => toInput(e, [every(dy!, 1, i), every(filter!, 0, i)], node)).reduce(
    (sum, part) => plus(e, sum, part)
  )
}

/** For each place of a pool's window: the elements of the image at it, and where in a flat image they stand. */
const looks = (e: Emitter, x: string, image: Shape, node: Node, result: Shape) => {
  const { pads, strides, window } = windowOf(node)
  const [, , height, width] = image as readonly [number, number, number, number]
  const reach = ([0, 1] as const).map((axis) => (result[2 + axis]! - 1) * strides[axis] + window[axis])
  const after = ([height, width] as const).map((n, axis) => Math.max(0, reach[axis]! - n - pads[axis]!))
  const around = [0, 0, pads[0], pads[1], 0, 0, after[0]!, after[1]!]
  const lowest = e.float(-3.4028234663852886e38)
  const padded = around.every((n) => n === 0) ? x : e.emit("Pad", [x, e.longs(around), lowest])
  return Array.from({ length: window[0] * window[1] }, (_, i) => {
    const from = [Math.floor(i / window[1]), i % window[1]] as const
    const to = from.map((n, axis) => n + (result[2 + axis]! - 1) * strides[axis]! + 1)
    const seen = e.emit("Slice", [padded, e.longs(from), e.longs(to), e.longs([2, 3]), e.longs(strides)])
    const at = Int32Array.from({ length: result[2]! * result[3]! }, (_, j) => {
      const [row, column] = [Math.floor(j / result[3]!), j % result[3]!]
      return (row * strides[0] + from[0] - pads[0]) * width + column * strides[1] + from[1] - pads[1]
    })
    return { seen, at: e.ints([1, 1, result[2]!, result[3]!], at) }
  })
}

/** Where in the flat image the first of the greatest elements under each window stands. */
const greatest = (e: Emitter, x: string, image: Shape, node: Node, result: Shape): string => {
  const { pads, strides, window } = windowOf(node)
  const [batch, channels, height, width] = image as readonly [number, number, number, number]
  const best = e.emit("MaxPool", [x], { kernel_shape: window, pads, strides })
  const found = looks(e, x, image, node, result).toReversed()
  const within = found.reduce(
    (places, { at, seen }) => e.emit("Where", [e.emit("Equal", [seen, best]), at, places]),
    found[0]!.at
  )
  const planes = Int32Array.from({ length: batch * channels }, (_, i) => i * height * width)
  return plus(e, within, e.ints([batch, channels, 1, 1], planes))
}

const maxPoolGrad: Lowering = (e, [dy, x], node) => {
  const result = node.inputs[0]!.shape
  const places = e.reshape(greatest(e, x!, node.shape, node, result), [sizeOf(node.inputs[0]!)])
  const moved = e.reshape(dy!, [sizeOf(node.inputs[0]!)])
  const start = zeros(e, [sizeOf(node)])
  return e.reshape(e.emit("ScatterElements", [start, places, moved], { axis: 0, reduction: "add" }), node.shape)
}

const maxPoolTangent: Lowering = (e, [along, x], node) => {
  const places = greatest(e, x!, node.inputs[1]!.shape, node, node.shape)
  return e.emit("Gather", [e.reshape(along!, [sizeOf(node.inputs[0]!)]), places], { axis: 0 })
}

/** Lowerings in place of the usual ones. */
export const lowerings: { readonly [op: string]: Lowering } = {
  sign,
  round,
  or,
  expm1,
  log1p,
  matmul,
  gather,
  segmentSum,
  convToInput,
  maxOf: reducing("ReduceMax"),
  minOf: reducing("ReduceMin"),
  mod,
  cast,
  argMax: placing("ReduceMax"),
  argMin: placing("ReduceMin"),
  maxPoolGrad,
  maxPoolTangent
}
