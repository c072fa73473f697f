// Run by bin/check-engine: whether an engine computes what the cpu engine does, on the machine at hand.
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { type EngineName, engineLayer } from "../../src/cli/Options.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import type * as Problem from "../../src/dsl/Problem.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { Engine } from "../../src/engines/Engine.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as Noise from "../../src/tensor/Noise.ts"
import { tinyResidual } from "../support/convolutional.ts"
import { all, differences } from "../support/kernelCases.ts"
import { triLevel } from "../support/programs.ts"
import { tinyTransformer } from "../support/transformer.ts"

const name = process.env["TAPWEIGHT_ENGINE"] as EngineName
const onGpu = /webgpu|gpu|cuda/.test(name)
const engine = engineLayer(name)
const cpu = Layer.fresh(Eager.layer("cpu"))

// WGSL promises an absolute error of 2⁻¹¹ for these, and no more: https://www.w3.org/TR/WGSL/#floating-point-accuracy
const bound = (kernel: string): number => {
  if (/webgpu/.test(name) && /^(sin|cos|tan|asin)/.test(kernel)) return 5e-4
  return onGpu ? 1e-5 : 3e-6
}

// What a backend refuses, and says so.
const refused: { readonly [engine: string]: RegExp } = {
  tensorflow: /explicit padding/,
  // Whatever looks at images.
  webassembly: /convolution|pool|residual/i,
  "tensorflow-gpu": /explicit padding/
}

// TensorFlow.js computes small tensors on the host where WebGPU is asked for, unless it is told not to.
const forwarding = (wanted: boolean) =>
  Effect.sync(() => void (name === "webgpu" && tf.env().set("WEBGPU_CPU_FORWARD", wanted)))

describe(`${name}: kernels`, () => {
  it.live("values and first-order gradients are the cpu engine's", () =>
    Effect.gen(function* () {
      const wanted = new Map(yield* Effect.flatMap(Engine, all).pipe(Effect.provide(cpu)))
      const found = yield* Effect.andThen(forwarding(false), Effect.flatMap(Engine, all)).pipe(Effect.provide(engine))
      const compared = found.filter(([kernel]) => refused[name]?.test(kernel) !== true)
      assert.deepStrictEqual(differences(compared, wanted, bound), [])
    })
  )
})

const after = (ticks: number, problem: Problem.Problem<any, unknown, never>) =>
  Effect.gen(function* () {
    let snapshot: Tree.HostTree = []
    yield* Stream.runForEach(Run.ticks(problem, { ticks, seed: 3 }), (tick) =>
      tick.index < ticks ? Effect.void : Effect.map(tick.snapshot, (state) => void (snapshot = state))
    )
    return Tree.hostEntries(snapshot)
  })

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [difference, norm] = [0, 0]
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2
    norm += a[i]! ** 2
  }
  return Math.sqrt(difference / (norm || 1))
}

// What a finite difference of float32 gradients leaves behind is as rough as its rounding.
const rough = /^(vars|optimizer)\.(beta|weights|reweight)|^solver/

const equal = (problem: () => Problem.Problem<any, unknown, never>, coarse: number, forward = false) =>
  Effect.gen(function* () {
    const wanted = yield* after(10, problem()).pipe(Effect.provide(cpu))
    const found = new Map(yield* Effect.andThen(forwarding(forward), after(10, problem())).pipe(Effect.provide(engine)))
    const apart = wanted.flatMap(([path, want]) => {
      const by = distance(want.data, found.get(path)!.data)
      return by <= (rough.test(path) ? coarse : onGpu ? 1e-4 : 1e-5) ? [] : [`${path}: ${by}`]
    })
    assert.deepStrictEqual(apart, [])
  })

const implicit = (solver: Hypergradient.Solver) =>
  Hypergradient.implicit({ solver, product: Product.finiteDifference({ radius: 1 }) })
const estimators = {
  identity: implicit(Solver.identity),
  neumann: implicit(Solver.neumann({ terms: 3, rate: 0.05 })),
  "warm conjugate gradient": implicit(Solver.warm(Solver.conjugateGradient({ iterations: 2 }))),
  unrolled: Hypergradient.unrolled({ steps: 2, product: Product.finiteDifference({ radius: 1 }) })
}

