/**
 * Gradients of networks that look at images. The formulas follow those of TensorFlow.js (Copyright Google LLC, licensed under
 * the Apache License 2.0). Other than there, convolutions may be dilated, gradients of convolutions and of mean
 * pools have gradients, resizes are right, and batch norm does without scale and offset.
 */
import * as tf from "@tensorflow/tfjs-core"
import { interpolation } from "../Interpolation.ts"
import { gathered, spread } from "./Layout.ts"
import { linear, ofInput, reading, readingBoth, type Rule } from "./Rule.ts"

type Four = [number, number, number, number]

const run = (kernelName: string, inputs: tf.NamedTensorMap, attrs: object): tf.Tensor =>
  tf.engine().runKernel(kernelName, inputs, attrs as tf.NamedAttrMap)

/** Of a filter's axes, how far apart its places are. */
const dilationsOf = ({ dilations }: { readonly dilations?: number | [number, number] }): ReadonlyArray<number> =>
  typeof dilations === "object" ? [...dilations, 1, 1] : [dilations ?? 1, dilations ?? 1, 1, 1]

/** A convolution's gradients, in terms of kernels that know no dilation: of the filter with zeros between its places. */
const convolution = (kernelName: string, toInput: string, toFilter: string): Rule =>
  reading(kernelName, ["x", "filter"], (dy, [x, filter], attrs) => {
    const { dataFormat, dimRoundingMode, pad, strides } = attrs
    const apart = dilationsOf(attrs)
    const shared = {
      strides,
      pad,
      dimRoundingMode,
      ...(kernelName === tf.Conv2D ? { dataFormat } : { dilations: [1, 1] })
    }
    return {
      x: () => run(toInput, { dy, filter: spread(filter, apart) }, { ...shared, inputShape: x.shape }),
      filter: () => {
        const filterShape = filter.shape.map((n: number, axis: number) => (n - 1) * apart[axis]! + 1)
        return gathered(run(toFilter, { x, dy }, { ...shared, filterShape }), apart)
      }
    }
  })

/** Gradients of those gradients, which are convolutions again. */
const backwards = (kernelName: string, toInput: string, toFilter: string): ReadonlyArray<Rule> => {
  const forward = (x: tf.Tensor, filter: tf.Tensor, attrs: any): tf.Tensor =>
    run(kernelName, { x, filter }, { dataFormat: "NHWC", ...attrs, dilations: attrs.dilations ?? [1, 1] })
  return [
    reading(toInput, ["dy", "filter"], (flow, [dy, filter], attrs) => ({
      dy: () => forward(flow, filter, attrs),
      filter: () => run(toFilter, { x: flow, dy }, { ...attrs, filterShape: filter.shape })
    })),
    reading(toFilter, ["x", "dy"], (flow, [x, dy], attrs) => ({
      x: () => run(toInput, { dy, filter: flow }, { ...attrs, inputShape: x.shape }),
      dy: () => forward(x, flow, attrs)
    }))
  ]
}

const convolutions: ReadonlyArray<Rule> = [
  [tf.Conv2D, tf.Conv2DBackpropInput, tf.Conv2DBackpropFilter] as const,
  [tf.DepthwiseConv2dNative, tf.DepthwiseConv2dNativeBackpropInput, tf.DepthwiseConv2dNativeBackpropFilter] as const
].flatMap(([name, toInput, toFilter]) => [convolution(name, toInput, toFilter), ...backwards(name, toInput, toFilter)])

const pool = ({ dimRoundingMode, filterSize, pad, strides }: any) => ({ filterSize, strides, pad, dimRoundingMode })

/** Backends whose gradient of a mean pool divides by the whole window, also where part of it lies in the padding. */
const dividingByWindow = new Set(["cpu", "wasm", "webgpu"])

/** By how much those gradients are too small, at each place of the result; none where they are right. */
const shortage = (x: tf.Tensor, { dimRoundingMode, filterSize, pad, strides }: any): tf.Tensor | undefined => {
  if (!dividingByWindow.has(tf.getBackend())) return undefined
  const {
    inDepth = 1,
    padInfo,
    ...info
  } = (
    x.rank === 4
      ? tf.backend_util.computePool2DInfo(x.shape as Four, filterSize, strides, 1, pad, dimRoundingMode)
      : tf.backend_util.computePool3DInfo(x.shape as [...Four, number], filterSize, strides, 1, pad, dimRoundingMode)
  ) as tf.backend_util.Conv3DInfo
  const excess = (out: number, stride: number, before: number, window: number, side: number): Array<number> =>
    Array.from({ length: out }, (_, i) => {
      const from = i * stride - before
      return window / (Math.min(from + window, side) - Math.max(from, 0))
    })
  const rows = excess(info.outHeight, info.strideHeight, padInfo.top, info.filterHeight, info.inHeight)
  const columns = excess(info.outWidth, info.strideWidth, padInfo.left, info.filterWidth, info.inWidth)
  const layers = x.rank === 4 ? [1] : excess(info.outDepth, info.strideDepth, padInfo.front, info.filterDepth, inDepth)
  const all = layers.flatMap((n) => rows.flatMap((m) => columns.map((k) => n * m * k)))
  if (all.every((n) => n === 1)) return undefined
  const places = x.rank === 4 ? [rows.length, columns.length] : [layers.length, rows.length, columns.length]
  return tf.tensor(all, [1, ...places, 1])
}

