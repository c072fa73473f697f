/** Derivatives carried forward: what they claim, held against differences of the updates they claim it of. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import type { Optimizer as Optimizing } from "../../src/dsl/Optimizer.ts"
import * as Precision from "../../src/dsl/Precision.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as CompiledEngine from "../../src/engines/compiled/CompiledEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import { fingerprint } from "../../src/compiler/Fingerprint.ts"
import * as Verify from "../../src/runtime/run/Verify.ts"
import { trace } from "../../src/compiler/trace/Trace.ts"
import * as Moment from "../../src/runtime/plan/Moment.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as PlanText from "../../src/runtime/plan/PlanText.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import type { Batches } from "../../src/runtime/step/Direction.ts"
import { initial, initialVars, levelsOf, type State, type Vars } from "../../src/runtime/step/State.ts"
import * as Step from "../../src/runtime/step/Step.ts"
import * as Law from "../../src/testing/Law.ts"
import * as M from "../../src/testing/Matrix.ts"
import { matrixFlops } from "../support/flops.ts"
import { type Update, updates } from "../support/updates.ts"

const eager = Eager.layer("cpu")
const compiler = CompiledEngine.layer()
const cpu = Effect.provide(eager)
const compiled = Effect.provide(compiler)
const central = Product.finiteDifference({ radius: 0.01 })

const start = [0.4, -0.9]
const at = [0.7, -0.4]
const goal = [0.2, 0.5]
const steps = 6

/** ½Σ eᵞx² − Σ xᵢ eᵞ¹⁻ⁱ, so that y bends both the curvature and the pull. */
const slope = (x: M.Vector, y: M.Vector): M.Vector => x.map((v, i) => Math.exp(y[i]!) * v - Math.exp(y[1 - i]!))
/** The trajectory; with `seen`, each gradient is taken where that trajectory was and not where this one is. */
const trajectory = (update: Update, y: M.Vector, seen?: ReadonlyArray<M.Vector>): ReadonlyArray<M.Vector> => {
  const all: Array<M.Vector> = [start]
  const states: Array<Array<number>> = [[], []]
  for (let t = 1; t <= steps; t++) {
    const x = all.at(-1)!
    const g = slope(seen?.[t - 1] ?? x, y)
    all.push(x.map((value, i) => update(value, g[i]!, states[i]!, t)))
  }
  return all
}
const lossOf = (x: M.Vector) => 0.5 * M.norm(M.minus(x, goal)) ** 2

const loop = (optimizer: Optimizing, estimator: Hypergradient.Hypergradient) => {
  const x = Var.make("x", () => NdArray.float32([2], start))
  const y = Var.make("y", () => NdArray.float32([2], at))
  const inner = Level.minimize(x, {
    given: [y],
    data: Dataset.none,
    optimizer,
    objective: ({ x, y }) => {
      const e = tf.exp(y)
      const quadratic = tf.mul(0.5, tf.sum(tf.mul(e, tf.square(x))))
      return tf.sub(quadratic, tf.sum(tf.mul(x, tf.reverse(e)))) as tf.Scalar
    }
  }).pipe(Level.hypergradient(estimator), Level.unroll(steps))
  // With rate 1 the outer update is the negative gradient itself.
  const outer = Level.minimize(y, {
    upstream: [inner],
    data: Dataset.none,
    optimizer: Optimizer.sgd(1),
    objective: ({ x }) => tf.mul(0.5, tf.sum(tf.square(tf.sub(x, tf.tensor1d(goal))))) as tf.Scalar
  })
  return Problem.close(outer)
}

/** The upper variable after some ticks. */
const after = (problem: Problem.Problem.Any, ticks: number, name: string) =>
  Run.ticks(problem as Problem.Problem<Var.Var.Any, never, never>, { ticks, seed: 0 }).pipe(
    Stream.filter((tick) => tick.index === ticks),
    Stream.mapEffect((tick) => tick.read([name] as never)),
    Stream.runHead,
    Effect.map((last) =>
      Tree.hostEntries((Option.getOrThrow(last) as any)[name]).flatMap(([, leaf]) => Array.from(leaf.data))
    )
  )

