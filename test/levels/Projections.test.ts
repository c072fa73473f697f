/** Projections, rests and normalised gradients: against numbers in double precision, and in a run. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { beforeAll } from "vitest"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Compiled from "../../src/engines/compiled/CompiledEngine.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Objective from "../../src/objectives/Objective.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as M from "../../src/testing/Matrix.ts"

beforeAll(() => tf.setBackend("cpu"))

const draw = (seed: number, n: number, scale: number) =>
  Array.from(Seed.normal(Seed.make(seed), n)).map((v) => Math.fround(scale * v))
const none = tf.scalar(0, "int32")
/** What a wrapper makes of parameters that gradient descent leaves where they are. */
const projected = (wrap: (self: Optimizer.Optimizer) => Optimizer.Optimizer, leaves: ReadonlyArray<M.Vector>) =>
  tf.tidy(() => {
    const params = leaves.map((leaf) => tf.tensor1d([...leaf]))
    const zeros = params.map((leaf) => tf.zerosLike(leaf))
    const [next] = wrap(Optimizer.sgd(1)).update(zeros as never, {}, params as never, none)
    return (next as unknown as ReadonlyArray<tf.Tensor>).map((leaf) => Array.from(leaf.dataSync()))
  }) as never as ReadonlyArray<M.Vector>

const onBall = (radius: number, x: M.Vector): M.Vector => x.map((v) => v * Math.min(1, radius / M.norm(x)))
/** By sorting, in double precision. */
const onSimplex = (total: number, x: M.Vector): M.Vector => {
  const sorted = x.toSorted((a, b) => b - a)
  let [sum, theta] = [0, 0]
  sorted.forEach((value, k) => {
    sum += value
    if (value - (sum - total) / (k + 1) > 0) theta = (sum - total) / (k + 1)
  })
  return x.map((v) => Math.max(v - theta, 0))
}
const near = (found: M.Vector, wanted: M.Vector, what: string, within = 2e-6) =>
  found.forEach((value, i) => assert.closeTo(value, wanted[i]!, within * Math.max(1, Math.abs(wanted[i]!)), what))

const sets: ReadonlyArray<
  readonly [
    string,
    (self: Optimizer.Optimizer) => Optimizer.Optimizer,
    (x: ReadonlyArray<M.Vector>) => ReadonlyArray<M.Vector>
  ]
> = [
  [
    "a ball of all leaves",
    Optimizer.ball({ radius: 1.5 }),
    ([a, b]) => {
      const all = onBall(1.5, [...a!, ...b!])
      return [all.slice(0, a!.length), all.slice(a!.length)]
    }
  ],
  [
    "a ball of each leaf",
    Optimizer.ball({ radius: 1.5, each: "leaf" }),
    (leaves) => leaves.map((leaf) => onBall(1.5, leaf))
  ],
  ["a simplex", Optimizer.simplex(), (leaves) => leaves.map((leaf) => onSimplex(1, leaf))],
  ["a simplex of another total", Optimizer.simplex({ total: 3 }), (leaves) => leaves.map((leaf) => onSimplex(3, leaf))]
]
const apart = (a: ReadonlyArray<M.Vector>, b: ReadonlyArray<M.Vector>) => M.norm(M.minus(a.flat(), b.flat()))

describe("projections", () => {
  for (const [name, wrap, wanted] of sets) {
    it(`${name}: nearest, idempotent, and bringing nothing apart`, () => {
      for (let seed = 0; seed < 60; seed++) {
        const scale = [0.1, 1, 30][seed % 3]!
        const sizes = [1 + (seed % 7), 1 + (seed % 4)] as const
        const leaves = sizes.map((n, i) => draw(2 * seed + i, n, scale))
        // Equal numbers, which a rank cannot tell apart.
        if (seed % 5 === 0) leaves[0]!.fill(leaves[0]![0]!)
        const found = projected(wrap, leaves)
        const by = wanted(leaves)
        found.forEach((leaf, i) => near(leaf, by[i]!, `seed ${seed}`, 4e-6 * Math.max(1, scale)))
        assert.isBelow(apart(projected(wrap, found), found), 4e-6 * Math.max(1, scale), `seed ${seed}: twice`)
        const others = sizes.map((n, i) => draw(1000 + 2 * seed + i, n, scale))
        const moved = apart(projected(wrap, others), found)
        assert.isAtMost(moved, apart(others, leaves) * (1 + 1e-5) + 1e-6, `seed ${seed}: apart`)
      }
    })
  }
  it("rows of a matrix, each onto its own simplex", () => {
    const rows = tf.tensor2d([
      [2, 0, 0],
      [-1, 0.2, 0.2]
    ])
    const [next] = Optimizer.simplex()(Optimizer.sgd(1)).update({ rows: tf.zerosLike(rows) }, {}, { rows }, none)
    near(Array.from((next as { rows: tf.Tensor }).rows.dataSync()), [1, 0, 0, 0, 0.5, 0.5], "rows")
  })
  it("refuse what is no set, and a solve below one", () => {
    assert.throws(() => Optimizer.ball({ radius: 0 }), RangeError)
    assert.throws(() => Optimizer.simplex({ total: -1 }), RangeError)
    assert.throws(() => projected(Optimizer.simplex(), [draw(1, 1025, 1)]), /at most 1024/)
    const plan = (solver: Solver.Solver) =>
      Plan.make(bounded(Optimizer.ball({ radius: 1 })(Optimizer.sgd(0.1)), solver))
    const refused = plan(Solver.exact)
    assert.isTrue(Result.isFailure(refused) && /curved or shared constraint/.test(refused.failure.message))
    assert.isTrue(Result.isSuccess(plan(Solver.identity)))
  })
})

