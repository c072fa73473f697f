/** Methods that reduce the variance of batches, on finite sums: iterates as an independent computation has them, floors, and state. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { flow } from "effect/Function"
import * as tf from "@tensorflow/tfjs-core"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Compiled from "../../src/engines/compiled/CompiledEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Method from "../../src/levels/Method.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Variance from "../../src/levels/Variance.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as PlanText from "../../src/runtime/plan/PlanText.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as Law from "../../src/testing/Law.ts"
import * as M from "../../src/testing/Matrix.ts"
import * as Sum from "../support/finiteSum.ts"

const fd = Product.finiteDifference({ radius: 1 })
const seed = 5

const stateAfter = (
  given: Problem.Problem.Any,
  ticks: number,
  from?: { readonly tick: number; readonly state: Run.Snapshot }
) =>
  Run.ticks(given as Problem.Problem<any>, { ticks, seed, ...(from === undefined ? {} : { from }) }).pipe(
    Stream.filter((tick) => tick.index === ticks),
    Stream.mapEffect((tick) => tick.snapshot),
    Stream.runHead,
    Effect.map(Option.getOrThrow)
  )
const numbers = (leaf: unknown) => Array.from((leaf as NdArray.NdArray).data)
const after = (given: Problem.Problem.Any, ticks: number) =>
  Effect.map(stateAfter(given, ticks), ({ vars, solver }) => ({
    x: numbers(vars["x"]),
    z: numbers(vars["z"]),
    v: solver["upper"]?.["lower"] as { readonly solution?: NdArray.NdArray } | undefined
  }))
const close = (is: M.Vector, wanted: M.Vector, what: string, within = 2e-5) =>
  is.forEach((value, i) => assert.closeTo(value, wanted[i]!, within, `${what}[${i}]`))

const rates = { lower: 0.1, adjoint: 0.15, upper: 0.05 }
const made = (method: Method.Method, whole = false) =>
  Sum.problem([rates.lower, rates.upper], { whole }).pipe(method as never) as Problem.Problem.Any

describe("iterates of methods on finite sums, one term of each sum a tick", () => {
  const ticks = 15
  const cases: ReadonlyArray<readonly [string, Method.Method, Sum.Estimate]> = [
    ["SOBA", Method.soba({ rate: rates.adjoint, product: fd }), "none"],
    ["SABA", Method.saba({ rate: rates.adjoint, product: fd }), "saga"],
    ["SRBA", Method.srba({ rate: rates.adjoint, period: 7, product: fd }), { period: 7 }]
  ]
  for (const [name, method, estimate] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const found = yield* after(made(method), ticks)
        const wanted = Sum.singleLoop(yield* Sum.order(seed, ticks), ticks, rates, estimate)
        close(found.x, wanted.x, "x")
        close(found.z, wanted.z, "z")
        close(numbers(found.v!.solution), wanted.v, "v")
      }).pipe(Effect.provide(Eager.layer("cpu")))
    )
  }
  it.live("SABA on another backend", () =>
    Effect.gen(function* () {
      const found = yield* after(made(Method.saba({ rate: rates.adjoint, product: fd })), ticks)
      close(found.x, Sum.singleLoop(yield* Sum.order(seed, ticks), ticks, rates, "saga").x, "x")
    }).pipe(Effect.provide(Eager.layer("wasm")))
  )
  it.live("SABA and SRBA with exact products, compiled", () =>
    Effect.gen(function* () {
      for (const [name, , estimate] of cases.slice(1)) {
        const method =
          name === "SABA" ? Method.saba({ rate: rates.adjoint }) : Method.srba({ rate: rates.adjoint, period: 7 })
        const found = yield* after(made(method), ticks)
        const wanted = Sum.singleLoop(yield* Sum.order(seed, ticks), ticks, rates, estimate)
        close(found.x, wanted.x, "x")
        close(found.z, wanted.z, "z")
      }
    }).pipe(Effect.provide(Compiled.layer()))
  )
  it.live("FSLA, SUSTAIN, MRBO, and MRBO without momentum, which is StocBiO from one snapshot", () =>
    Effect.gen(function* () {
      const order = yield* Sum.order(seed, ticks)
      const one = yield* after(made(Method.fsla({ rate: rates.adjoint, momentum: 0.3, product: fd })), ticks)
      const wanted = Sum.fsla(order, ticks, rates, () => 0.3)
      close(one.x, wanted.x, "x of FSLA")
      close(one.z, wanted.z, "z of FSLA")
      // Of one term there is nothing to draw: SUSTAIN is MRBO without products.
      const single = yield* after(made(Method.sustain({ rate: 0.3, terms: 1, momentum: 0.3, product: fd })), ticks)
      close(single.x, Sum.momentum(order, ticks, rates, { terms: 0, rate: 0.3 }, () => 0.3).x, "x of SUSTAIN")
      for (const eta of [0.3, 1]) {
        const found = yield* after(made(Method.mrbo({ rate: 0.3, terms: 4, momentum: eta, product: fd })), ticks)
        const numbersOf = Sum.momentum(order, ticks, rates, { terms: 4, rate: 0.3 }, () => eta)
        close(found.x, numbersOf.x, `x at ${eta}`)
        close(found.z, numbersOf.z, `z at ${eta}`)
      }
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
  it.live("of all terms at once: reduction changes nothing", () =>
    Effect.gen(function* () {
      const plain = yield* after(made(Method.soba({ rate: rates.adjoint }), true), ticks)
      for (const method of [Method.saba({ rate: rates.adjoint }), Method.srba({ rate: rates.adjoint, period: 4 })]) {
        const found = yield* after(made(method, true), ticks)
        close(found.x, plain.x, "x", 2e-6)
        close(found.z, plain.z, "z", 2e-6)
      }
      const momentum = (eta: number) => after(made(Method.mrbo({ rate: 0.3, terms: 3, momentum: eta }), true), ticks)
      close((yield* momentum(0.2)).x, (yield* momentum(1)).x, "x", 2e-6)
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("estimates", () => {
  const damped = Solver.damped(Solver.descent(Optimizer.sgd(0.15), { hands: "before" }), { damping: 0.7 })
  const solving = Problem.mapLevels((level) =>
    level.name === "lower" ? Level.hypergradient(Hypergradient.implicit({ solver: damped, product: fd }))(level) : level
  )
  it.live("of a damped adjoint are damped", () =>
    Effect.gen(function* () {
      const of = (variance?: Variance.Variance) =>
        Effect.map(
          after(
            made(
              flow(
                solving as any,
                Problem.simultaneous as any,
                variance === undefined
                  ? (problem: unknown) => problem
                  : (Problem.mapLevels(Level.variance(variance)) as any)
              ) as never,
              true
            ),
            10
          ),
          ({ x }) => x
        )
      const plain = yield* of()
      close(yield* of(Variance.saga), plain, "x", 2e-6)
      close(yield* of(Variance.storm(0.3)), plain, "x", 2e-6)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
  it.live("of the last one begin anew where the lower level freezes", () =>
    Effect.gen(function* () {
      const frozen = 6
      const problem = made(
        flow(
          Method.mrbo({ rate: 0.3, terms: 2, momentum: 1e-6, product: fd }) as any,
          Problem.mapLevels((level) => (level.name === "lower" ? Level.freeze(frozen)(level) : level))
        ) as never
      )
      const [at, next] = [yield* after(problem, frozen), yield* after(problem, frozen + 1)]
      const { upper } = yield* Sum.order(seed, frozen + 1)
      const direction = Sum.oracles.fx(upper[frozen]!, { ...at, v: [0, 0] })
      close(
        M.minus(at.x, next.x).map((each) => each / rates.upper),
        direction,
        "direction",
        2e-5
      )
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})

describe("a diamond of finite sums", () => {
  // z follows x, w follows z and x; the top reads both.
  const rows = (label: string, n: number) => {
    const a = Array.from(Seed.normal(Seed.fold(Seed.make(4), label), n))
    const mean = a.reduce((sum, each) => sum + each, 0) / n
    return {
      mean,
      data: Dataset.finite(Dataset.fromRows(label, { a: NdArray.float32([n], a as never) }, { batch: 1 }))
    }
  }
  const [forZ, forW, forX] = [rows("z", 4), rows("w", 3), rows("x", 5)]
  const problem = (method: Method.Method) => {
    const [x, w, z] = [
      Var.make("x", () => NdArray.scalar(2)),
      Var.make("w", () => NdArray.scalar(0)),
      Var.make("z", () => NdArray.scalar(0))
    ]
    const square = (of: tf.Tensor, a: tf.Tensor) => tf.mean(tf.mul(0.5, tf.square(tf.add(of, a)))) as tf.Scalar
    const below = Level.minimize(z, {
      given: [x],
      data: forZ.data,
      optimizer: Optimizer.sgd(0.2),
      objective: ({ x, z }, { a }) => square(tf.sub(z, tf.mul(0.5, x)), a)
    })
    const middle = Level.minimize(w, {
      given: [x],
      upstream: [below],
      data: forW.data,
      optimizer: Optimizer.sgd(0.2),
      objective: ({ w, x, z }, { a }) => square(tf.sub(w, tf.add(z, x)), a)
    })
    const top = Level.minimize(x, {
      upstream: [middle, below],
      data: forX.data,
      optimizer: Optimizer.sgd(0.02),
      objective: ({ w, x, z }, { a }) => tf.add(square(tf.add(w, z), a), tf.mul(0.1, tf.square(x))) as tf.Scalar
    })
    return Problem.close(top).pipe(method)
  }
  // z = x/2 − ā, w = 3x/2 − ā − b̄; the top minimizes ½ (2x − 2ā − b̄ + c̄)² + x²/10.
  const best = (2 * (2 * forZ.mean + forW.mean - forX.mean)) / 4.2
  it.live("SABA and SRBA reach the optimum, with an adjoint for each level; SOBA stays in its noise", () =>
    Effect.gen(function* () {
      const distance = (method: Method.Method) =>
        Effect.map(stateAfter(problem(method), 800), ({ vars }) => Math.abs(numbers(vars["x"])[0]! - best))
      assert.isBelow(yield* distance(Method.saba({ rate: 0.2 })), 1e-5)
      assert.isBelow(yield* distance(Method.srba({ rate: 0.2 })), 1e-5)
      assert.isAbove(yield* distance(Method.soba({ rate: 0.2 })), 1e-3)
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("what is drawn", () => {
  it.live("is the same now and before: at rest, without new information, SUSTAIN keeps its first direction", () =>
    Effect.gen(function* () {
      const still = Sum.problem([1e-12, 1e-3])
      const moved = (eta: number, ticks: number) =>
        Effect.map(after(still.pipe(Method.sustain({ rate: 0.3, terms: 6, momentum: eta })), ticks), ({ x }) =>
          M.minus(x, [1, -1]).map((d) => d / (ticks * 1e-3))
        )
      close(yield* moved(1e-6, 30), yield* moved(1e-6, 1), "direction", 0.02)
      assert.isAbove(M.norm(M.minus(yield* moved(1, 30), yield* moved(1, 1))), 0.2)
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("floors of noise at constant rates", () => {
  it.live("SABA and SRBA reach the solution to rounding, SOBA stays in its noise", () =>
    Effect.gen(function* () {
      const best = Sum.solution()
      const distance = (method: Method.Method) =>
        Effect.map(after(made(method), 800), ({ x }) => M.norm(M.minus(x, best)))
      assert.isBelow(yield* distance(Method.saba({ rate: rates.adjoint })), 1e-5)
      assert.isBelow(yield* distance(Method.srba({ rate: rates.adjoint })), 1e-5)
      assert.isAbove(yield* distance(Method.soba({ rate: rates.adjoint })), 1e-3)
    }).pipe(Effect.provide(Compiled.layer()))
  )
  it.live("VRBO: the upper level moves every other tick, and does not stay in noise", () =>
    Effect.gen(function* () {
      const at = (ticks: number) =>
        Effect.map(after(made(Method.vrbo({ rate: 0.4, terms: 10, lowerSteps: 2, period: 7 })), ticks), ({ x }) => x)
      const [first, second, third] = [yield* at(1), yield* at(2), yield* at(3)]
      assert.deepStrictEqual(first, second)
      assert.notDeepEqual(second, third)
      // The series is cut: (1 - 0.4 μ)^11 of the adjoint is missing.
      assert.isBelow(M.norm(M.minus(yield* at(400), Sum.solution())), 0.05)
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("state", () => {
  it.live("is in the run's: stopped and resumed is never stopped, bit for bit", () =>
    Effect.gen(function* () {
      for (const method of [
        Method.saba({ rate: 0.1 }),
        Method.srba({ rate: 0.1, period: 4 }),
        Method.fsla({ rate: 0.1 }),
        Method.mrbo({ rate: 0.3, terms: 2 }),
        Method.sustain({ rate: 0.3, terms: 3 }),
        Method.vrbo({ rate: 0.3, terms: 2, lowerSteps: 2, period: 3 })
      ]) {
        const problem = made(method)
        const whole = yield* stateAfter(problem, 9)
        assert.isNotEmpty(Object.keys(whole.variance))
        const half = yield* stateAfter(problem, 5)
        assert.deepStrictEqual(yield* stateAfter(problem, 9, { tick: 5, state: half }), whole)
        // A control: what is kept matters.
        const forgotten = { ...half, variance: (yield* Run.start(problem, seed)).variance }
        assert.notDeepEqual(yield* stateAfter(problem, 9, { tick: 5, state: forgotten }), whole)
      }
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("memory", () => {
  it.live("nothing is left alive of runs with estimates, constants and branches", () =>
    Effect.gen(function* () {
      for (const method of [
        Method.saba({ rate: 0.1, product: fd }),
        Method.srba({ rate: 0.1, period: 2, product: fd }),
        Method.bome({ rate: 0.1, lowerSteps: 2 }),
        Method.pzobo({ lowerSteps: 2 })
      ])
        yield* Law.nothingLeft(made(method) as Problem.Problem<never>, { cases: 1, ticks: 3 })
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})

describe("plans", () => {
  const planOf = (problem: Problem.Problem.Any) => Plan.make(problem)
  const refusal = (problem: Problem.Problem.Any) => {
    const plan = planOf(problem)
    return Result.isFailure(plan) ? plan.failure.message : "accepted"
  }
  const at = (name: string, change: (level: Level.Definition) => Level.Definition) =>
    Problem.mapLevels((level) => (level.name === name ? change(level) : level))

  it("say how directions are estimated, and price it", () => {
    const cost = (method: Method.Method) =>
      Result.getOrThrow(planOf(made(method))).cost.map(({ evaluations }) => evaluations)
    const text = PlanText.text(Result.getOrThrow(planOf(made(Method.srba({ rate: 0.1, period: 8, product: fd })))))
    assert.include(text, "sgd(0.1) by sarah(8)")
    assert.include(text, "data below of 5 batches")
    const [lower, upper] = cost(Method.soba({ rate: 0.1, product: fd }))
    assert.deepStrictEqual(cost(Method.saba({ rate: 0.1, product: fd })), [lower!, upper!])
    assert.deepStrictEqual(cost(Method.fsla({ rate: 0.1, product: fd })), [lower!, 2 * upper!])
    // One update in 8 takes all 5 terms below and all 4 above, the others two of each.
    assert.deepStrictEqual(cost(Method.srba({ rate: 0.1, period: 8, product: fd })), [
      (lower! * (2 * 7 + 5)) / 8,
      (2 * 7 + 4) / 8 + ((upper! - 1) * (2 * 7 + 5)) / 8
    ])
  })

  it("refuse what cannot be estimated so", () => {
    const saba = Method.saba({ rate: 0.1 })
    assert.match(
      refusal(
        made(flow(Method.amigo({ rate: 0.1 }) as any, Problem.mapLevels(Level.variance(Variance.saga))) as never)
      ),
      /no term is of one batch/
    )
    assert.match(
      refusal(
        made(
          flow(
            saba as any,
            at("lower", (level) => ({ ...level, data: Sum.lowerRows }))
          ) as never
        )
      ),
      /'below' is no finite sum/
    )
    assert.match(refusal(made(flow(saba as any, at("lower", Level.accumulate(2))) as never)), /micro-batches/)
    assert.match(
      refusal(
        made(flow(Method.unrolled({ steps: 2 }) as any, at("upper", Level.variance(Variance.storm(0.5)))) as never)
      ),
      /last updates/
    )
    assert.match(
      refusal(made(flow(Method.sama() as any, at("upper", Level.variance(Variance.storm(0.5)))) as never)),
      /last updates/
    )
    const repeated = flow(
      Method.amigo({ rate: 0.1 }) as any,
      at("lower", Level.variance(Variance.sarah({ period: 3 })))
    )
    assert.match(refusal(made(repeated as never)), /updates a turn/)
    const mixed = flow(Method.srba({ rate: 0.1 }) as any, at("lower", Level.variance(Variance.saga)))
    assert.match(refusal(made(mixed as never)), /give both the same/)
    assert.strictEqual(refusal(made(saba)), "accepted")
  })
})

describe("Optimizer.every", () => {
  it("refuses what is no number of updates", () => {
    assert.throws(() => Optimizer.every(0), RangeError)
  })
})