describe("over every update, a derivative carried forward is", () => {
  const engines = [
    ["eager, finite differences", Product.finiteDifference({ radius: 0.02 }), eager, 2e-3],
    ["compiled, exact products", Product.exact, compiler, 2e-5]
  ] as const
  for (const [how, product, engine, tolerance] of engines)
    for (const [name, { optimizer, update }] of Object.entries(updates))
      for (const curvature of [true, false])
        it.live(`that of ${curvature ? "the loop" : "the loop whose gradients stay in place"}: ${name}, ${how}`, () =>
          Effect.gen(function* () {
            const estimator = Hypergradient.forward({ updates: steps, product, curvature })
            const found = M.minus(at, yield* after(loop(optimizer, estimator), steps, "y"))
            const seen = curvature ? undefined : trajectory(update, at)
            const expected = at.map((_, i) => {
              const moved = (h: number) =>
                lossOf(
                  trajectory(
                    update,
                    at.map((v, j) => (i === j ? v + h : v)),
                    seen
                  ).at(-1)!
                )
              return (moved(1e-5) - moved(-1e-5)) / 2e-5
            })
            assert.isBelow(M.relativeError(found, expected), tolerance)
          }).pipe(Effect.provide(engine))
        )
})

const rows = 6
const table = (name: string) => {
  const draws = Seed.normal(Seed.fold(Seed.make(5), name), rows * 4)
  return { x: NdArray.float32([rows, 3], draws.slice(0, 18)), y: NdArray.float32([rows], draws.slice(18)) }
}
const adam = Optimizer.adam(0.05, { epsilon: 0.01 })

interface Shape {
  readonly linear?: boolean
  readonly optimizer?: Optimizing
  readonly inner?: (level: any) => any
  readonly outer?: (level: any) => any
  readonly counted?: () => void
  /** Turns of a level beside it for each of the level above, which needs nothing of it. */
  readonly beside?: number
}
/** A fit with a weight for each feature's pull and one of decay, which a level above chooses. */
const weighted = (estimator: Hypergradient.Hypergradient, shape: Shape = {}) => {
  const { beside, counted, inner = (l) => l, linear = false, optimizer = adam, outer = (l) => l } = shape
  const w = Var.make("w", () => ({ w: NdArray.float32([3], [0.5, -1, 0.25]), b: NdArray.float32([], [0.1]) }))
  const beta = Var.make("beta", () => ({ pull: NdArray.float32([2], [0.3, -0.2]), decay: NdArray.float32([], [-1]) }))
  const predict = (w: any, x: tf.Tensor2D) =>
    tf.add(tf.reshape(tf.matMul(x, tf.reshape(w.w, [3, 1]) as tf.Tensor2D), [-1]), w.b)
  const fit = Level.minimize(w, {
    name: "fit",
    given: [beta],
    data: Dataset.fromRows("fit", table("fit"), { batch: 3 }),
    optimizer,
    objective: ({ beta, w }, { x, y }) => {
      counted?.()
      const [first, second] = tf.unstack(tf.softmax(beta.pull)) as [tf.Tensor, tf.Tensor]
      const z = predict(w, x)
      const size = tf.sum(tf.exp(beta.decay))
      if (linear) {
        const drift = tf.mul(size, tf.add(tf.sum(w.w), tf.mul(2, w.b)))
        return tf.addN([tf.mul(first, tf.mean(tf.mul(z, y))), tf.mul(second, tf.mean(z)), drift]) as tf.Scalar
      }
      return tf.addN([
        tf.mul(first, tf.mean(tf.softplus(tf.mul(z, y)))),
        tf.mul(second, tf.mean(tf.square(tf.sub(z, y)))),
        tf.mul(size, tf.add(tf.sum(tf.square(w.w)), tf.square(w.b)))
      ]) as tf.Scalar
    }
  }).pipe(Level.hypergradient(estimator), inner)
  const other = Level.minimize(
    Var.make("other", () => NdArray.float32([], [0])),
    {
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective: ({ other }) => tf.square(other) as tf.Scalar
    }
  ).pipe(Level.unroll(beside ?? 1))
  const choose = Level.minimize(beta, {
    name: "choose",
    upstream: [fit, ...(beside === undefined ? [] : [other])] as never,
    data: Dataset.constant("choose", table("choose")),
    optimizer: Optimizer.sgd(0.5),
    objective: (({ w }: any, { x, y }: any) => tf.mean(tf.square(tf.sub(predict(w, x), y)))) as never
  } as never).pipe(outer)
  return Problem.close(choose as never) as Problem.Problem<any, never, never>
}

