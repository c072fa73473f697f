import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import type * as Problem from "../../../src/dsl/Problem.ts"
import * as Tree from "../../../src/dsl/values/Tree.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Rate from "../../../src/levels/Rate.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Compiled from "../../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import { tinyResidual } from "../../support/convolutional.ts"
import { triLevel } from "../../support/programs.ts"
import { tinyTransformer } from "../../support/transformer.ts"

const implicit = (solver: Hypergradient.Solver) =>
  Hypergradient.implicit({ solver, product: Product.finiteDifference({ radius: 1 }) })

const solvers = {
  identity: implicit(Solver.identity),
  neumann: implicit(Solver.neumann({ terms: 3, rate: 0.05 })),
  cg: implicit(Solver.conjugateGradient({ iterations: 3 })),
  "warm neumann": implicit(Solver.warm(Solver.neumann({ terms: 0, rate: 0.05 }))),
  "warm cg": implicit(Solver.warm(Solver.conjugateGradient({ iterations: 2 }))),
  exact: implicit(Solver.exact),
  unrolled: Hypergradient.unrolled({ steps: 2, product: Product.finiteDifference({ radius: 1 }) }),
  detached: Hypergradient.detached
} as const

const optimizers = {
  sgd: Optimizer.sgd(0.05),
  "sgd, cosine": Optimizer.sgd(Rate.cosine({ peak: 0.05, warmup: 3, total: 20 })),
  "sgd, steps": Optimizer.sgd(Rate.step({ rate: 0.05, every: 3, factor: 0.5 })),
  "sgd, linear": Optimizer.sgd(Rate.linear({ peak: 0.05, warmup: 3, total: 20 })),
  momentum: Optimizer.momentum(0.02, { momentum: 0.9 }),
  nesterov: Optimizer.momentum(0.02, { momentum: 0.9, nesterov: true }),
  adam: Optimizer.adam(0.01),
  adamw: Optimizer.adamw(0.01, { weightDecay: 0.1 }),
  clipped: Optimizer.adam(0.01).pipe(Optimizer.weightDecay(0.01), Optimizer.clipByGlobalNorm(0.5)),
  "clipped by value": Optimizer.sgd(0.05).pipe(Optimizer.clipByValue(0.1), Optimizer.clamp({ minimum: -1, maximum: 1 }))
} as const

const after = (ticks: number, problem: Problem.Problem<any, unknown, never>) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const before = yield* engine.live
    let snapshot: Tree.HostTree = []
    yield* Stream.runForEach(Run.ticks(problem, { ticks, seed: 3, diagnosticsEvery: 4 }), (tick) =>
      tick.index < ticks ? Effect.void : Effect.map(tick.snapshot, (state) => void (snapshot = state))
    )
    assert.strictEqual(yield* engine.live, before)
    return snapshot
  })

const error = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [difference, norm] = [0, 0]
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2
    norm += a[i]! ** 2
  }
  return Math.sqrt(difference / (norm || 1))
}

// What a finite difference of float32 gradients leaves behind is as rough as its rounding.
const bound = (path: string, rough: number): number =>
  /^(vars|optimizer)\.(beta|weights|reweight)|^solver/.test(path) ? rough : 1e-5

const compared = (problem: () => Problem.Problem<any, unknown, never>, rough: number) =>
  Effect.gen(function* () {
    const eager = Tree.hostEntries(yield* after(10, problem()).pipe(Effect.provide(Layer.fresh(Eager.layer("cpu")))))
    const compiled = new Map(Tree.hostEntries(yield* after(10, problem())))
    assert.strictEqual(eager.length, compiled.size)
    const apart = eager.flatMap(([path, want]) => {
      const got = compiled.get(path)!
      const found =
        got.dtype === want.dtype && got.shape.join() === want.shape.join() ? error(want.data, got.data) : Number.NaN
      return found <= bound(path, rough) ? [] : [`${path}: ${found}`]
    })
    assert.deepStrictEqual(apart, [])
  }).pipe(Effect.provide(Compiled.layer({ threads: 1 })))

describe("a compiled step does what the eager step does", () => {
  for (const [name, estimator] of Object.entries(solvers)) {
    it.live(`solver: ${name}`, () => compared(() => triLevel({ estimator, optimizer: Optimizer.sgd(0.02) }), 2e-4))
  }
  for (const [name, optimizer] of Object.entries(optimizers)) {
    it.live(`optimizer: ${name}`, () => compared(() => triLevel({ estimator: solvers.identity, optimizer }), 2e-4))
  }
  it.live("a Transformer with dropout", () => compared(() => tinyTransformer(), 5e-3))
  it.live("a residual network with batch norm, pools and resizes", () => compared(() => tinyResidual(), 1e-4))
})
