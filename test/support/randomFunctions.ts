/** Functions of one tensor, drawn at random: kernels, axes, shapes and broadcasts that nobody chose. */
import * as tf from "@tensorflow/tfjs-core"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import { stream } from "../../src/testing/Draws.ts"

type Draw = ReturnType<typeof stream>
type Shape = ReadonlyArray<number>

/** A function of x, the shape of x, and the numbers that x is drawn from. */
export interface Drawn {
  readonly f: (x: any) => tf.Tensor
  readonly shape: Shape
  readonly between?: readonly [number, number]
  /** Whether the compiled engine has it. */
  readonly eagerOnly?: boolean
}

const anyOf = tf as unknown as { readonly [name: string]: (...args: ReadonlyArray<any>) => tf.Tensor }

const shapeOf = (draw: Draw, least = 1, most = 4): Array<number> =>
  Array.from({ length: least + draw.below(most - least + 1) }, () => 1 + draw.below(4))
/** An axis, counted from the front or from the back. */
const axisOf = (draw: Draw, { length }: Shape): number => draw.below(length) - (draw.chance(0.5) ? length : 0)
const someAxes = (draw: Draw, shape: Shape): Array<number> | number | undefined => {
  if (draw.chance(0.2)) return undefined
  if (draw.chance(0.4)) return axisOf(draw, shape)
  const axes = shape.flatMap((_, i) => (draw.chance(0.5) ? [i] : []))
  return axes.length === 0 ? [0] : axes
}

/** The parts of x in other shapes. */
export const parts = (x: tf.Tensor, ...shapes: ReadonlyArray<Shape>): any => {
  let at = 0
  return shapes.map((shape) => {
    const n = NdArray.size(shape)
    at += n
    return tf.reshape(tf.slice(x as tf.Tensor1D, at - n, n), [...shape])
  })
}
const two = (f: (a: any, b: any) => tf.Tensor, a: Shape, b: Shape, between?: readonly [number, number]): Drawn => ({
  f: (x) => f(...(parts(x, a, b) as [tf.Tensor, tf.Tensor])),
  shape: [NdArray.size(a) + NdArray.size(b)],
  ...(between === undefined ? {} : { between })
})
const three = (f: (a: any, b: any, c: any) => tf.Tensor, ...shapes: readonly [Shape, Shape, Shape]): Drawn => ({
  f: (x) => f(...(parts(x, ...shapes) as [tf.Tensor, tf.Tensor, tf.Tensor])),
  shape: [shapes.reduce((n, shape) => n + NdArray.size(shape), 0)]
})

/** Two shapes that broadcast to one another. */
const broadcasting = (draw: Draw): readonly [Shape, Shape] => {
  const whole = shapeOf(draw, 1, 4)
  const small = () =>
    whole.map((n) => (draw.chance(0.35) ? 1 : n)).slice(draw.chance(0.3) ? draw.below(whole.length) : 0)
  const pair = [whole, small()] as const
  return draw.chance(0.5) ? pair : [pair[1], pair[0]]
}

const everywhere =
  "abs neg relu sigmoid tanh softplus sin cos tan sinh cosh asinh atan exp expm1 erf square elu selu relu6 leakyRelu " +
  "floor ceil round sign step softmax logSoftmax logSigmoid"
const positive = "log log1p sqrt rsqrt reciprocal"

const images = (draw: Draw): [number, number, number, number] => [
  1 + draw.below(2),
  3 + draw.below(3),
  3 + draw.below(3),
  1 + draw.below(2)
]
const sides = (draw: Draw, most: number): [number, number] => [1 + draw.below(most), 1 + draw.below(most)]
const padding = (draw: Draw) => draw.pick(["same", "valid"] as const)

/** Strides and dilations, of which TensorFlow.js wants one to be all ones. */
const moves = (draw: Draw): readonly [[number, number], [number, number]] =>
  draw.chance(0.5) ? [sides(draw, 2), [1, 1]] : [[1, 1], sides(draw, 2)]