describe("exact forward mode is unrolled", () => {
  const cases: ReadonlyArray<readonly [string, number, Shape]> = [
    ["over whole rounds", 4, { inner: Level.unroll(4) }],
    ["over a part of each round", 2, { inner: Level.unroll(5) }],
    ["with several updates a turn", 3, { inner: (l) => Level.repeat(3)(Level.unroll(2)(l)) }],
    ["of levels that restart", 3, { inner: (l) => Level.restart(Level.unroll(3)(l)) }],
    [
      "of levels that restart between turns of the reader",
      3,
      { beside: 4, inner: (l) => Level.restart(Level.unroll(3)(l)) }
    ],
    ["after a warm-up that ends inside a round", 4, { inner: (l) => Level.warmup(6)(Level.unroll(4)(l)) }],
    [
      "with readers that wait and repeat",
      2,
      { inner: Level.unroll(3), outer: (l) => Level.warmup(4)(Level.repeat(2)(l)) }
    ],
    ["until the level freezes", 3, { inner: (l) => Level.freeze(7)(Level.unroll(3)(l)) }],
    ["over micro-batches", 2, { inner: (l) => Level.accumulate(2)(Level.unroll(2)(l)) }],
    [
      "of clipped momentum under a mask",
      3,
      {
        inner: Level.unroll(3),
        optimizer: Optimizer.momentum(0.1, { momentum: 0.9 }).pipe(
          Optimizer.clipByGlobalNorm(0.3),
          Optimizer.masked((path) => path === "w")
        )
      }
    ]
  ]
  for (const [name, count, shape] of cases)
    it.live(name, () =>
      Effect.gen(function* () {
        const product = Product.exact
        const forward = yield* after(weighted(Hypergradient.forward({ updates: count, product }), shape), 12, "beta")
        const unrolled = yield* after(weighted(Hypergradient.unrolled({ steps: count, product }), shape), 12, "beta")
        const untouched = yield* after(
          weighted(Hypergradient.forward({ updates: count, product }), shape),
          0 + 1,
          "beta"
        )
        assert.isBelow(M.relativeError(forward, unrolled), 1e-5)
        assert.isAbove(M.norm(M.minus(forward, untouched)), 1e-3)
      }).pipe(compiled)
    )

  it.live("on a part of the rows, through a level above that is solved", () =>
    Effect.gen(function* () {
      const products = { product: Product.exact, rows: { fraction: 0.5 } }
      const three = (estimator: Hypergradient.Hypergradient) => {
        const theta = Var.make("theta", () => NdArray.float32([3], [0.5, -1, 0.25]))
        const omega = Var.make("omega", (_, root) => Var.initial(theta, root))
        const beta = Var.make("beta", () => NdArray.float32([3], [0.3, -0.2, 0.1]))
        const error = (w: tf.Tensor, { x, y }: any): tf.Tensor =>
          tf.mean(tf.square(tf.sub(tf.reshape(tf.matMul(x, tf.reshape(w, [3, 1]) as tf.Tensor2D), [-1]), y)))
        const pretrain = Level.minimize(theta, {
          given: [beta],
          data: Dataset.fromRows("pretrain", table("a"), { batch: 4 }),
          optimizer: adam,
          objective: ({ beta, theta }, batch) =>
            tf.add(error(theta, batch), tf.sum(tf.mul(tf.softmax(beta), tf.square(theta)))) as tf.Scalar
        }).pipe(Level.hypergradient(estimator), Level.unroll(3))
        const finetune = Level.minimize(omega, {
          upstream: [pretrain],
          data: Dataset.fromRows("finetune", table("b"), { batch: 4 }),
          optimizer: adam,
          objective: ({ omega, theta }, batch) =>
            tf.add(error(omega, batch), tf.sum(tf.square(tf.sub(omega, theta)))) as tf.Scalar
        }).pipe(Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact })))
        const reweight = Level.minimize(beta, {
          upstream: [pretrain, finetune],
          data: Dataset.constant("reweight", table("c")),
          optimizer: Optimizer.sgd(1),
          objective: ({ omega }, batch) => error(omega, batch) as tf.Scalar
        })
        return Problem.close(reweight)
      }
      const forward = yield* after(three(Hypergradient.forward({ updates: 3, ...products })), 6, "beta")
      const unrolled = yield* after(three(Hypergradient.unrolled({ steps: 3, ...products })), 6, "beta")
      assert.isBelow(M.relativeError(forward, unrolled), 1e-5)
    }).pipe(compiled)
  )
})

