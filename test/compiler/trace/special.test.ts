/** Operations on numbers that are not finite, or too large, too small or zero: compiled as eagerly. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import type { Tree } from "../../../src/dsl/values/Tree.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as WebAssemblyEngine from "../../../src/engines/webassembly/WebAssemblyEngine.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import { drawn, kinds } from "../../support/randomFunctions.ts"

type Function = (x: any) => tf.Tensor
interface Case {
  readonly name: string
  readonly f: Function
  readonly x: NdArray.NdArray
}

// oxfmt-ignore
const numbers = [
  Number.NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, -0.5, 2.5, -3, 7, 1e8, -1e8, 3e38, -3e38, 1e-30, 1e-7, -1e-7, 88.8, -104
]
const anyOf = tf as unknown as { readonly [name: string]: (...args: ReadonlyArray<any>) => tf.Tensor }

const ofOne =
  "abs neg relu sigmoid tanh softplus sin cos tan sinh cosh asinh atan exp expm1 erf square elu selu relu6 leakyRelu " +
  "floor ceil round sign step log log1p sqrt rsqrt reciprocal asin acos atanh acosh isNaN isInf isFinite logicalNot"
const ofTwo =
  "add sub mul div maximum minimum squaredDifference mod floorDiv pow greater greaterEqual less lessEqual equal notEqual " +
  "divNoNan prelu"

const row = NdArray.float32([numbers.length], numbers)
const elementwise: ReadonlyArray<Case> = [
  ...ofOne.split(" ").map((name) => ({
    name,
    f: (x: tf.Tensor) => anyOf[name]!(name === "logicalNot" ? tf.cast(x, "bool") : x),
    x: row
  })),
  ...ofTwo.split(" ").map((name) => ({
    name,
    f: (x: tf.Tensor1D) => anyOf[name]!(tf.mul(tf.expandDims(x, 1), tf.ones([1, x.size])), x),
    x: row
  })),
  ...["int32", "bool"].map((type) => ({
    name: `cast to ${type}`,
    f: (x: tf.Tensor) => tf.cast(tf.clipByValue(x, -2e9, 2e9), type as "int32"),
    x: row
  })),
  {
    name: "remainders",
    f: (x) => tf.mod(x, tf.tensor1d([3, -3, 3, -3, 3, 0.75, 3])),
    x: NdArray.float32([7], [1e8, 1e8, -1e8, -6, 6, -2.5, 16777215])
  },
  { name: "clip", f: (x) => tf.clipByValue(x, -0.7, 0.7), x: row },
  {
    name: "choices",
    f: (x) => tf.where(tf.greater(x, 0), x, tf.div(1, x)),
    x: row
  }
]

const elementwiseNames = Object.fromEntries(elementwise.map(({ name }) => [name, true]))

const reducing = [
  "sum",
  "mean",
  "max",
  "min",
  "prod",
  "logSumExp",
  "argMax",
  "argMin",
  "all",
  "any",
  "cumsum",
  "softmax",
  "logSoftmax"
]
/** Rows with a special number each, at every place. */
const rows = NdArray.float32(
  [numbers.length * 4, 4],
  numbers.flatMap((n) => [0, 1, 2, 3].flatMap((at) => [1, 3, -2, 0.5].with(at, n)))
)
const reductions: ReadonlyArray<Case> = [
  ...reducing.map((name) => ({
    name,
    f: (x: tf.Tensor) => anyOf[name]!(name === "all" || name === "any" ? tf.cast(x, "bool") : x, 1),
    x: rows
  })),
  ...["sum", "max", "min", "prod", "mean", "logSumExp"].flatMap((name) =>
    [
      [1, Number.NaN, 3, 2],
      [-Infinity, -Infinity],
      [Infinity, -Infinity, 1],
      [Number.NaN, Number.NaN]
    ].map((list) => ({
      name: `${name} of all of ${list.join(" ")}`,
      f: (x: tf.Tensor) => anyOf[name]!(x),
      x: NdArray.float32([list.length], list)
    }))
  )
]