describe(`${name}: ten ticks end in the cpu engine's state`, () => {
  for (const [what, estimator] of Object.entries(estimators))
    it.live(what, () => equal(() => triLevel({ estimator, optimizer: Optimizer.sgd(0.02) }), onGpu ? 1e-3 : 2e-4))
  it.live("adam", () => equal(() => triLevel({ estimator: estimators.identity }), 1e-3))
  // Keys of noise have to stay on the host.
  it.live("a Transformer with dropout", () => equal(() => tinyTransformer(), 5e-3, true))
  it.live.runIf(name !== "webassembly")("a residual network with batch norm, pools and resizes", () =>
    equal(() => tinyResidual(), 1e-3)
  )
})

type State = { readonly a: tf.Tensor }

describe.runIf(name === "webgpu" || name === "compiled-webgpu")(`${name}: what goes wrong on the device`, () => {
  const start = { a: NdArray.float32([2], [1, 2]) } as never
  const failing = (f: (state: State) => tf.Tensor, spoil: () => void = () => {}) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { compile, live, upload } = yield* Engine
        const before = yield* live
        const step = yield* compile((state: State, _: {}) => [{ a: tf.add(state.a, 1) }, { sum: tf.sum(f(state)) }])
        const state = yield* upload<State>(start)
        spoil()
        const result = yield* Effect.result(step.run(state, {}))
        if (Result.isSuccess(result)) return assert.fail(`it gave ${JSON.stringify(result.success[1])}`)
        assert.strictEqual(yield* live, before)
        return result.failure.reason
      })
    )

  const device = () => (tf.backend() as unknown as { readonly device: any }).device

  if (name === "webgpu") {
    it.live("an error that nobody asked about fails the step", () =>
      Effect.gen(function* () {
        const reason = yield* failing(
          ({ a }) => a,
          () => device().createBuffer({ size: 16, usage: 1 | 2 })
        )
        assert.match(reason, /^WebGPU: Buffer usages/)
      }).pipe(Effect.provide(engine))
    )

    it.live("a key of noise that has been on the device is refused", () =>
      Effect.gen(function* () {
        const key = () => tf.cast(tf.sum(tf.ones([2, 64]), 1), "int32") as tf.Tensor1D
        yield* forwarding(false)
        assert.match(yield* failing(() => Noise.uniform(key(), [4])), /key of noise/)
      }).pipe(Effect.provide(engine))
    )

    it.live("numbers asked for inside of a step are refused", () =>
      Effect.gen(function* () {
        const reason = yield* failing(() => tf.scalar(tf.matMul(tf.ones([64, 64]), tf.ones([64, 64])).dataSync()[0]!))
        assert.match(reason, /dataSync/)
      }).pipe(Effect.provide(engine))
    )
  }

  it.live.runIf(name === "compiled-webgpu")("an operator without a kernel is refused by name, not run on the cpu", () =>
    Effect.gen(function* () {
      const reason = yield* failing(({ a }) => tf.cast(tf.mod(tf.cast(a, "int32"), tf.scalar(2, "int32")), "float32"))
      assert.match(reason, /no kernel for Mod \(/)
    }).pipe(Effect.provide(engine))
  )

  it.live("a tensor over its limits fails the step", () =>
    Effect.gen(function* () {
      // Eagerly anything will do; a graph folds what it can.
      const large = name === "webgpu" ? tf.abs : tf.cumsum
      const reason = yield* failing(({ a }) => large(tf.tile(tf.reshape(a, [1, 2]), [1_200_000_000, 1])))
      assert.match(reason, /[Bb]uffer|memory|size/)
    }).pipe(Effect.provide(engine))
  )

  // Last: nothing works afterwards.
  if (name === "webgpu") {
    it.live("a device that is lost fails this step and all later ones", () =>
      Effect.gen(function* () {
        const lost = yield* failing(
          ({ a }) => a,
          () => device().destroy()
        )
        assert.match(lost, /GPU was lost/)
        assert.match(yield* failing(({ a }) => a), /GPU was lost/)
      }).pipe(Effect.provide(engine))
    )
  }
})
