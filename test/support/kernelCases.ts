/** A case for every kernel that a step may use: values, and the gradient of a weighted sum of them. */
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import type { Tree } from "../../src/dsl/values/Tree.ts"
import type { Engine } from "../../src/engines/Engine.ts"
import * as Gradient from "../../src/tensor/Gradient.ts"
import * as Noise from "../../src/tensor/Noise.ts"
import * as Smooth from "../../src/tensor/Smooth.ts"
import { type Traced, trace } from "../../src/compiler/trace/Trace.ts"
import { type Case, image, imageCases } from "./imageCases.ts"

type Inputs = { readonly [name: string]: tf.Tensor }
const ids = NdArray.int32([2, 3], [4, 0, 2, 2, 1, 4])
const key = NdArray.int32([2], [123, -456])
const labels = NdArray.int32([4], [2, 0, 1, 2])
const batch = { ids, key, labels }

const one = (f: (x: any) => tf.Tensor, shape: ReadonlyArray<number> = [3, 5], from = -2): Case => ({
  shapes: { x: shape },
  f: ({ x }) => f(x),
  from
})
const two = (
  f: (x: any, y: any) => tf.Tensor,
  a: ReadonlyArray<number>,
  b: ReadonlyArray<number>,
  from = -2
): Case => ({
  shapes: { x: a, y: b },
  f: ({ x, y }) => f(x, y),
  from
})
const cases: { readonly [name: string]: Case } = {
  ...Object.fromEntries(
    (
      [
        "abs",
        "neg",
        "relu",
        "sigmoid",
        "tanh",
        "softplus",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "asinh",
        "atan",
        "exp",
        "expm1",
        "erf",
        "square",
        "elu",
        "selu",
        "relu6",
        "leakyRelu",
        "step",
        "floor",
        "ceil",
        "round",
        "sign"
      ] as const
    ).map((name) => [name, one((x) => (tf as any)[name](x))])
  ),
  ...Object.fromEntries(
    (["log", "log1p", "sqrt", "rsqrt", "reciprocal", "acosh"] as const).map((name) => [
      name,
      one((x) => (tf as any)[name](x), [3, 5], 1.1)
    ])
  ),
  "asin, acos, atanh": one((x) => tf.addN([tf.asin(tf.div(x, 3)), tf.acos(tf.div(x, 3)), tf.atanh(tf.div(x, 3))])),
  "log1p and expm1 of small numbers": one((x) => tf.add(tf.log1p(tf.mul(x, 1e-6)), tf.expm1(tf.mul(x, 1e-6)))),
  "arithmetic with broadcasts": two(
    (x, y) => tf.sub(tf.mul(tf.add(x, y), tf.div(y, x)), tf.mul(x, 3)),
    [2, 1, 3],
    [4, 1],
    1
  ),
  "maximum and minimum": two((x, y) => tf.maximum(x, tf.minimum(y, tf.mul(x, 2))), [3, 4], [3, 4]),
  powers: two((x, y) => tf.addN([tf.pow(x, y), tf.pow(x, 2), tf.pow(x, 0.5), tf.pow(x, -1)]), [3, 2], [3, 2], 0.5),
  "mod and floorDiv": { ...two((x, y) => tf.add(tf.mod(x, y), tf.floorDiv(x, y)), [3, 4], [4], 1), flat: true },
  "squared difference": two((x, y) => tf.squaredDifference(x, y), [3, 4], [3, 4]),
  where: {
    shapes: { x: [2, 3], y: [2, 3] },
    f: ({ x, y }, { ids }) => tf.where(tf.cast(ids, "bool"), x, tf.mul(y, x))
  },
  "all comparisons": {
    ...two(
      (x, y) =>
        tf.addN(
          [
            tf.less(x, y),
            tf.lessEqual(x, y),
            tf.greaterEqual(x, y),
            tf.equal(x, y),
            tf.logicalOr(tf.less(x, 0), tf.logicalNot(tf.less(y, 0)))
          ].map((t) => tf.cast(t, "float32"))
        ),
      [3, 4],
      [4]
    ),
    flat: true
  },
  clipping: one((x) => tf.clipByValue(x, -0.5, 0.7)),
  prelu: two((x, y) => tf.prelu(x, y), [3, 4], [4]),
  "sums and means": one((x) => tf.add(tf.sum(x, 1, true), tf.mean(x, [0, 2], true)), [3, 4, 2]),
  extremes: one((x) => tf.add(tf.max(x, 1), tf.min(x, [1])), [3, 4, 2]),
  "products of elements": { ...one((x) => tf.prod(x, 1), [3, 4]), flat: true },
  "all and any": {
    ...one((x) => tf.cast(tf.logicalOr(tf.all(tf.greater(x, 0), 1), tf.any(tf.less(x, -1), 1)), "float32"), [6, 4]),
    flat: true
  },
  arguments: { ...one((x) => tf.add(tf.argMax(x, 1), tf.argMin(x, 1)), [6, 4]), flat: true },
  "running sums": one((x) => tf.add(tf.cumsum(x, 1), tf.cumsum(x, 1, true, true)), [3, 4]),
  variance: one((x) => tf.sqrt(tf.moments(x, [0, 1]).variance), [3, 4, 2]),
  "matrix products": two((x, y) => tf.matMul(x, y), [3, 4], [4, 2]),
  "matrix products, first transposed": two((x, y) => tf.matMul(x, y, true), [4, 3], [4, 2]),
  "matrix products, second transposed": two((x, y) => tf.matMul(x, y, false, true), [3, 4], [2, 4]),
  "batches of matrix products": two((x, y) => tf.matMul(x, y, true, true), [2, 5, 4, 3], [2, 5, 2, 4]),
  "products of a batch with one matrix": two((x, y) => tf.matMul(x, y), [2, 3, 4], [4, 5]),
  "products of one matrix with a batch": two((x, y) => tf.matMul(x, y, true), [4, 3], [2, 4, 5]),
  "parts that are the whole": one((x) => tf.add(tf.split(x, 1, 1)[0]!, tf.unstack(tf.expandDims(x, 0))[0]!), [3, 4]),
  "squared difference with broadcasts": two((x, y) => tf.squaredDifference(x, y), [3, 4], [4]),
  "maximum and minimum with broadcasts": two((x, y) => tf.maximum(x, tf.minimum(y, 0.5)), [3, 1], [2, 1, 4]),
  "masks from comparisons": two(
    (x, y) =>
      tf.add(
        tf.where(tf.greater(x, 0), tf.mul(x, y), y),
        tf.mul(x, tf.cast(tf.logicalAnd(tf.lessEqual(x, y), tf.notEqual(x, 0)), "float32"))
      ),
    [3, 4],
    [3, 4]
  ),
  "choices of truth values": one(
    (x) => tf.mul(x, tf.cast(tf.where(tf.greater(x, 0), tf.less(x, 1), tf.greater(x, -1)), "float32")),
    [3, 4]
  ),
  "whole numbers padded, multiplied and chosen": {
    shapes: { x: [4, 5] },
    f: ({ x }, { ids }) => {
      const padded = tf.pad(
        ids,
        [
          [1, 1],
          [1, 1]
        ],
        7
      ) as tf.Tensor2D
      const products = tf.matMul(padded, padded, false, true)
      const all = tf.prod(tf.add(padded, tf.scalar(1, "int32")), 1)
      const chosen = tf.where(tf.greater(products, 50), products, tf.expandDims(all, 1))
      return tf.mul(x, tf.cast(tf.slice(chosen, [0, 0], [4, 1]), "float32"))
    }
  },
  "batch norm without scale and offset": image(
    (x) => tf.batchNorm(x, tf.tensor1d([0.1, 0.2, 0.3]), tf.tensor1d([1, 2, 3])),
    [2, 3, 3, 3]
  ),
  "every other element": one((x) => tf.stridedSlice(x, [0, 1], [3, 4], [2, 2]), [3, 4]),
  "mean pool with padding": image((x) => tf.avgPool(x, 3, 2, "same"), [2, 5, 4, 2]),
  "dilated convolution": image((x, w) => tf.conv2d(x, w, 1, "same", "NHWC", 2), [2, 6, 5, 3], [3, 3, 3, 4]),
  "dilated depthwise convolution": image(
    (x, w) => tf.depthwiseConv2d(x, w, 1, "valid", "NHWC", [2, 1]),
    [2, 6, 5, 3],
    [3, 3, 3, 2]
  ),
  "outer products": two((x, y) => tf.matMul(x, y), [3, 1], [1, 2]),
  dot: two((x, y) => tf.dot(x, y), [5], [5]),
  "reshape, transpose, slice": one(
    (x) => tf.slice(tf.transpose(tf.reshape(x, [4, 3, 2]), [2, 0, 1]), [0, 1, 1], [2, 3, 2]),
    [2, 12]
  ),
  "concat, split, stack, unstack": one(
    (x) => {
      const [a, b] = tf.split(x, [1, 3], 1) as [tf.Tensor, tf.Tensor]
      return tf.stack(tf.unstack(tf.concat([b, tf.mul(a, 2), x], 1), 1), 0)
    },
    [3, 4]
  ),
  "expandDims, squeeze, tile": one((x) => tf.tile(tf.squeeze(tf.expandDims(x, 1)), [2, 3]), [3, 4]),
  padding: one(
    (x) =>
      tf.pad(
        x,
        [
          [1, 2],
          [0, 3]
        ],
        0.5
      ),
    [3, 4]
  ),
  "mirrored padding": {
    ...one(
      (x) =>
        tf.add(
          tf.mirrorPad(
            x,
            [
              [1, 2],
              [2, 0]
            ],
            "reflect"
          ),
          tf.mirrorPad(
            x,
            [
              [1, 2],
              [2, 0]
            ],
            "symmetric"
          )
        ),
      [3, 4]
    ),
    flat: true
  },
  reverse: one((x) => tf.reverse(x, [0, 2]), [3, 4, 2]),
  "strided slices": {
    ...one(
      (x) =>
        tf.add(
          tf.stridedSlice(x, [0, 1, 0], [3, 4, 2], [2, 2, 1]),
          tf.stridedSlice(x, [2, 3, 1], [-4, 0, -3], [-2, -2, -1])
        ),
      [3, 4, 2]
    ),
    flat: true
  },
  flips: { ...image((x) => tf.image.flipLeftRight(x), [2, 3, 4, 2]), flat: true },
  "fused dense layer": {
    ...two((x, y) => tf.fused.matMul({ a: x, b: y, bias: tf.tensor1d([1, -1]), activation: "relu" }), [3, 4], [4, 2]),
    flat: true
  },
  "fused convolution": {
    ...image(
      (x, w) =>
        tf.fused.conv2d({ x, filter: w, strides: 1, pad: "same", bias: tf.tensor1d([1, -1]), activation: "elu" }),
      [2, 4, 4, 3],
      [3, 3, 3, 2]
    ),
    flat: true
  },
  embedding: { shapes: { x: [5, 3] }, f: ({ x }, { ids }) => tf.gather(x, ids) },
  "gather along another axis": { shapes: { x: [2, 5, 3] }, f: ({ x }, { ids }) => tf.gather(x, ids, 1), flat: true },
  "gather in batches": { shapes: { x: [2, 5, 3] }, f: ({ x }, { ids }) => tf.gather(x, ids, 1, 1), flat: true },
  "one-hot": {
    shapes: { x: [4, 3] },
    f: ({ x }, { labels }) => tf.mul(x, tf.cast(tf.oneHot(labels, 3, 2, -1), "float32"))
  },
  "ranges and fills": one((x) =>
    tf.add(tf.mul(tf.onesLike(x), tf.range(0, 5)), tf.mul(tf.linspace(0, 1, 5), tf.add(x, tf.fill([5], 0.25))))
  ),
  softmax: one((x) => tf.softmax(x)),
  logSoftmax: one((x) => tf.logSoftmax(x)),
  "log-sum-exp, smooth softmax, gelu": one((x) =>
    tf.add(tf.mul(Smooth.softmax(x), Smooth.gelu(x)), tf.expandDims(Smooth.logSumExp(x), -1))
  ),
  "stop-gradient": one((x) => tf.mul(Smooth.stopGradient(x), x)),
  "cross-entropy of TensorFlow.js": {
    shapes: { x: [4, 3] },
    f: ({ x }, { labels }) => tf.losses.softmaxCrossEntropy(tf.oneHot(labels, 3), x)
  },
  dropout: { shapes: { x: [7, 3] }, f: ({ x }, { key }) => Noise.dropout(x, key, 0.3, 5) },
  "numbers that are not finite": {
    ...one((x) =>
      tf.add(tf.cast(tf.isNaN(tf.sqrt(x)), "float32"), tf.mul(2, tf.cast(tf.isInf(tf.div(1, tf.relu(x))), "float32")))
    ),
    flat: true
  },
  integers: {
    shapes: { x: [2, 3] },
    f: ({ x }, { ids }) =>
      tf.mul(x, tf.cast(tf.sub(tf.mul(ids, 3), tf.mod(tf.add(ids, 1), tf.scalar(3, "int32"))), "float32"))
  },

  ...imageCases
}