describe("without curvature", () => {
  const ofBoth = (linear: boolean) =>
    Effect.map(
      Effect.forEach([true, false], (curvature) =>
        after(
          weighted(Hypergradient.forward({ updates: 4, product: Product.exact, curvature }), {
            linear,
            inner: Level.unroll(4)
          }),
          12,
          "beta"
        )
      ),
      ([exact, window]) => M.relativeError(window!, exact!)
    )
  it.live("it is exact where losses are linear in the variable, and only there", () =>
    Effect.gen(function* () {
      assert.isBelow(yield* ofBoth(true), 1e-6)
      assert.isAbove(yield* ofBoth(false), 1e-3)
    }).pipe(compiled)
  )

  it.live("what a vanishing weight moves is not inflated: its logit's part vanishes with it", () =>
    Effect.gen(function* () {
      const partOf = (logit: number) => {
        const x = Var.make("x", () => NdArray.float32([2], start))
        const beta = Var.make("beta", () => NdArray.float32([2], [0, 0]))
        const inner = Level.minimize(x, {
          given: [beta],
          data: Dataset.none,
          optimizer: adam,
          objective: ({ beta, x }) => {
            const [first, second] = tf.unstack(tf.softmax(tf.add(beta, tf.tensor1d([0, logit])))) as [
              tf.Tensor,
              tf.Tensor
            ]
            const pull = tf.sum(tf.mul(x, tf.tensor1d([1, -0.5])))
            // The objective of little weight has by far the larger gradients.
            return tf.add(tf.mul(first, pull), tf.mul(second, tf.sum(tf.mul(100, x)))) as tf.Scalar
          }
        }).pipe(
          Level.hypergradient(Hypergradient.forward({ updates: 5, product: Product.exact, curvature: false })),
          Level.unroll(5)
        )
        const outer = Level.minimize(beta, {
          upstream: [inner],
          data: Dataset.none,
          optimizer: Optimizer.sgd(1),
          objective: ({ x }) => tf.sum(x) as tf.Scalar
        })
        return Effect.map(after(Problem.close(outer), 5, "beta"), (found) => Math.abs(found[1]!))
      }
      const [some, little] = [yield* partOf(-12), yield* partOf(-16)]
      assert.isAbove(some, 1e-6)
      assert.approximately(little / some, Math.exp(-4), 0.01 * Math.exp(-4))
    }).pipe(compiled)
  )
})

describe("a run that carries derivatives", () => {
  const shape: Shape = { inner: (l) => Level.repeat(2)(Level.unroll(3)(l)) }
  it.live("is what differences of it say", () =>
    Law.hypergradient(weighted(Hypergradient.forward({ updates: 5, product: central }), shape), {
      cases: 2,
      solveTicks: 3,
      radius: 0.02
    }).pipe(cpu)
  )
  it.live("of whose window, without curvature, a verification checks the direction", () =>
    Effect.gen(function* () {
      const unsized = (curvature: boolean) =>
        Effect.map(
          Verify.verify(
            weighted(Hypergradient.forward({ updates: 2, product: central, curvature }), { inner: Level.unroll(2) }),
            { seed: 0, solveTicks: 1, directions: 1 }
          ),
          (found) => found.unsized
        )
      assert.deepStrictEqual(yield* unsized(false), ["fit"])
      assert.deepStrictEqual(yield* unsized(true), [])
    }).pipe(cpu)
  )
  it("is another program with another product of the same name", () => {
    const identified = (radius: number) => {
      const product = { ...Product.finiteDifference({ radius }), name: "one of mine" }
      const problem = weighted(Hypergradient.forward({ updates: 2, product }), { inner: Level.unroll(2) })
      return fingerprint(problem, Result.getOrThrow(Plan.make(problem)))
    }
    assert.strictEqual(identified(0.01), identified(0.01))
    assert.notStrictEqual(identified(0.01), identified(0.02))
  })
  for (const [name, engine, product] of [
    ["eager", eager, central],
    ["compiled", compiler, Product.exact]
  ] as const)
    for (const curvature of [true, false])
      it.live(`${name}${curvature ? "" : ", without curvature"}: goes on from within a window to the same bits`, () =>
        Law.resume(weighted(Hypergradient.forward({ updates: 5, product, curvature }), shape), {
          cases: 4,
          ticks: 7
        }).pipe(Effect.provide(engine))
      )
  it.live("leaves nothing alive", () =>
    Law.nothingLeft(weighted(Hypergradient.forward({ updates: 5, product: central }), shape), {
      cases: 3,
      ticks: 5
    }).pipe(cpu)
  )
})

