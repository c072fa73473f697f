/** Branches beside a run: what they hand on, held against differences of whole runs that are made again. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import type { Optimizer as Optimizing } from "../../src/dsl/Optimizer.ts"
import * as Precision from "../../src/dsl/Precision.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as CompiledEngine from "../../src/engines/compiled/CompiledEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as PlanText from "../../src/runtime/plan/PlanText.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as Verify from "../../src/runtime/run/Verify.ts"
import * as Law from "../../src/testing/Law.ts"
import * as M from "../../src/testing/Matrix.ts"

const engines = [
  ["eager", Eager.layer("cpu")],
  ["compiled", CompiledEngine.layer()]
] as const
const cpu = Effect.provide(engines[0][1])

const rows = 6
const table = (name: string) => {
  const draws = Seed.normal(Seed.fold(Seed.make(5), name), rows * 4)
  return { x: NdArray.float32([rows, 3], draws.slice(0, 18)), y: NdArray.float32([rows], draws.slice(18)) }
}
type Shape = {
  readonly optimizer?: Optimizing
  readonly inner?: (level: any) => any
  readonly between?: Hypergradient.Hypergradient
  readonly buffers?: boolean
  readonly counted?: () => void
}
const startOfW = [0.5, -1, 0.25]
/** A fit under weights of two losses and a decay, which a level above chooses by another set. */
const weighted = (estimator: Hypergradient.Hypergradient, shape: Shape = {}) => {
  const { between, buffers, counted, inner = (l) => l, optimizer = Optimizer.adam(0.05, { epsilon: 0.01 }) } = shape
  const w = Var.make("w", () => NdArray.float32([3], startOfW))
  const beta = Var.make("beta", () => ({ pull: NdArray.float32([2], [0.3, -0.2]), decay: NdArray.float32([], [-1]) }))
  const seen = Var.make("seen", () => NdArray.float32([], [0]))
  const error = (w: tf.Tensor, { x, y }: any) =>
    tf.sub(tf.reshape(tf.matMul(x, tf.reshape(w, [3, 1]) as tf.Tensor2D), [-1]), y)
  const fit = Level.minimize(w, {
    name: "fit",
    given: [beta],
    ...(buffers ? { buffers: seen } : {}),
    data: Dataset.fromRows("fit", table("fit"), { batch: 3 }),
    optimizer,
    objective: (({ beta, w }: any, batch: any) => {
      counted?.()
      const [first, second] = tf.unstack(tf.softmax(beta.pull)) as [tf.Tensor, tf.Tensor]
      const e = error(w, batch)
      const loss = tf.addN([
        tf.mul(first, tf.mean(tf.square(e))),
        tf.mul(second, tf.mean(tf.softplus(e))),
        tf.mul(tf.exp(beta.decay), tf.sum(tf.square(w)))
      ]) as tf.Scalar
      return buffers ? { loss, buffers: tf.scalar(1) } : loss
    }) as never
  } as never).pipe(Level.hypergradient(estimator), inner)
  const omega = Var.make("omega", () => NdArray.float32([3], startOfW))
  const follow = Level.minimize(omega, {
    name: "follow",
    upstream: [fit as never],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.1),
    objective: (({ omega, w }: any) => tf.sum(tf.square(tf.sub(omega, w)))) as never
  } as never)
  const below = between === undefined ? fit : follow.pipe(Level.hypergradient(between))
  const choose = Level.minimize(beta, {
    name: "choose",
    upstream: [below] as never,
    data: Dataset.constant("choose", table("choose")),
    optimizer: Optimizer.sgd(0.5),
    objective: ((vars: any, batch: any) =>
      tf.mean(tf.square(error(vars[between === undefined ? "w" : "omega"], batch)))) as never
  } as never)
  return Problem.close(choose as never) as Problem.Problem<any, never, never>
}

/** A variable after some ticks, as numbers. */
const after = (problem: Problem.Problem<any, never, never>, ticks: number, name: string) =>
  Run.ticks(problem, { ticks, seed: 0 }).pipe(
    Stream.filter((tick) => tick.index === ticks),
    Stream.mapEffect((tick) => tick.read([name] as never)),
    Stream.runHead,
    Effect.map((last) =>
      Tree.hostEntries((Option.getOrThrow(last) as any)[name]).flatMap(([, leaf]) => Array.from(leaf.data))
    )
  )