/** Functions drawn at random, of numbers of which every third is a special one. */
const random: ReadonlyArray<Case> = Object.keys(kinds).flatMap((kind) =>
  [100, 101, 102].flatMap((seed) => {
    const { eagerOnly, f, shape, x } = drawn(kind, seed)
    if (eagerOnly === true) return []
    const salted = x.map((n, i) => (i % 3 === seed % 3 ? numbers[(i * 7 + seed) % 6]! : n))
    return [{ name: `${kind}, seed ${seed}`, f, x: NdArray.float32(shape, salted) }]
  })
)

const constants: ReadonlyArray<Case> = [
  // Programs that differ in nothing else.
  ...[Number.NaN, Infinity, -Infinity, 3].map((value) => ({
    name: `nothing but ${value}`,
    f: () => tf.fill([2], value),
    x: NdArray.float32([2], [1, 2])
  })),
  {
    name: "paddings that differ only in what they pad with",
    f: (x) =>
      tf.concat(
        [Infinity, -Infinity, Number.NaN, 0, -0].map((value) => tf.pad(x, [[1, 1]], value)),
        0
      ),
    x: NdArray.float32([2], [1, 2])
  },
  {
    name: "constants with zeros of both signs",
    f: (x) => tf.div(x, tf.tensor1d([0, -0, 0, -0])),
    x: NdArray.float32([4], [1, 1, 2, 2])
  },
  { name: "a sum of a number and −0", f: (x) => tf.div(1, tf.mul(x, tf.scalar(-0))), x: NdArray.float32([2], [1, 2]) }
]

const whole = NdArray.int32([3, 4], [3, -2, 0, 5, 7, -7, 1, 2, -1, 4, 6, -3])
const i = (n: number) => tf.scalar(n, "int32")
/** Operations on whole numbers. A divisor of zero is an error of ONNX Runtime's, where eager engines give zero. */
const integers: ReadonlyArray<Case> = Object.entries<Function>({
  ...Object.fromEntries(
    "abs neg sign square relu sum max min prod mean cumsum argMax argMin softmax onesLike zerosLike transpose"
      .split(" ")
      .map((name) => [name, (x: tf.Tensor) => anyOf[name]!(x)])
  ),
  "along an axis": (x) => tf.addN([tf.sum(x, 1), tf.max(x, 1), tf.min(x, 1), tf.prod(x, 1)]),
  arithmetic: (x) => tf.sub(tf.mul(x, i(3)), tf.maximum(tf.minimum(x, i(2)), i(-2))),
  "quotients rounded down": (x) => tf.floorDiv(x, tf.tensor1d([2, -2, 3, 5], "int32")),
  remainders: (x) => tf.mod(x, tf.tensor1d([2, -2, 3, 5], "int32")),
  powers: (x) => tf.pow(x, i(3)),
  comparisons: (x) => tf.cast(tf.logicalAnd(tf.greater(x, i(0)), tf.notEqual(x, i(3))), "int32"),
  "a product with a bias": (x) => tf.add(tf.mul(tf.matMul(x, x, false, true), i(2)), i(5)),
  "products of a batch": (x) => tf.matMul(tf.reshape(x, [3, 2, 2]), tf.reshape(x, [3, 2, 2]), true),
  "moves of elements": (x) =>
    tf.concat(
      [
        tf.reverse(x, 1),
        tf.tile(tf.slice(x, [0, 1], [3, 1]), [1, 2]),
        tf.pad(
          x,
          [
            [0, 0],
            [1, 2]
          ],
          9
        )
      ],
      1
    ),
  rows: (x) => tf.gather(x, tf.tensor1d([2, 0], "int32")),
  "sums by number": (x) => tf.unsortedSegmentSum(x, tf.tensor1d([1, 0, 1], "int32"), 3),
  choices: (x) => tf.where(tf.less(x, i(0)), x, tf.mul(x, x)),
  "one-hot": (x) => tf.oneHot(tf.cast(x, "int32"), 5),
  "as float32": (x) => tf.div(tf.cast(x, "float32"), 4)
}).map(([name, f]) => ({ name: `whole numbers: ${name}`, f, x: whole }))