describe("an update carries derivatives", () => {
  const phases = (updates: number, shape: Shape, ticks: number) => {
    const plan = Result.getOrThrow(Plan.make(weighted(Hypergradient.forward({ updates, product: central }), shape)))
    return Array.from(
      { length: ticks },
      (_, i) =>
        Moment.at(plan, i + 1)
          .carrying?.fit?.map((phase) => phase[0])
          .join("") ?? "-"
    ).join(" ")
  }
  it("within the last updates before a turn of its reader, and in no other", () => {
    assert.strictEqual(phases(3, { inner: Level.unroll(3) }, 7), "b c c b c c b")
    assert.strictEqual(phases(2, { inner: Level.unroll(3) }, 7), "- b c - b c -")
    assert.strictEqual(phases(3, { inner: (l) => Level.repeat(2)(Level.unroll(3)(l)) }, 4), "- ib cc -")
    assert.strictEqual(phases(3, { inner: (l) => Level.warmup(1)(Level.unroll(3)(l)) }, 6), "- b c b c c")
    assert.strictEqual(phases(3, { inner: Level.unroll(3), outer: Level.warmup(5) }, 6), "- - - b c c")
  })
  it("and begins anew where its level restarts", () => {
    const shape: Shape = { beside: 4, inner: (l) => Level.restart(Level.unroll(3)(l)) }
    assert.strictEqual(phases(3, shape, 8), "- b c b - b b c")
  })
  it("unless the level or its reader is held by then", () => {
    assert.strictEqual(phases(3, { inner: (l) => Level.freeze(5)(Level.unroll(3)(l)) }, 6), "b c c - - -")
    assert.strictEqual(phases(3, { inner: Level.unroll(3), outer: Level.freeze(5) }, 6), "b c c - - -")
  })
})

describe("what it costs", () => {
  it.live("is what the plan says, in evaluations of the objective", () =>
    Effect.gen(function* () {
      const count = Effect.fnUntraced(function* (curvature: boolean, ticks: number) {
        let calls = 0
        const counted = () => void calls++
        const estimator = Hypergradient.forward({ updates: 3, product: central, curvature })
        const problem = weighted(estimator, { counted, inner: (l) => Level.repeat(2)(Level.unroll(3)(l)) })
        yield* Run.ticks(problem, { ticks, seed: 0 }).pipe(Stream.runDrain)
        const { cost } = Result.getOrThrow(Plan.make(problem))
        return { calls, cost: cost.find(({ level }) => level === "fit")! }
      })
      for (const curvature of [true, false]) {
        const [few, many] = [yield* count(curvature, 3), yield* count(curvature, 9)]
        const { evaluations, evaluationsPerElement } = many.cost
        // Three turns more of three elements: 2 updates of the 6 of each, and a derivative through 3 of them.
        assert.deepStrictEqual([evaluations, evaluationsPerElement], [2, { choose: 2 }])
        assert.strictEqual(many.calls - few.calls, 6 * (evaluations + 3 * evaluationsPerElement.choose!))
      }
    }).pipe(cpu)
  )
  it("counts an exact product's point once, not at all where the update has it", () => {
    const costs = (shape: Shape) => {
      const plan = Result.getOrThrow(
        Plan.make(weighted(Hypergradient.forward({ updates: 2, product: Product.exact }), shape))
      )
      return plan.cost.map(({ evaluations, evaluationsPerElement }) => [evaluations, evaluationsPerElement])
    }
    assert.deepStrictEqual(costs({ inner: Level.unroll(2) }), [
      [1, { choose: 2 }],
      [1, {}]
    ])
    assert.deepStrictEqual(costs({ inner: (l) => Level.accumulate(2)(Level.unroll(2)(l)) }), [
      [4, { choose: 4 }],
      [1, {}]
    ])
    // In the graph of a turn: what is carried is less than two evaluations for each element.
    const flops = (problem: Problem.Problem.Any, carrying: Moment.Moment["carrying"] = {}) => {
      const plan = Result.getOrThrow(Plan.make(problem))
      const vars = initialVars(problem, Seed.make(0))
      const state = trace(initial(problem, plan) as (vars: Vars) => State, ["vars"], [vars]).structure
      const moment: Moment.Moment = {
        acting: ["fit"],
        restarting: [],
        frozen: [],
        past: {},
        carrying,
        diagnostics: false
      }
      const batch = { fit: [levelsOf(problem).get("fit")!.data.fields] }
      const step = Step.make(problem, plan, moment) as (state: State, batch: Batches) => Tree.Tree
      return matrixFlops(trace(step, ["state", "batch"], [state, batch]).results)
    }
    const problem = weighted(Hypergradient.forward({ updates: 2, product: Product.exact }), { inner: Level.unroll(2) })
    const [alone, carried] = [flops(problem), flops(problem, { fit: ["carry"] })]
    assert.isAbove(carried, alone)
    assert.isAtMost(carried, (1 + 3 * 2) * alone)
    const plan = Result.getOrThrow(
      Plan.make(weighted(Hypergradient.forward({ updates: 2, product: central }), { inner: Level.unroll(4) }))
    )
    assert.include(PlanText.text(plan), "forward(2) × finiteDifference(0.01)")
    assert.include(PlanText.text(plan), "1 + 1 × size of 'choose'")
  })
})