/** What is drawn at each update of the fit, asked of its own dataset. */
const drawn = Effect.fnUntraced(function* (count: number) {
  const sample = yield* Dataset.fromRows("fit", table("fit"), { batch: 3 }).open
  const seed = Seed.fold(Seed.fold(Seed.make(0), "data"), "fit")
  return yield* Effect.forEach(
    Array.from({ length: count }, (_, i) => i),
    (i) => sample(seed, i)
  )
}, Effect.scoped)

type State = { readonly w: M.Vector; readonly m: M.Vector; readonly s: M.Vector; readonly clock: number }
type Rows = { readonly x: ArrayLike<number>; readonly y: ArrayLike<number> }
const errors = (w: M.Vector, { x, y }: Rows): M.Vector =>
  Array.from(y, (target, i) => w.reduce((sum, v, j) => sum + v * x[3 * i + j]!, 0) - target)
/** One update by Adam in float64, of the fit under β = [pull, pull, decay]. */
const updated = ({ clock, m, s, w }: State, beta: M.Vector, batch: Rows): State => {
  const [a, b] = [Math.exp(beta[0]!), Math.exp(beta[1]!)]
  const e = errors(w, batch)
  const slope = e.map((v) => ((a / (a + b)) * 2 * v + b / (a + b) / (1 + Math.exp(-v))) / e.length)
  const g = w.map((v, j) => slope.reduce((sum, d, i) => sum + d * batch.x[3 * i + j]!, 0) + Math.exp(beta[2]!) * 2 * v)
  const [m2, s2] = [m.map((v, j) => 0.9 * v + 0.1 * g[j]!), s.map((v, j) => 0.999 * v + 0.001 * g[j]! ** 2)]
  const t = clock + 1
  return {
    clock: t,
    m: m2,
    s: s2,
    w: w.map((v, j) => v - (0.05 * (m2[j]! / (1 - 0.9 ** t))) / (Math.sqrt(s2[j]! / (1 - 0.999 ** t)) + 0.01))
  }
}

describe("what branches hand on is the difference of whole runs", () => {
  const host = (array: { readonly data: ArrayLike<number> }) => Array.from(array.data)
  for (const [name, engine] of engines)
    for (const [updates, unroll] of [
      [4, 4],
      [3, 5]
    ] as const)
      for (const radius of [0.5, 6])
        it.live(`${name}: the last ${updates} of ${unroll} updates, radius ${radius}, two rounds`, () =>
          Effect.gen(function* () {
            const estimator = Hypergradient.branches({ updates, radius })
            const found = yield* after(weighted(estimator, { inner: Level.unroll(unroll) }), 2 * unroll, "beta")
            const batches = (yield* drawn(2 * unroll)).map((batch: any) => ({ x: host(batch.x), y: host(batch.y) }))
            const chosen = table("choose")
            const loss = ({ w }: State) =>
              errors(w, { x: chosen.x.data, y: chosen.y.data }).reduce((sum, e) => sum + e ** 2, 0) / rows
            let beta: M.Vector = [0.3, -0.2, -1]
            let state: State = { w: startOfW, m: [0, 0, 0], s: [0, 0, 0], clock: 0 }
            for (let round = 0; round < 2; round++) {
              const own = batches.slice(round * unroll, (round + 1) * unroll)
              const fork = own.slice(0, unroll - updates).reduce((at, b) => updated(at, beta, b), state)
              const run = (by: M.Vector) => own.slice(unroll - updates).reduce((at, b) => updated(at, by, b), fork)
              const trunk = run(beta)
              const held = beta
              const slopes = held.map(
                (_, i) => (loss(run(held.map((v, j) => (i === j ? v + radius : v)))) - loss(trunk)) / radius
              )
              beta = held.map((v, i) => v - 0.5 * slopes[i]!)
              state = trunk
            }
            const error = M.norm(M.minus(found, beta))
            assert.isBelow(error / M.norm(M.minus(beta, [0.3, -0.2, -1])), 1e-3)
          }).pipe(Effect.provide(engine))
        )

  it.live("which at a small radius is what is carried forward", () =>
    Effect.gen(function* () {
      const shape = { inner: Level.unroll(4) }
      const branches = yield* after(weighted(Hypergradient.branches({ updates: 4, radius: 1e-2 }), shape), 8, "beta")
      const forward = yield* after(
        weighted(Hypergradient.forward({ updates: 4, product: Product.exact }), shape),
        8,
        "beta"
      )
      const before = yield* after(weighted(Hypergradient.branches({ updates: 4, radius: 1e-2 }), shape), 1, "beta")
      assert.isAbove(M.norm(M.minus(forward, before)), 1e-3)
      assert.isBelow(M.norm(M.minus(branches, forward)) / M.norm(M.minus(forward, before)), 0.02)
    }).pipe(Effect.provide(engines[1][1]))
  )
})