/** A level that is pulled to (x, x), and one above that chooses x. */
const bounded = (optimizer: Optimizer.Optimizer, solver: Solver.Solver) => {
  const x = Var.make("x", () => NdArray.scalar(2))
  const lower = Level.minimize(
    Var.make("z", () => NdArray.float32([2], [0, 0])),
    {
      given: [x],
      data: Dataset.none,
      optimizer,
      objective: ({ x, z }) => tf.mul(0.5, tf.sum(tf.square(tf.sub(z, x))))
    }
  ).pipe(Level.repeat(6), Level.hypergradient(Hypergradient.implicit({ solver, product: Product.exact })))
  return Problem.close(
    Level.minimize(x, {
      upstream: [lower],
      data: Dataset.none,
      optimizer: Optimizer.sgd(1e-9),
      objective: ({ z }) => tf.sum(tf.square(z))
    })
  )
}

describe("in a run, compiled", () => {
  const zAfter = (optimizer: Optimizer.Optimizer, ticks: number) =>
    Run.ticks(bounded(optimizer, Solver.identity), { ticks, seed: 0 }).pipe(
      Stream.filter((tick) => tick.index === ticks),
      Stream.mapEffect((tick) => tick.read(["z"])),
      Stream.runHead,
      Effect.map((found) => Array.from(Option.getOrThrow(found).z.data)),
      Effect.provide(Compiled.layer())
    )
  it.live("a projected optimum is the nearest point of the set", () =>
    Effect.gen(function* () {
      near(
        yield* zAfter(Optimizer.ball({ radius: 1 })(Optimizer.sgd(0.5)), 4),
        [Math.SQRT1_2, Math.SQRT1_2],
        "ball",
        1e-5
      )
      near(yield* zAfter(Optimizer.simplex()(Optimizer.sgd(0.5)), 4), [0.5, 0.5], "simplex", 1e-5)
    })
  )
  it.live("a level rests where its gradient is small enough, after the turn's updates at most", () =>
    Effect.gen(function* () {
      // The gradient's norm is 2√2 · 0.5^k after k updates: three bring it below 0.5, and a turn has six.
      const at = (optimizer: Optimizer.Optimizer) => zAfter(optimizer, 1)
      const distance = (z: M.Vector) => 2 - z[0]!
      assert.closeTo(distance(yield* at(Optimizer.sgd(0.5))), 2 * 0.5 ** 6, 1e-6)
      assert.closeTo(
        distance(yield* at(Optimizer.until({ gradientNorm: 0.5 })(Optimizer.sgd(0.5)))),
        2 * 0.5 ** 3,
        1e-6
      )
      assert.closeTo(
        distance(yield* at(Optimizer.until({ gradientNorm: 1e-6 })(Optimizer.sgd(0.5)))),
        2 * 0.5 ** 6,
        1e-6
      )
      const momentum = Optimizer.until({ gradientNorm: 100 })(Optimizer.momentum(0.5, { momentum: 0.9 }))
      assert.deepStrictEqual(yield* at(momentum), [0, 0])
    })
  )
  it.live("a normalised gradient makes steps of the rate's length, and none where it is zero", () =>
    Effect.gen(function* () {
      const z = yield* zAfter(Optimizer.normalized(Optimizer.sgd(0.1)), 1)
      assert.closeTo(M.norm(z), 0.6, 1e-5)
      const there = { z: tf.tensor1d([1, 2]) }
      const [next] = Optimizer.normalized(Optimizer.sgd(0.1)).update(
        { z: tf.zeros([2]) as tf.Tensor1D },
        {},
        there,
        none
      )
      assert.deepStrictEqual(Array.from(next.z.dataSync()), [1, 2])
      const decayed = Optimizer.sgd(0.1).pipe(Optimizer.weightDecay(0.1), Optimizer.normalized)
      assert.isTrue(Result.isFailure(Plan.make(bounded(decayed, Solver.exact))))
      assert.isTrue(Result.isSuccess(Plan.make(bounded(Optimizer.normalized(Optimizer.sgd(0.1)), Solver.exact))))
    })
  )
})

describe("Gumbel noise", () => {
  it("puts the largest number at a class with its probability, at every temperature", () => {
    const logits = [0.3, -0.8, 1.1, 0]
    const wanted = Array.from(tf.softmax(tf.tensor1d(logits)).dataSync())
    const many = 4000
    const draws = (temperature: number) =>
      Objective.gumbelSoftmax(tf.tile(tf.tensor2d([logits]), [many, 1]), tf.tensor1d([7, 9], "int32"), { temperature })
    const found = draws(0.5)
    const counts = [0, 0, 0, 0]
    for (const at of tf.argMax(found, 1).dataSync()) counts[at]! += 1 / many
    counts.forEach((share, i) => assert.closeTo(share, wanted[i]!, 0.03, `class ${i}`))
    const most = (temperature: number) => tf.mean(tf.max(draws(temperature), 1)).dataSync()[0]!
    assert.isAbove(most(0.05), 0.97)
    assert.isBelow(most(5), 0.5)
    assert.throws(
      () => Objective.gumbelSoftmax(tf.tensor1d([0]), tf.tensor1d([1, 2], "int32"), { temperature: 0 }),
      RangeError
    )
  })
})