describe("where nothing can be carried, the plan says why", () => {
  const estimator = Hypergradient.forward({ updates: 4, product: Product.exact })
  const refusal = (problem: Problem.Problem<any, any, any>) => {
    const found = Plan.make(problem)
    return Result.isFailure(found) ? found.failure.message : "accepted"
  }
  const scalar = (name: string, size = 1) => Var.make(name, () => NdArray.float32([size], new Float32Array(size)))
  const level = (own: any, given: ReadonlyArray<any>, upstream: ReadonlyArray<any>): any =>
    Level.minimize(own, {
      given,
      upstream,
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective: ((vars: any) => tf.sum(tf.addN(Object.values(vars).map((v: any) => tf.sum(v))))) as never
    } as never)
  const within = Level.unroll(4)
  const [x, y, z, t] = [scalar("x"), scalar("y"), scalar("z"), scalar("t")]

  it("a window longer than x is held for, or than a round", () => {
    assert.match(
      refusal(weighted(estimator, { inner: Level.unroll(3) })),
      /through 4 updates, but 'beta' is held for 3.*Level\.unroll\(4\)/
    )
    assert.match(
      refusal(weighted(estimator, { inner: (l) => Level.restart(Level.unroll(3)(l)) })),
      /no longer after a restart/
    )
    assert.strictEqual(refusal(weighted(estimator, { inner: within })), "accepted")
  })
  it("an upper variable of many elements", () => {
    const of = (size: number) => {
      const upper = scalar("upper", size)
      return refusal(Problem.close(level(upper, [], [within(Level.hypergradient(estimator)(level(x, [upper], [])))])))
    }
    assert.match(of(65), /each of the 65 elements of 'upper', and is for at most 64.*unrolled or implicit/)
    assert.strictEqual(of(64), "accepted")
  })
  it("a derivative that also comes through a level below", () => {
    const low = within(
      Level.hypergradient(Hypergradient.unrolled({ steps: 1, product: Product.exact }))(level(x, [t], []))
    )
    const middle = within(Level.hypergradient(estimator)(level(y, [t], [low])))
    assert.match(refusal(Problem.close(level(t, [], [middle]))), /also arrives through 'x'.*detached/)
  })
  it("more than one level that differentiates it", () => {
    const low = within(Level.hypergradient(estimator)(level(x, [y, t], [])))
    const middle = Level.hypergradient(Hypergradient.detached)(level(y, [], [low]))
    assert.match(refusal(Problem.close(level(t, [], [low, middle]))), /'y' and 't' differentiate its solution/)
  })
  it("updates that are simultaneous or may be skipped", () => {
    assert.match(refusal(Problem.simultaneous(weighted(estimator, { inner: within }))), /simultaneously/)
    assert.match(
      refusal(weighted(estimator, { inner: (l) => Level.precision(Precision.float16())(within(l)) })),
      /some are skipped/
    )
  })
  it.live("a loss without x, when the step is met", () =>
    Effect.gen(function* () {
      const low = Level.minimize(z, {
        given: [t],
        data: Dataset.none,
        optimizer: Optimizer.sgd(0.1),
        objective: ({ z }) => tf.sum(tf.square(z as tf.Tensor)) as tf.Scalar
      }).pipe(Level.hypergradient(estimator), Level.unroll(4))
      const found = yield* Effect.result(after(Problem.close(level(t, [], [low])), 4, "t"))
      assert.match(String(Result.isFailure(found) ? found.failure : "ran"), /does not depend on 't'/)
    }).pipe(compiled)
  )
})