/** What TensorFlow.js's cpu backend, of its engines alone, gives; the compiled engine does as IEEE 754 and the others do. */
const known: { readonly [name: string]: (want: number, got: number) => boolean } = {
  // An approximation, good to 1e-7.
  erf: (want, got) => Math.abs(want - got) < 2e-7,
  sign: (want, got) => want === 0 && Number.isNaN(got),
  // Whole numbers of 32 bits, and quotients that are too small for float32.
  floorDiv: (want, got) =>
    (want === 0 && !Number.isFinite(got)) || Math.abs(got) > 2 ** 31 || (want === -1 && got === 0),
  "quotients, seed 100": (want, got) => want === 0 && Number.isNaN(got),
  // Of a divisor that is infinite; and a remainder that float32 cannot tell from the divisor.
  mod: (want, got) => (Number.isNaN(want) && (Math.abs(got) === Infinity || got === 0)) || (want === 0 && got !== 0),
  // One to any power is one, also in C and in shaders; JavaScript says otherwise.
  pow: (want, got) => Number.isNaN(want) && got === 1
}

/** Sums in another order, and products with zeros: numbers that are none reach further, and never less far. */
const linear = /convolutions|pools|resizes/

const same = (name: string, want: number, got: number): boolean =>
  Object.is(want, got) ||
  want === got ||
  Math.abs(want - got) <= 2e-6 * Math.max(Math.abs(want), Math.abs(got)) + (name in elementwiseNames ? 1e-37 : 1e-6) ||
  (linear.test(name) && Number.isNaN(got)) ||
  known[name]?.(want, got) === true

const results = (cases: ReadonlyArray<Case>) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    return yield* Effect.forEach(cases, ({ f, x }) =>
      Effect.scoped(
        Effect.gen(function* () {
          const observe = yield* engine.observe((({ x }: any) => ({ y: f(x) })) as (s: any, b: any) => Tree)
          const state = yield* Effect.acquireRelease(engine.upload({ x } as never), engine.release)
          return Array.from(((yield* observe(state, {} as never)) as any).y.data as Float32Array)
        })
      ).pipe(Effect.catch((failure) => Effect.succeed(String((failure as any).message))))
    )
  })

const agree = (cases: ReadonlyArray<Case>) =>
  Effect.gen(function* () {
    const eager = yield* results(cases).pipe(Effect.provide(Layer.fresh(Eager.layer("cpu"))))
    yield* alike(cases, eager, yield* results(cases).pipe(Effect.provide(Compiled.layer({ threads: 1 }))))
    const found = yield* results(cases).pipe(Effect.provide(WebAssemblyEngine.layer()))
    const covered = cases.flatMap((_, k) => (/has no form in WebAssembly/.test(String(found[k])) ? [] : [k]))
    const of = <A>(all: ReadonlyArray<A>): ReadonlyArray<A> => covered.map((k) => all[k]!)
    assert.isAtLeast(covered.length, cases.length / 2)
    yield* alike(of(cases), of(eager), of(found))
  })

type Results = ReadonlyArray<string | ReadonlyArray<number>>

const alike = (cases: ReadonlyArray<Case>, eager: Results, compiled: Results) =>
  Effect.sync(() => {
    const apart = cases.flatMap(({ name, x }, k) => {
      const [want, got] = [eager[k]!, compiled[k]!]
      if (typeof want === "string" || typeof got === "string")
        return typeof want === "string" && typeof got === "string" ? [] : [`${name}: ${want} / ${got}`]
      const at = want.findIndex((n, i) => !same(name, n, got[i]!))
      const of = want.length === x.data.length ? x.data[at] : `element ${at}`
      return at < 0 && want.length === got.length ? [] : [`${name} of ${of}: ${got[at]} for ${want[at]}`]
    })
    assert.deepStrictEqual(apart, [])
  })

describe("special numbers, compiled as eagerly", () => {
  it.live("element by element", () => agree(elementwise))
  it.live("brought together", () => agree(reductions))
  it.live("of whole numbers", () => agree(integers))
  it.live("as constants", () => agree(constants))
  it.live("in functions drawn at random", () => agree(random))
})
