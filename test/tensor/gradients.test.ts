/**
 * Gradients, and derivatives along directions, against central differences in float64: of functions drawn at random, evaluated
 * by an interpreter that knows nothing of either. A failure names the kind and the seed, which draw the function again.
 */
import * as tf from "@tensorflow/tfjs-core"
import { assert, beforeAll, describe, it } from "vitest"
import type { NdArray } from "../../src/dsl/values/NdArray.ts"
import { registerTrainingKernels } from "../../src/engines/eager/internal/kernels.ts"
import { trace } from "../../src/compiler/trace/Trace.ts"
import { directional } from "../../src/tensor/Directional.ts"
import * as Gradient from "../../src/tensor/Gradient.ts"
import { central, norm } from "../support/directional.ts"
import { evaluate } from "../support/interpreter.ts"
import { type Drawn, drawn, kinds } from "../support/randomFunctions.ts"

const seeds = Array.from({ length: 8 }, (_, i) => i)

/** A sum of all results, each with a weight of its own. */
const weighted =
  (f: Drawn["f"]) =>
  (x: tf.Tensor): tf.Scalar => {
    const y = f(x)
    return tf.sum(tf.mul(tf.cast(y, "float32"), tf.reshape(tf.cos(tf.range(0, y.size)), y.shape)))
  }
const gradientOf = (f: Drawn["f"]) => (x: tf.Tensor) =>
  Gradient.valueAndGradient((at: tf.Tensor) => [weighted(f)(at), {}] as const, x).gradient

const like = (shape: ReadonlyArray<number>): NdArray => ({ dtype: "float32", shape }) as never
const unit = (n: number, i: number) => Float64Array.from({ length: n }, (_, j) => Number(i === j))
const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  norm(Array.from(a, (n, i) => n - b[i]!)) / (norm(b) + 1e-2)

/** The gradient as central differences have it: of the traced function, in float64. */
const differences = ({ f, shape, x }: ReturnType<typeof drawn>): Float64Array => {
  const { results } = trace(weighted(f) as never, ["x"], [like(shape)])
  return Float64Array.from(x, (_, i) => central((x) => evaluate(results, { x }), x, unit(x.length, i), 1e-5)[0]![0]!)
}

/** The same in float32, of what the eager engine computes. */
const roughDifferences = ({ f, shape, x }: ReturnType<typeof drawn>): Float64Array => {
  const value = (at: Float64Array) => [
    tf.tidy(() => weighted(f)(tf.tensor(Float32Array.from(at), [...shape])).dataSync())
  ]
  return Float64Array.from(x, (_, i) => central(value, x, unit(x.length, i), 1e-2)[0]![0]!)
}

const onCpu = (f: Drawn["f"], shape: ReadonlyArray<number>, x: Float32Array) =>
  tf.tidy(() => gradientOf(f)(tf.tensor(x, [...shape])).dataSync())

/** Runs a case of each seed and gathers what went wrong. */
const wrong = (kind: string, errors: (each: ReturnType<typeof drawn>, seed: number) => ReadonlyArray<string>) =>
  seeds.flatMap((seed) => {
    try {
      return errors(drawn(kind, seed), seed).map((reason) => `${kind}, seed ${seed}: ${reason}`)
    } catch (error) {
      return [`${kind}, seed ${seed}: ${String(error)}`]
    }
  })

beforeAll(async () => {
  await tf.setBackend("cpu")
  registerTrainingKernels("cpu")
})

describe("gradients are the limits of differences", () => {
  for (const kind of Object.keys(kinds)) {
    it(kind, () => {
      assert.deepStrictEqual(
        wrong(kind, (each) => {
          const { eagerOnly, f, shape, x } = each
          if (eagerOnly === true) {
            const error = distance(onCpu(f, shape, x), roughDifferences(each))
            return error < 1e-2 ? [] : [`eager ${error}`]
          }
          const wanted = differences(each)
          const backward = trace(gradientOf(f) as never, ["x"], [like(shape)])
          const v = Float64Array.from(x, (_, i) => Math.sin(3 * i + 1))
          const forward = trace(
            (x: tf.Tensor, v: tf.Tensor) => directional(weighted(f) as never, x as never, v as never) as never,
            ["x", "v"],
            [like(shape), like(shape)]
          )
          const along = v.reduce((sum, n, i) => sum + n * wanted[i]!, 0)
          const errors = {
            compiled: distance(evaluate(backward.results, { x })[0]!, wanted),
            eager: distance(onCpu(f, shape, x), wanted),
            forwards: distance(evaluate(forward.results, { x, v })[0]!, [along])
          }
          return [
            ...(errors.compiled < 1e-6 ? [] : [`compiled ${errors.compiled}`]),
            ...(errors.eager < 1e-4 ? [] : [`eager ${errors.eager}`]),
            ...(errors.forwards < 1e-6 ? [] : [`forwards ${errors.forwards}`])
          ]
        }),
        []
      )
    })
  }
})

describe("gradients of gradients are right, or refused", () => {
  const refusals = /is not known here|neither an input nor an output/
  for (const kind of Object.keys(kinds)) {
    it(kind, () => {
      assert.deepStrictEqual(
        wrong(kind, (each, seed) => {
          const { eagerOnly, f, shape, x } = each
          // The gradient itself is held against differences above.
          if (eagerOnly === true || seed > 2) return []
          const wanted = differences({ ...each, f: gradientOf(f) })
          try {
            const compiled = trace(gradientOf(gradientOf(f)) as never, ["x"], [like(shape)])
            const errors = [
              distance(evaluate(compiled.results, { x })[0]!, wanted),
              distance(onCpu(gradientOf(f), shape, x), wanted)
            ]
            return errors[0]! < 1e-6 && errors[1]! < 1e-4 ? [] : [`compiled and eager ${errors.join()}`]
          } catch (error) {
            if (refusals.test(String(error))) return []
            throw error
          }
        }),
        []
      )
    })
  }
})