/** Values of a case and the gradient of a weighted sum of them. */
const swept =
  ({ f, flat }: Case) =>
  (state: Inputs, b: Inputs) => {
    // Exact in every engine, of either sign, and different from one element to the next.
    const weights = (y: tf.Tensor) =>
      tf.reshape(tf.div(tf.sub(tf.mod(tf.mul(tf.range(0, y.size), 5), 13), 6), 8), y.shape)
    if (flat === true) return { value: f(state, b) }
    const { aux, gradient } = Gradient.valueAndGradient((x: Inputs) => {
      const y = f(x, b)
      return [tf.sum(tf.mul(y, weights(y))) as tf.Scalar, { value: y }] as const
    }, state)
    return { ...aux, gradient }
  }

const inputs = ({ from = -2, shapes }: Case) =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const draws = Seed.uniform(Seed.fold(Seed.make(7), name), NdArray.size(shape))
      return [
        name,
        NdArray.float32(
          shape,
          draws.map((u) => from + 4 * u)
        )
      ]
    })
  )

/** Every case as a graph: its values, and the gradient where that is compared. */
export const graphs = (): ReadonlyArray<readonly [name: string, graph: Traced]> =>
  Object.entries(cases).map(([name, each]) => [
    name,
    trace(swept(each) as never, ["state", "batch"], [inputs(each), batch])
  ])

