/** Programs in WebAssembly where accesses and numbers reach an end: strides that are negative or wide, and whole numbers out of range. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as tf from "@tensorflow/tfjs-core"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import type { Tree } from "../../../src/dsl/values/Tree.ts"
import { Engine, type EngineError } from "../../../src/engines/Engine.ts"
import * as OnnxEngine from "../../../src/engines/onnx/OnnxEngine.ts"
import * as WebAssemblyEngine from "../../../src/engines/webassembly/WebAssemblyEngine.ts"

type Given = { readonly [name: string]: NdArray.NdArray }

/** The numbers of y = f(given). */
const observed = (
  f: (given: any) => tf.Tensor,
  given: Given,
  engine: Layer.Layer<Engine, EngineError> = WebAssemblyEngine.layer()
) =>
  Effect.gen(function* () {
    const { observe, upload } = yield* Engine
    const y = yield* observe(((x: unknown) => ({ y: f(x) })) as never)
    const found = yield* y((yield* upload<Tree>(given as never)) as never, {} as never)
    return Array.from((found as unknown as { readonly y: NdArray.NdArray }).y.data)
  }).pipe(Effect.scoped, Effect.provide(engine))

const counting = (...shape: ReadonlyArray<number>): NdArray.NdArray => {
  const n = NdArray.size(shape)
  return NdArray.float32(
    shape,
    Float32Array.from({ length: n }, (_, i) => (i % 11) - 4)
  )
}
const whole = (...numbers: ReadonlyArray<number>): NdArray.NdArray =>
  NdArray.int32([numbers.length], Int32Array.from(numbers))

describe("in WebAssembly", () => {
  const turned: { readonly [name: string]: (a: tf.Tensor2D, b: tf.Tensor2D) => tf.Tensor } = {
    "rows of the left": (a, b) => tf.matMul(tf.reverse(a, 0), b),
    "columns of the left": (a, b) => tf.matMul(tf.reverse(a, 1), b),
    "rows of the right": (a, b) => tf.matMul(a, tf.reverse(b, 0)),
    "columns of the right": (a, b) => tf.matMul(a, tf.reverse(b, 1)),
    "both along the sum": (a, b) => tf.matMul(tf.reverse(a, 1), tf.reverse(b, 0)),
    "the left beside itself": (a) => tf.matMul(tf.reverse(a, 0), a, false, true)
  }
  for (const [what, f] of Object.entries(turned)) {
    it.live(`a product takes ${what} in reverse`, () =>
      Effect.gen(function* () {
        const [a, b] = [counting(5, 7), counting(7, 6)]
        const wanted = f(tf.tensor2d(a.data as Float32Array, [5, 7]), tf.tensor2d(b.data as Float32Array, [7, 6]))
        assert.deepStrictEqual(yield* observed(({ a, b }) => f(a, b), { a, b }), Array.from(wanted.dataSync()))
      })
    )
  }

  it.live("a column of a wide table is read where it lies and nowhere else, in either direction", () =>
    Effect.gen(function* () {
      const x = counting(5, 200_000)
      for (const back of [false, true]) {
        const column = [0, 1, 2, 3, 4].map((i) => x.data[200_000 * i + 7]! + 1)
        const wanted = back ? column.toReversed() : column
        const f = ({ x }: { readonly x: tf.Tensor2D }) => {
          const y = tf.slice(x, [0, 7], [5, 1])
          // Where it lies by itself, and where it is reduced as it is read.
          return tf.concat([tf.add(back ? tf.reverse(y, 0) : y, 1), tf.sum(tf.square(y), 0, true)])
        }
        const square = column.reduce((sum, n) => sum + (n - 1) ** 2, 0)
        assert.deepStrictEqual(yield* observed(f, { x }), [...wanted, square])
      }
    })
  )

  const ends = [0, 1, -1, 2, -2, 3, -7, 7, 65_536, 46_341, 16_777_217, 2 ** 31 - 1, -(2 ** 31)]
  const pairs = ends.flatMap((a) => ends.map((b) => [a, b] as const))
  const divisions: ReadonlyArray<
    readonly [string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, (a: number, b: number) => number]
  > = [
    ["quotients towards −∞", tf.floorDiv, (a, b) => Math.floor(a / b)],
    ["remainders", tf.mod, (a, b) => a - b * Math.floor(a / b)]
  ]
  const engines = [
    ["WebAssembly", WebAssemblyEngine.layer()],
    ["ONNX Runtime", OnnxEngine.layer({ threads: 1 })]
  ] as const
  for (const [what, f, exact] of divisions) {
    it.live.each(engines)(
      `${what} of whole numbers are exact over their range, and modulo 2³² beyond: %s`,
      ([, engine]) =>
        Effect.gen(function* () {
          const some = pairs.filter(([, b]) => b !== 0)
          const given = { a: whole(...some.map(([a]) => a)), b: whole(...some.map(([, b]) => b)) }
          const found = yield* observed(({ a, b }) => f(a, b), given, engine)
          assert.deepStrictEqual(
            found,
            some.map(([a, b]) => exact(a, b) | 0)
          )
          const minus = yield* observed(({ a }) => f(a, tf.scalar(-1, "int32")), given, engine)
          assert.deepStrictEqual(
            minus,
            some.map(([a]) => exact(a, -1) | 0)
          )
        })
    )
  }

  it.live("powers of whole numbers are exact over their range", () =>
    Effect.gen(function* () {
      const some = [
        [3, 19],
        [5, 11],
        [16_777_217, 1],
        [7, 9],
        [-3, 5],
        [2, 30],
        [-2, 31],
        [0, 0],
        [-1, 7]
      ] as const
      const given = { a: whole(...some.map(([a]) => a)), b: whole(...some.map(([, b]) => b)) }
      assert.deepStrictEqual(
        yield* observed(({ a, b }) => tf.pow(a, b), given),
        some.map(([a, b]) => a ** b)
      )
    })
  )
})
