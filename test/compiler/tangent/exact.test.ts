import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Tree from "../../../src/dsl/values/Tree.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import { trace } from "../../../src/compiler/trace/Trace.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as Gradient from "../../../src/tensor/Gradient.ts"
import * as Curved from "../../support/curved.ts"
import { central, norm } from "../../support/directional.ts"
import { swept } from "../../support/hypergradient.ts"
import { evaluate } from "../../support/interpreter.ts"
import * as Quadratic from "../../../src/testing/Quadratic.ts"

type Arguments = { readonly own: any; readonly given: any; readonly batch: any }

/** What a level's gradient map is to its curvature products: its own gradient, and that of what it is given. */
const gradientOf =
  ({ loss }: Curved.Curved, { batch, given }: Arguments) =>
  (own: Tree.Tree) =>
    Gradient.valueAndGradient((at: any) => [loss(at.own, at.given, batch), {}] as const, { own, given }).gradient

const numbersOf = (tree: unknown) =>
  Object.fromEntries(Tree.hostEntries(tree as Tree.HostTree).map(([path, { data }]) => [path, data]))
const typed = (tree: Tree.HostTree) => Tree.mapHost(tree, ({ dtype, shape }) => ({ dtype, shape }) as never)

/** Derivatives of a gradient map by central differences in float64, leaf by leaf. */
const reference = (curved: Curved.Curved, direction: Tree.HostTree): ReadonlyArray<Float64Array> => {
  const { batch, given, own } = curved
  const args = { own, given, batch }
  const { results } = trace(
    ((at: Arguments) => gradientOf(curved, at)(at.own)) as never,
    ["at"],
    [typed(args as never)]
  )
  const held = Object.fromEntries(
    Object.entries(numbersOf(args)).map(([path, numbers]) => [`at.${path}`, numbers as ArrayLike<number>])
  )
  const flat = (tree: Tree.HostTree) => Tree.hostEntries(tree).flatMap(([, { data }]) => Array.from(data))
  const moved = (x: Float64Array) => {
    let from = 0
    const own_ = Tree.hostEntries(own).map(([path, { data }]) => {
      const part = x.subarray(from, (from += data.length))
      return [`at.own.${path}`, part] as const
    })
    return evaluate(results, { ...held, ...Object.fromEntries(own_) })
  }
  return central(moved, flat(own), flat(direction))
}

describe("Hessian-vector and mixed products on the compiled engine are those of float64", () => {
  for (const [name, curved] of Object.entries({
    "a softmax classifier": Curved.softmaxClassifier,
    "a perceptron with tanh": Curved.tanhPerceptron,
    "a convolutional net with batch norm and max-pool": Curved.convolutional,
    "a Transformer's layer with dropout": Curved.attention,
    "RoBERTa with its head": Curved.roberta,
    "DeBERTa v2 with buckets and a convolution": Curved.deberta
  })) {
    it.live(`${name}, to 1e-6`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const engine = yield* Engine
          const direction = Curved.directionOf(curved.own, "direction")
          const product = ({ direction, ...at }: Arguments & { readonly direction: Tree.Tree }) =>
            Product.exact.derivative(gradientOf(curved, at), at.own, direction)
          const { batch, given, own } = curved
          const state = yield* engine.upload({ own, given, batch, direction } as never)
          const observe = yield* engine.observe(product as (state: any, batch: any) => Tree.Tree)
          const found = (yield* observe(state, {} as never)) as Tree.HostTree
          yield* engine.release(state)
          const wanted = reference(curved, direction)
          const entries = Tree.hostEntries(found)
          assert.strictEqual(entries.length, wanted.length)
          for (const part of ["own", "given"]) {
            const [difference, size] = [[] as Array<number>, [] as Array<number>]
            entries.forEach(([path, { data }], k) => {
              if (!path.startsWith(part)) return
              size.push(norm(wanted[k]!))
              difference.push(norm(wanted[k]!.map((n, i) => n - data[i]!)))
            })
            assert.isAbove(norm(size), 1e-3)
            assert.isBelow(norm(difference) / norm(size), 1e-6, part)
          }
        })
      ).pipe(Effect.provide(Compiled.layer({ threads: 1 })))
    )
  }
})

describe("the Hessian that exact products apply", () => {
  const curved = Curved.tanhPerceptron
  const { batch, given, own } = curved
  const state = { own, given, batch, direction: own }
  const { results } = trace(
    (({ direction, ...at }: Arguments & { readonly direction: Tree.Tree }) =>
      Product.exact.derivative(gradientOf(curved, at), at.own, direction)["own"]) as never,
    ["at"],
    [typed(state as never)]
  )
  const leaves = Tree.hostEntries(own)
  type Vector = ReadonlyArray<Float64Array>
  const vector = (name: string): Vector =>
    Tree.hostEntries(Curved.directionOf(own, name)).map(([, { data }]) => Float64Array.from(data))
  const held = Object.entries(numbersOf({ own, given, batch })).map(([path, numbers]) => [`at.${path}`, numbers])
  const apply = (v: Vector): Vector => {
    const directions = leaves.map(([path], k) => [`at.direction.${path}`, v[k]!] as const)
    return evaluate(results, { ...Object.fromEntries(held), ...Object.fromEntries(directions) })
  }
  const sum = (a: Vector, factor: number, b: Vector): Vector =>
    a.map((leaf, k) => leaf.map((n, i) => n + factor * b[k]![i]!))
  const dot = (a: Vector, b: Vector): number =>
    a.reduce((total, leaf, k) => leaf.reduce((t, n, i) => t + n * b[k]![i]!, total), 0)
  const size = (a: Vector): number => Math.sqrt(dot(a, a))

  const seed = Arbitrary.schema(Schema.Int)
  it.effect.prop(
    "is symmetric and linear",
    { seed },
    ({ seed }) =>
      Effect.sync(() => {
        const [a, b] = [vector(`a ${seed}`), vector(`b ${seed}`)]
        const [ha, hb] = [apply(a), apply(b)]
        assert.closeTo(dot(a, hb), dot(b, ha), 1e-12 * size(a) * size(hb))
        assert.isBelow(size(sum(apply(sum(a, -2.5, b)), -1, sum(ha, -2.5, hb))), 1e-12 * size(ha))
      }),
    { arbitrary: { runs: 10, seed: 1 } }
  )
})

describe("on an eager engine", () => {
  it.live("exact products are refused with the level and what to do instead", () =>
    Effect.gen(function* () {
      const estimator = Hypergradient.implicit({ solver: Solver.identity, product: Product.exact })
      const { problem } = Quadratic.random(Seed.make(0), 2, estimator)
      const failure = (yield* Effect.flip(swept(problem))) as { readonly level: string; readonly reason: string }
      assert.match(failure.level, /^x\d$/)
      assert.match(failure.reason, /engine compiled, or take Product\.finiteDifference/)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})
