/** How far functions in WebAssembly are from the exact values, in units of the last place of float32. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as tf from "@tensorflow/tfjs-core"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import type { Tree } from "../../../src/dsl/values/Tree.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as WebAssemblyEngine from "../../../src/engines/webassembly/WebAssemblyEngine.ts"

/** Four thousand numbers of every size between two, and of both signs where `from` is below zero. */
const numbers = (from: number, to: number): Float32Array => {
  const least = 1e-30
  const reach = (limit: number) => Math.log(limit / least)
  return Float32Array.from({ length: 4096 }, (_, i) => {
    const t = ((i >> 1) + 0.5) / 2048
    if (from < 0 && i % 2 === 0) return -least * Math.exp(t * reach(-from))
    return i % 4 === 1
      ? Math.max(from, 0) + t * (to - Math.max(from, 0))
      : Math.max(from, least * Math.exp(t * reach(to)))
  })
}

/** The distance of neighbouring float32 numbers there. */
const unit = (x: number): number => 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(x)))) - 23)

/** The error function by its series, and beyond by the continued fraction of what it lacks of one. */
const erf = (x: number): number => {
  const z = Math.abs(x)
  if (z > 6) return Math.sign(x)
  if (z < 2.5) {
    let [term, sum] = [z, z]
    for (let n = 1; n < 80; n++) {
      term *= (-z * z) / n
      sum += term / (2 * n + 1)
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI)
  }
  let fraction = z
  for (let n = 60; n > 0; n--) fraction = z + n / 2 / fraction
  return Math.sign(x) * (1 - Math.exp(-z * z) / (fraction * Math.sqrt(Math.PI)))
}

const functions: ReadonlyArray<
  readonly [name: string, exact: (x: number) => number, from: number, to: number, units: number]
> = [
  ["exp", Math.exp, -103, 88.7, 1],
  ["log", Math.log, 0, 3e38, 1],
  ["log1p", Math.log1p, -0.999, 3e38, 2],
  ["expm1", Math.expm1, -100, 88, 2.5],
  ["tanh", Math.tanh, -20, 20, 1],
  ["sigmoid", (x) => 1 / (1 + Math.exp(-x)), -80, 80, 2],
  ["softplus", (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), -80, 80, 2],
  ["erf", erf, -8, 8, 1],
  ["sqrt", Math.sqrt, 0, 3e38, 0.5],
  ["sin", Math.sin, -1000, 1000, 0.51],
  ["atan", Math.atan, -1000, 1000, 0.51]
]

describe("in WebAssembly", () => {
  for (const [name, exact, from, to, units] of functions) {
    it.live(`${name} is exact to ${units} units in the last place`, () =>
      Effect.gen(function* () {
        const { observe, upload } = yield* Engine
        const x = numbers(from, to)
        const f = yield* observe((({ x }: { readonly x: tf.Tensor }) => ({ y: (tf as any)[name](x) })) as never)
        const state = yield* upload<Tree>({ x: NdArray.float32([x.length], x) } as never)
        const { y } = (yield* f(state as never, {} as never)) as unknown as { readonly y: NdArray.NdArray }
        let [worst, at] = [0, 0]
        for (const [i, found] of y.data.entries()) {
          const wanted = exact(x[i]!)
          const apart = Math.abs(found - wanted) / unit(wanted)
          if (!(apart <= worst)) [worst, at] = [apart, x[i]!]
        }
        assert.isAtMost(worst, units, `at ${at}`)
      }).pipe(Effect.scoped, Effect.provide(WebAssemblyEngine.layer()))
    )
  }
})