describe("a run with branches", () => {
  const problem = (shape: Shape = {}) =>
    weighted(Hypergradient.branches({ updates: 5, radius: 2 }), {
      inner: (l) => Level.repeat(2)(Level.unroll(3)(l)),
      ...shape
    })
  for (const [name, engine] of engines)
    it.live(`${name}: goes on from within a window to the same bits`, () =>
      Law.resume(problem(), { cases: 4, ticks: 7 }).pipe(Effect.provide(engine))
    )
  it.live("leaves nothing alive", () => Law.nothingLeft(problem(), { cases: 3, ticks: 5 }).pipe(cpu))
  it.live("costs what its plan says", () =>
    Effect.gen(function* () {
      const count = Effect.fnUntraced(function* (ticks: number) {
        let calls = 0
        yield* Run.ticks(problem({ counted: () => void calls++ }), { ticks, seed: 0 }).pipe(Stream.runDrain)
        return calls
      })
      const plan = Result.getOrThrow(Plan.make(problem()))
      const { evaluations, evaluationsPerElement } = plan.cost.find(({ level }) => level === "fit")!
      // Of six updates five have three branches; a sixth evaluation for each is of the reader's loss, which is another level's.
      assert.deepStrictEqual([evaluations, evaluationsPerElement], [2, { choose: 2 }])
      assert.strictEqual((yield* count(9)) - (yield* count(3)), 2 * (6 + 5 * 3))
      assert.include(PlanText.text(plan), "branches(5, radius 2)")
    }).pipe(cpu)
  )
  it.live("is not held against differences: it is differences", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Verify.verify(problem(), { seed: 0, solveTicks: 1, directions: 1 }))
      assert.match(error.message, /'fit' has branches, which are differences of whole runs themselves/)
    }).pipe(cpu)
  )
})

describe("where there can be no branches, the plan says why", () => {
  const estimator = Hypergradient.branches({ updates: 4, radius: 1 })
  const refusal = (shape: Shape) => {
    const found = Plan.make(weighted(estimator, { inner: Level.unroll(4), ...shape }))
    return Result.isFailure(found) ? found.failure.message : "accepted"
  }
  const cases: ReadonlyArray<readonly [string, Shape, RegExp]> = [
    [
      "a window longer than x is held for",
      { inner: Level.unroll(3) },
      /has branches of 4 updates, but 'beta' is held for 3/
    ],
    [
      "a response between",
      { between: Hypergradient.implicit({ solver: Solver.identity, product: Product.exact }) },
      /reads 'w' through the response of 'follow', which branches do not make/
    ],
    ["buffers", { buffers: true }, /carries buffers 'seen', and branches have none of their own/],
    [
      "fewer bits",
      { inner: (l) => Level.precision(Precision.bfloat16)(Level.unroll(4)(l)) },
      /computes in bfloat16 and its branches in float32/
    ]
  ]
  for (const [name, shape, message] of cases) it(name, () => assert.match(refusal(shape), message))
  it("and nothing where there can", () => assert.strictEqual(refusal({}), "accepted"))
})