const pools: ReadonlyArray<Rule> = [
  ...(
    [
      [tf.MaxPool, tf.MaxPoolGrad],
      [tf.MaxPool3D, tf.MaxPool3DGrad]
    ] as const
  ).map(([name, back]) =>
    readingBoth(name, ["x"], (dy, [x, y], attrs) => ({
      x: () => run(back, { dy, input: x, output: y }, pool(attrs))
    }))
  ),
  ...(
    [
      [tf.AvgPool, tf.AvgPoolGrad],
      [tf.AvgPool3D, tf.AvgPool3DGrad]
    ] as const
  ).flatMap(([name, back]) => [
    ofInput(name, (dy, x, attrs) => {
      const short = shortage(x, attrs)
      return run(back, { dy: short === undefined ? dy : tf.mul(dy, short), input: x }, pool(attrs))
    }),
    reading(back, ["dy", "input"], (flow, [, input], attrs) => ({
      dy: () => {
        const [short, means] = [shortage(input, attrs), run(name, { x: flow }, pool(attrs))]
        return short === undefined ? means : tf.div(means, short)
      },
      input: () => tf.zeros(input.shape)
    }))
  ])
]

/**
 * A resize along one axis after the other is two products with constant matrices, and its gradient two with their transposes:
 * TensorFlow.js's kernels for it mix up height and width, and count from the corners of pixels only.
 */
const resized = (dy: tf.Tensor, images: tf.Tensor, attrs: any, nearest: boolean): tf.Tensor => {
  const [batch, height, width, channels] = images.shape as Four
  const [tall, wide] = dy.shape.slice(1) as [number, number]
  const weights = (from: number, to: number) => tf.tensor2d(interpolation(from, to, attrs, nearest), [to, from])
  const rows = tf.matMul(weights(height, tall), tf.reshape(dy, [batch, tall, wide * channels]), true)
  const columns = tf.matMul(
    tf.reshape(tf.transpose(tf.reshape(rows, [batch, height, wide, channels]), [0, 1, 3, 2]), [-1, wide]),
    weights(width, wide)
  )
  return tf.transpose(tf.reshape(columns, [batch, height, channels, width]), [0, 1, 3, 2])
}

const resize = (name: string, nearest: boolean): Rule =>
  ofInput(name, (dy, images, attrs) => resized(dy, images, attrs, nearest), "images")

/** Sums over all axes but the last, where statistics are one number a channel. */
const perChannel = (x: tf.Tensor, mean: tf.Tensor): tf.Tensor =>
  tf.reshape(mean.rank === 1 ? tf.sum(x, tf.broadcast_util.getReductionAxes(mean.shape, x.shape)) : x, mean.shape)

const batchNorm = reading(
  tf.FusedBatchNorm,
  ["x", "mean", "variance", "scale"],
  (dy, [x, mean, variance, scale = tf.scalar(1)], { varianceEpsilon }) => {
    const centred = tf.sub(x, mean)
    const scaled = tf.mul(dy, scale)
    const inverse = tf.rsqrt(tf.add(variance, tf.scalar(varianceEpsilon)))
    return {
      x: () => {
        if (mean.rank !== 1) return tf.reshape(tf.mul(tf.mul(dy, inverse), scale), x.shape)
        const everywhere = tf.tile(tf.reshape(inverse, [1, 1, 1, mean.shape[0]]), [...x.shape.slice(0, -1), 1])
        return tf.reshape(tf.mul(tf.mul(dy, everywhere), scale), x.shape)
      },
      mean: () => perChannel(tf.mul(tf.mul(inverse, tf.scalar(-1)), scaled), mean),
      variance: () => {
        const minusHalfCube = tf.mul(tf.mul(tf.mul(inverse, inverse), inverse), tf.scalar(-0.5))
        return perChannel(tf.mul(tf.mul(minusHalfCube, centred), scaled), mean)
      },
      scale: () => perChannel(tf.mul(dy, tf.mul(centred, inverse)), mean),
      offset: () => perChannel(dy, mean)
    }
  }
)

const undilated = (op: string, { dilations }: any): void => {
  const each: ReadonlyArray<number> = Array.isArray(dilations) ? dilations : [dilations ?? 1]
  if (each.some((n) => n !== 1))
    throw new Error(`${op} with dilations [${each.join(", ")}] has no gradient here: use dilations of 1`)
}

const others: ReadonlyArray<Rule> = [
  reading(tf.Conv3D, ["x", "filter"], (dy, [x, filter], attrs) => {
    const { pad, strides } = attrs
    undilated("conv3d", attrs)
    return {
      x: () => run(tf.Conv3DBackpropInputV2, { dy, filter }, { pad, strides, inputShape: x.shape }),
      filter: () => run(tf.Conv3DBackpropFilterV2, { x, dy }, { strides, pad, filterShape: filter.shape })
    }
  }),
  reading(tf.Dilation2D, ["x", "filter"], (dy, [x, filter], attrs) => ({
    x: () => run(tf.Dilation2DBackpropInput, { x, filter, dy }, attrs),
    filter: () => run(tf.Dilation2DBackpropFilter, { x, filter, dy }, attrs)
  })),
  readingBoth(tf.LRN, ["x"], (dy, [x, y], { alpha, beta, bias, depthRadius }) => ({
    x: () => run(tf.LRNGrad, { x, y, dy }, { depthRadius, bias, alpha, beta })
  })),
  linear(tf.FlipLeftRight, (dy) => tf.image.flipLeftRight(dy), "image")
]

export const rules: ReadonlyArray<Rule> = [
  ...convolutions,
  ...pools,
  resize(tf.ResizeBilinear, false),
  resize(tf.ResizeNearestNeighbor, true),
  batchNorm,
  ...others
]