/** What every case gives on an engine: its results, or why there are none. */
export const all = (engine: Engine["Service"]) =>
  Effect.forEach(Object.entries(cases), ([name, each]) =>
    Effect.scoped(
      Effect.gen(function* () {
        const observe = yield* engine.observe(swept(each) as (s: any, b: any) => Tree)
        const state = yield* Effect.acquireRelease(engine.upload(inputs(each) as never), engine.release)
        return [name, (yield* observe(state, batch as never)) as any] as const
      })
    ).pipe(Effect.catch((failure) => Effect.succeed([name, String((failure as any).reason)] as const)))
  )

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [difference, norm] = [0, 1e-6]
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2
    norm += a[i]! ** 2
  }
  return Math.sqrt(difference / norm)
}

/** Where results are not those of the reference to within `bound` of their size, each with a few numbers. */
export const differences = (
  found: ReadonlyArray<readonly [string, any]>,
  reference: ReadonlyMap<string, any>,
  bound: (name: string) => number
): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  for (const [name, result] of found) {
    const wanted = reference.get(name)
    if (typeof wanted === "string" || typeof result === "string") {
      wrong.push(
        `${name}: wanted ${typeof wanted === "string" ? wanted : "runs"}, found ${typeof result === "string" ? result : "runs"}`
      )
      continue
    }
    const pairs = [
      ["value", result.value, wanted.value],
      ...Object.keys(result.gradient ?? {}).map((x) => [x, result.gradient[x], wanted.gradient[x]])
    ]
    for (const [what, got, want] of pairs) {
      const error =
        got.shape.join() === want.shape.join() && got.dtype === want.dtype ? distance(want.data, got.data) : Number.NaN
      if (!(error < bound(name)))
        wrong.push(`${name}: ${what}: ${error} (${[...got.data].slice(0, 4)} for ${[...want.data].slice(0, 4)})`)
    }
  }
  return wrong
}