/** Kinds of functions by name. */
export const kinds: { readonly [name: string]: (draw: Draw) => Drawn } = {
  "of one": (draw) => {
    const name = draw.pick(everywhere.split(" "))
    return { f: (x) => anyOf[name]!(x), shape: shapeOf(draw) }
  },
  "of one that is positive": (draw) => {
    const name = draw.pick(positive.split(" "))
    return { f: (x) => anyOf[name]!(x), shape: shapeOf(draw), between: [0.2, 3] }
  },
  "inverse functions": (draw) => {
    const name = draw.pick(["asin", "acos", "atanh", "acosh"])
    return {
      f: (x) => anyOf[name]!(x),
      shape: shapeOf(draw),
      between: name === "acosh" ? [1.2, 4] : [-0.9, 0.9]
    }
  },
  "of two": (draw) => {
    const name = draw.pick("add sub mul maximum minimum squaredDifference".split(" "))
    return two((a, b) => anyOf[name]!(a, b), ...broadcasting(draw))
  },
  quotients: (draw) => {
    const name = draw.pick("div pow mod floorDiv divNoNan".split(" "))
    return two((a, b) => anyOf[name]!(a, b), ...broadcasting(draw), [0.6, 3])
  },
  "sums of several": (draw) => {
    const shape = shapeOf(draw)
    return three((a, b, c) => tf.addN([a, b, tf.mul(a, c)]), shape, shape, shape)
  },
  choices: (draw) => {
    const name = draw.pick("greater greaterEqual less lessEqual equal notEqual".split(" "))
    const [a, b] = broadcasting(draw)
    return two((a, b) => tf.where(tf.logicalOr(anyOf[name]!(a, b), tf.isNaN(a)), tf.mul(a, b), tf.sub(b, a)), a, b)
  },
  masks: (draw) => ({
    f: (x) =>
      tf.mul(x, tf.cast(tf.logicalAnd(tf.greater(x, 0), tf.logicalNot(tf.notEqual(tf.floor(x), 0))), "float32")),
    shape: shapeOf(draw)
  }),
  "whole numbers": (draw) => ({
    f: (x) => tf.mul(x, tf.cast(tf.cast(tf.mul(x, 3), "int32"), "float32")),
    shape: shapeOf(draw)
  }),
  clipping: (draw) => ({ f: (x) => tf.clipByValue(x, -0.7, 0.6), shape: shapeOf(draw) }),
  prelu: (draw) => {
    const [whole, small] = broadcasting(draw)
    return NdArray.size(whole) >= NdArray.size(small)
      ? two((a, b) => tf.prelu(a, b), whole, small)
      : two((a, b) => tf.prelu(b, a), whole, small)
  },
  reductions: (draw) => {
    const shape = shapeOf(draw)
    const [name, axes, keep] = [
      draw.pick("sum mean max min prod logSumExp".split(" ")),
      someAxes(draw, shape),
      draw.chance(0.5)
    ]
    return { f: (x) => anyOf[name]!(x, axes, keep), shape }
  },
  norms: (draw) => {
    const shape = shapeOf(draw)
    const axis = axisOf(draw, shape)
    return { f: (x) => tf.norm(x, "euclidean", axis), shape, between: [0.3, 2] }
  },
  moments: (draw) => {
    const shape = shapeOf(draw)
    const axes = someAxes(draw, shape) as Array<number>
    return { f: (x) => tf.add(...(Object.values(tf.moments(x, axes, true)) as [tf.Tensor, tf.Tensor])), shape }
  },
  "running sums": (draw) => {
    const shape = shapeOf(draw)
    const [axis, exclusive, reverse] = [draw.below(shape.length), draw.chance(0.5), draw.chance(0.5)]
    return { f: (x) => tf.cumsum(x, axis, exclusive, reverse), shape }
  },
  "places of extremes": (draw) => {
    const shape = shapeOf(draw, 2, 3)
    return { f: (x) => tf.mul(tf.cast(tf.argMax(x, 0), "float32"), tf.sum(x, 0)), shape }
  },
  "one row by the place of the greatest": (draw) => ({
    f: (x) => tf.gather(x, tf.argMax(x, 0) as tf.Tensor1D),
    shape: [3, 1 + draw.below(3)]
  }),
  "matrix products": (draw) => {
    const [m, k, n] = [1 + draw.below(3), 1 + draw.below(4), 1 + draw.below(3)]
    const [ta, tb] = [draw.chance(0.5), draw.chance(0.5)]
    const batch = shapeOf(draw, 1, 2)
    const own = draw.pick([[], batch, batch.map(() => 1)])
    const [a, b] = [
      [...batch, ...(ta ? [k, m] : [m, k])],
      [...own, ...(tb ? [n, k] : [k, n])]
    ]
    return draw.chance(0.7)
      ? two((a, b) => tf.matMul(a, b, ta, tb), a, b)
      : two((a, b) => tf.matMul(b, a, !tb, !ta), a, b)
  },
  "fused layers": (draw) => {
    const activation = draw.pick(["linear", "relu"] as const)
    return three((a, b, bias) => tf.fused.matMul({ a, b, bias, activation }), [3, 4], [4, 2], [2])
  },
  layouts: (draw) => {
    const shape = shapeOf(draw, 2, 4)
    const perm = shape.map((_, i) => i).sort(() => draw.unit() - 0.5)
    const begin = shape.map((n) => draw.below(n))
    const size = shape.map((n, i) => (draw.chance(0.3) ? -1 : 1 + draw.below(n - begin[i]!)))
    const axis = axisOf(draw, shape)
    return {
      f: draw.pick<(x: tf.Tensor) => tf.Tensor>([
        (x) => tf.transpose(x, perm),
        (x) => tf.slice(x, begin, size),
        (x) => tf.reverse(x, axis),
        (x) => tf.expandDims(tf.reshape(x, [-1]), 1),
        (x) => tf.squeeze(x)
      ]),
      shape
    }
  },
  "slices with strides": (draw) => {
    const shape = shapeOf(draw, 1, 3).map((n) => n + 2)
    const strides = shape.map(() => draw.pick([1, 2, 3, -1, -2]))
    const begin = shape.map((n, i) => (strides[i]! > 0 ? draw.below(n - 1) : n - 1 - draw.below(n - 1)))
    const end = shape.map((n, i) => (strides[i]! > 0 ? n : -n - 1 + draw.below(2)))
    return { f: (x) => tf.stridedSlice(x, begin, end, strides), shape }
  },
  "concatenation and parts": (draw) => {
    const shape = shapeOf(draw, 2, 3)
    const axis = axisOf(draw, shape)
    return {
      f: draw.pick<(x: tf.Tensor) => tf.Tensor>([
        (x) => tf.concat([x, tf.square(x)], axis),
        (x) => tf.concat([tf.square(x)], axis),
        (x) => tf.addN(tf.split(x, shape.at(axis)!, axis)),
        (x) => tf.addN(tf.split(x, 1, axis)),
        (x) => tf.addN(tf.unstack(tf.square(x), axis)),
        (x) => tf.addN(tf.unstack(tf.expandDims(x, axis), axis)),
        (x) => tf.mul(2, tf.split(x, [1, shape.at(axis)! - 1], axis)[0]!),
        (x) => tf.stack([x, tf.exp(x)], axis)
      ]),
      shape
    }
  },
  paddings: (draw) => {
    const shape = shapeOf(draw, 1, 4)
    const pads = shape.map((): [number, number] => [draw.below(3), draw.below(3)])
    const value = draw.unit()
    return { f: (x) => tf.pad(x, pads, value), shape }
  },
  "mirrored paddings": (draw) => {
    const shape = shapeOf(draw, 1, 3).map((n) => n + 1)
    const mode = draw.pick(["reflect", "symmetric"] as const)
    const most = (n: number) => (mode === "reflect" ? n : n + 1)
    const pads = shape.map((n): [number, number] => [draw.below(most(n)), draw.below(most(n))])
    return { f: (x) => tf.mirrorPad(x, pads, mode), shape }
  },
  repetition: (draw) => {
    const shape = shapeOf(draw, 1, 5).map((n) => Math.min(n, 3))
    return draw.chance(0.5)
      ? {
          f: (x) =>
            anyOf["tile"]!(
              x,
              shape.map((_, i) => 1 + ((i + shape.length) % 3))
            ),
          shape
        }
      : { f: (x) => tf.broadcastTo(tf.reshape(x, [1, ...shape]), [3, ...shape]), shape }
  },
  "rows by number": (draw) => {
    const shape = shapeOf(draw, 1, 4)
    const axis = axisOf(draw, shape)
    const ids = Array.from({ length: 6 }, () => draw.below(shape.at(axis)!))
    const two = draw.chance(0.5)
    return { f: (x) => tf.gather(x, two ? tf.tensor2d(ids, [2, 3], "int32") : tf.tensor1d(ids, "int32"), axis), shape }
  },
  "rows by number in batches": (draw) => {
    const batch = 1 + draw.below(2)
    const shape = [...shapeOf(draw, batch, batch), ...shapeOf(draw, 1, 3)]
    const axis = batch + draw.below(shape.length - batch)
    const of = [...shape.slice(0, batch), ...shapeOf(draw, 1, 2)]
    const ids = Array.from({ length: NdArray.size(of) }, () => draw.below(shape[axis]!))
    return { f: (x) => tf.gather(x, tf.tensor(ids, of as [number], "int32"), axis, batch), shape }
  },
  "sums by number": (draw) => {
    const shape = shapeOf(draw, 1, 3)
    const ids = Array.from({ length: shape[0]! }, () => draw.below(4))
    return { f: (x) => tf.unsortedSegmentSum(x, tf.tensor1d(ids, "int32"), 4), shape }
  },
  convolutions: (draw) => {
    const [image, [strides, dilations], pad] = [images(draw), moves(draw), padding(draw)]
    const filter = [...sides(draw, 2), image[3], 1 + draw.below(2)]
    return two((x, w) => tf.conv2d(x, w, strides, pad, "NHWC", dilations), image, filter)
  },
  "depthwise convolutions": (draw) => {
    const [image, [[stride], dilations], pad] = [images(draw), moves(draw), padding(draw)]
    const filter = [...sides(draw, 2), image[3], 1 + draw.below(2)]
    return two((x, w) => tf.depthwiseConv2d(x, w, stride, pad, "NHWC", dilations), image, filter)
  },
  "transposed convolutions": (draw) => {
    const [batch, height, width, channels] = images(draw)
    const stride = 1 + draw.below(2)
    const out = 1 + draw.below(2)
    return two(
      (x, w) => tf.conv2dTranspose(x, w, [batch, height * stride, width * stride, out], stride, "same"),
      [batch, height, width, channels],
      [...sides(draw, 3), out, channels]
    )
  },
  pools: (draw) => {
    const [shape, window, stride, pad] = [images(draw), sides(draw, 3), 1 + draw.below(2), padding(draw)]
    return draw.chance(0.5)
      ? { f: (x) => tf.maxPool(x, window, stride, pad), shape }
      : { f: (x) => tf.avgPool(x, window, stride, pad), shape }
  },
  resizes: (draw) => {
    const shape = images(draw)
    const [size, middle] = [sides(draw, 6), draw.chance(0.5)]
    const corners = !middle && draw.chance(0.5)
    return draw.chance(0.6)
      ? { f: (x) => tf.image.resizeBilinear(x, size, corners, middle), shape }
      : { f: (x) => tf.image.resizeNearestNeighbor(x, size, corners, middle), shape }
  },
  "batch norm": (draw) => {
    const image = images(draw)
    const c = image[3]
    const [offset, scale] = [draw.chance(0.5), draw.chance(0.5)]
    return {
      f: (x) => {
        const [at, mean, variance, b, a] = parts(x, image, [c], [c], [c], [c])
        return tf.batchNorm(
          at,
          mean,
          tf.add(tf.square(variance), 0.5) as tf.Tensor1D,
          offset ? b : undefined,
          scale ? a : undefined
        )
      },
      shape: [NdArray.size(image) + 4 * c]
    }
  },
  "cross-entropy of labels and logits": (draw) => {
    const shape = [1 + draw.below(3), 2 + draw.below(3)]
    return two((labels, logits) => tf.losses.softmaxCrossEntropy(tf.softmax(labels), logits), shape, shape)
  },
  "volumes, and what only eager engines have": (draw) => {
    const volume = [1, 3, 3, 2, 2] as const
    return {
      ...draw.pick<Drawn>([
        { f: (x) => tf.maxPool3d(x, 2, 1, "same"), shape: volume },
        { f: (x) => tf.avgPool3d(x, 2, 1, "same"), shape: volume },
        two((x, w) => tf.conv3d(x, w, 1, "same"), volume, [2, 2, 1, 2, 2]),
        {
          f: (x) =>
            tf.spaceToBatchND(
              x,
              [2, 2],
              [
                [1, 0],
                [0, 1]
              ]
            ),
          shape: [1, 3, 3, 2]
        },
        {
          f: (x) =>
            tf.batchToSpaceND(
              x,
              [2, 2],
              [
                [1, 0],
                [0, 1]
              ]
            ),
          shape: [4, 2, 2, 1]
        },
        { f: (x) => tf.localResponseNormalization(x, 2), shape: [1, 2, 2, 4] },
        two((x, w) => tf.dilation2d(x, w, 1, "valid", 1), [1, 4, 4, 2], [2, 2, 2]),
        two((a, b) => tf.atan2(a, b), ...broadcasting(draw), [0.5, 2]),
        two((a, b) => tf.logicalXor(tf.greater(a, 0), tf.less(b, 0)).toFloat().mul(a), ...broadcasting(draw))
      ]),
      eagerOnly: true
    }
  }
}

/** Function `seed` of a kind, with a point at which to take it. */
export const drawn = (kind: string, seed: number): Drawn & { readonly x: Float32Array } => {
  const draw = stream(Seed.fold(Seed.make(seed), kind))
  const each = kinds[kind]!(draw)
  const [from, to] = each.between ?? [-2, 2]
  const units = Seed.uniform(Seed.fold(Seed.fold(Seed.make(seed), kind), "x"), NdArray.size(each.shape))
  return { ...each, x: units.map((u) => from + (to - from) * u) }
}
