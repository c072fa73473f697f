/** Published methods on a quadratic of two levels: iterates after three ticks as an independent computation has them, and where they end. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Compiled from "../../src/engines/compiled/CompiledEngine.ts"
import * as Method from "../../src/levels/Method.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import type * as Rate from "../../src/levels/Rate.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as PlanText from "../../src/runtime/plan/PlanText.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { bilinear, lowerLoss, upperLoss } from "../support/quadraticVectors.ts"

const fd = Product.finiteDifference({ radius: 1 })

const inverseRoot = (peak: number): Rate.Rate => ({
  name: `inverseRoot(${peak})`,
  at: (clock) => tf.div(peak, tf.sqrt(tf.add(tf.cast(clock, "float32"), 1)))
})

const problem = (rates: readonly [lower: number | Rate.Rate, upper: number | Rate.Rate] = [0.1, 0.05]) => {
  const x = Var.make("x", () => NdArray.float32([2], [1, -1]))
  const z = Var.make("z", () => NdArray.float32([2], [0, 0]))
  const lower = Level.minimize(z, {
    name: "lower",
    given: [x],
    data: Dataset.none,
    optimizer: Optimizer.sgd(rates[0]),
    objective: ({ x, z }) => lowerLoss(x, z)
  })
  const upper = Level.minimize(x, {
    name: "upper",
    upstream: [lower],
    data: Dataset.none,
    optimizer: Optimizer.sgd(rates[1]),
    objective: ({ x, z }) => upperLoss(x, z)
  })
  return Problem.close(upper)
}

type Numbers = ReadonlyArray<number>

/** Variables and the adjoint after so many ticks. */
const after = (given: Problem.Problem.Any, ticks: number) =>
  Run.ticks(given as Problem.Problem<any>, { ticks, seed: 0 }).pipe(
    Stream.filter((tick) => tick.index === ticks),
    Stream.mapEffect((tick) => tick.snapshot),
    Stream.runHead,
    Effect.map((found) => {
      const { solver, vars } = Option.getOrThrow(found) as unknown as {
        vars: { [name: string]: NdArray.NdArray }
        solver: { upper?: { lower?: { solution?: NdArray.NdArray } } }
      }
      const numbers = (array: NdArray.NdArray | undefined): Numbers =>
        array === undefined ? [] : Array.from(array.data)
      return { x: numbers(vars["x"]), z: numbers(vars["z"]), v: numbers(solver.upper?.lower?.solution) }
    })
  )

const close = (is: Numbers, wanted: Numbers, within: number, what: string) => {
  assert.strictEqual(is.length, wanted.length, what)
  is.forEach((value, i) => assert.closeTo(value, wanted[i]!, within, `${what}[${i}]`))
}

const best = [-0.26602158, -0.19443475]
const distance = (x: Numbers): number => Math.hypot(x[0]! - best[0]!, x[1]! - best[1]!)

describe("methods after three ticks", () => {
  const decaying = problem([inverseRoot(0.1), inverseRoot(0.05)])
  const cases: ReadonlyArray<readonly [string, Problem.Problem.Any, Numbers, Numbers, Numbers]> = [
    [
      "SOBA",
      problem().pipe(Method.soba({ rate: 0.1, product: fd })),
      [0.9756303, -0.9521675],
      [-0.192263, 0.44076],
      [0.0919545, -0.0755685]
    ],
    [
      "SOBA with rates of 1/√(t + 1)",
      decaying.pipe(Method.soba({ rate: inverseRoot(0.1), product: fd })),
      [0.98041329, -0.96131385],
      [-0.14981633, 0.343176],
      [0.07538954, -0.07157576]
    ],
    [
      "AmIGO of two steps",
      problem().pipe(Method.amigo({ rate: 0.1, lowerSteps: 2, adjointSteps: 2, product: fd })),
      [0.97952413, -0.96561341],
      [-0.33994298, 0.7868691],
      [0.08647323, 0.14228347]
    ],
    [
      "StocBiO of two steps and two terms",
      problem().pipe(Method.stocbio({ rate: 0.1, lowerSteps: 2, terms: 2, product: fd })),
      [0.97828718, -0.96478562],
      [-0.33994783, 0.78682694],
      []
    ],
    [
      "F2SA of two steps",
      problem().pipe(Method.f2sa({ lowerSteps: 2, multiplier: 1, growth: 0.1 })),
      [0.98654478, -0.97493668],
      [-0.44761674, 0.80337418],
      []
    ],
    [
      "BOME of two steps",
      problem().pipe(Method.bome({ rate: 0.1, lowerSteps: 2 })),
      [0.96966691, -0.94339374],
      [-0.14222675, 0.20297518],
      []
    ]
  ]
  for (const [name, made, x, z, v] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const found = yield* after(made, 3)
        close(found.x, x, 1e-6, "x")
        close(found.z, z, 1e-6, "z")
        if (v.length > 0) close(found.v, v, 1e-6, "v")
      }).pipe(Effect.provide(Eager.layer("cpu")))
    )
  }
  it.live("and with exact products on the compiled engine", () =>
    Effect.gen(function* () {
      const found = yield* after(problem().pipe(Method.soba({ rate: 0.1 })), 3)
      close(found.x, [0.9756303, -0.9521675], 1e-6, "x")
      close(found.v, [0.0919545, -0.0755685], 1e-6, "v")
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("branches as methods", () => {
  const apart = (a: Numbers, b: Numbers) => a.map((each, i) => each - b[i]!)
  const along = (a: Numbers, b: Numbers) => a.reduce((sum, each, i) => sum + each * b[i]!, 0)
  const directions = [
    [1, 0.5],
    [-0.3, 0.8]
  ]
  it.live("PZOBO: the response of the lower updates along each direction, three ticks", () =>
    Effect.gen(function* () {
      let [x, z]: [Numbers, Numbers] = [
        [1, -1],
        [0, 0]
      ]
      for (let tick = 0; tick < 3; tick++) {
        const there = bilinear.direct(x, z, 0.1, 2)
        const { fx, fz } = bilinear.above(x, there)
        const handed = directions.map((u) => {
          const moved = bilinear.direct(
            x.map((each, i) => each + 0.1 * u[i]!),
            z,
            0.1,
            2
          )
          return u.map((each) => (each * along(apart(moved, there), fz)) / 0.1)
        })
        x = x.map((each, i) => each - 0.05 * (fx[i]! + (handed[0]![i]! + handed[1]![i]!) / 2))
        z = there
      }
      const found = yield* after(problem().pipe(Method.pzobo({ lowerSteps: 2, directions })), 3)
      close(found.x, x, 2e-6, "x")
      close(found.z, z, 2e-6, "z")
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it.live("drawn directions say in the mean what all elements say; so do opposites", () =>
    Effect.gen(function* () {
      const still = problem([0.05, 1e-4])
      const ticks = 1500
      const moved = (method: Method.Method) =>
        Effect.map(after(still.pipe(method), ticks), ({ x }) => [x[0]! - 1, x[1]! + 1].map((d) => d / (ticks * 1e-4)))
      const all = yield* moved(
        Method.pzobo({
          lowerSteps: 3,
          directions: [
            [Math.SQRT2, 0],
            [0, Math.SQRT2]
          ]
        })
      )
      const drawn = yield* moved(Method.pzobo({ lowerSteps: 3, directions: 4, seed: 1 }))
      const opposite = yield* moved(Method.es({ lowerSteps: 3, pairs: 3 }))
      const none = yield* moved(Method.pzobo({ lowerSteps: 3, directions: [[0, 0]] }))
      assert.isBelow(Math.hypot(...apart(drawn, all)), 0.03)
      assert.isBelow(Math.hypot(...apart(opposite, all)), 0.03)
      assert.isAbove(Math.hypot(...apart(none, all)), 0.1)
    }).pipe(Effect.provide(Compiled.layer()))
  )

  it("price a branch for each direction, whatever the size of the variable", () => {
    const plan = Result.getOrThrow(Plan.make(problem().pipe(Method.es({ lowerSteps: 2, pairs: 3 }))))
    // Two updates, each with its own gradient and six branches; six readings and one.
    assert.deepStrictEqual(
      plan.cost.map(({ evaluations, evaluationsPerElement }) => [evaluations, evaluationsPerElement]),
      [
        [2 + 2 * 6 + 6, {}],
        [1, {}]
      ]
    )
    assert.throws(() => Method.pzobo({ directions: 0 }), RangeError)
    assert.throws(() => Method.es({ pairs: 33 }), /at most 64/)
  })
})

describe("at the solution and its adjoint", () => {
  it.live(
    "one direction of SOBA is the derivative of the upper loss at the solution, and of an adjoint elsewhere is not",
    () =>
      Effect.gen(function* () {
        const made = problem().pipe(Method.soba({ rate: 0.1, product: fd })) as Problem.Problem<any>
        const [z, v] = [
          [-0.85714286, 2.02857143],
          // A v = ∂f/∂z there.
          [-0.70693878, 2.72489796]
        ]
        const blank = yield* Run.start(made, 0)
        const at = (solution: Numbers): Run.Snapshot => {
          const [kept, array] = [blank.solver["upper"]!["lower"] as object, NdArray.float32([2], solution as never)]
          return {
            ...blank,
            vars: { ...blank.vars, z: NdArray.float32([2], z as never) },
            solver: { upper: { lower: { ...kept, solution: array } as never } }
          }
        }
        const direction = (solution: Numbers) =>
          Run.ticks(made, { ticks: 1, seed: 0, from: { tick: 0, state: at(solution) } }).pipe(
            Stream.mapEffect((tick) => tick.read(["x"])),
            Stream.runHead,
            Effect.map((found) => {
              const { x } = Option.getOrThrow(found) as { readonly x: NdArray.NdArray }
              return [(1 - x.data[0]!) / 0.05, (-1 - x.data[1]!) / 0.05]
            })
          )
        close(yield* direction(v!), [0.78563265, -0.72497959], 5e-6, "direction")
        assert.isAbove(Math.abs((yield* direction([0, 0]))[0]! - 0.78563265), 0.1)
      }).pipe(Effect.provide(Eager.layer("cpu")))
  )
})

describe("penalties", () => {
  const gradient = [0.78563265, -0.72497959]
  /** The upper direction at the start, with both copies where they end. */
  const directionAt = (method: Method.Method, lower: number) =>
    Effect.gen(function* () {
      const ticks = 4000
      const made = problem([lower, 0.1]).pipe(
        method,
        Problem.mapLevels((level) => (level.name === "upper" ? Level.warmup(ticks)(level) : level))
      )
      const { x } = yield* after(made, ticks + 1)
      return [(1 - x[0]!) / 0.1, (-1 - x[1]!) / 0.1]
    })
  const error = (found: Numbers) =>
    Math.hypot(found[0]! - gradient[0]!, found[1]! - gradient[1]!) / Math.hypot(gradient[0]!, gradient[1]!)

  it.live("of one side are off by one over the multiplier, of two by its square", () =>
    Effect.gen(function* () {
      const at = (multiplier: number, sides: "one" | "two") =>
        Effect.map(directionAt(Method.f2sa({ multiplier, growth: 0, lowerSteps: 1, sides }), 0.3 / multiplier), error)
      assert.closeTo(yield* at(10, "one"), 0.112, 1e-3)
      assert.closeTo(yield* at(40, "one"), 0.112 / 4, 4e-3)
      assert.closeTo(yield* at(10, "two"), 0.0224, 1e-3)
      assert.closeTo(yield* at(40, "two"), 0.0224 / 16, 4e-4)
      // PBGD at the same multiplier is F2SA's direction, over the multiplier.
      const one = yield* directionAt(Method.pbgd({ multiplier: 10, lowerSteps: 1 }), 0.3)
      assert.closeTo(error(one.map((each) => 10 * each)), 0.112, 1e-3)
    }).pipe(Effect.provide(Compiled.layer()))
  )

  it.live("end where they say: BOME by its inner steps, PBGD by its multiplier, MEHA as its penalty grows", () =>
    Effect.gen(function* () {
      const end = (method: Method.Method, ticks: number, rates: readonly [number, number]) =>
        Effect.map(after(problem(rates).pipe(method), ticks), ({ x }) => distance(x))
      const bome = (lowerSteps: number) => end(Method.bome({ rate: 0.1, lowerSteps }), 4000, [0.1, 0.05])
      assert.closeTo(yield* bome(2), 1.33, 0.02)
      assert.closeTo(yield* bome(10), 0.67, 0.02)
      const pbgd = (multiplier: number) => end(Method.pbgd({ multiplier, lowerSteps: 3 }), 6000, [0.2, 0.05])
      const [ten, forty] = [yield* pbgd(10), yield* pbgd(40)]
      assert.isBelow(ten, 0.15)
      assert.isBelow(forty, ten / 2.5)
      const meha = (multiplier: number) => end(Method.meha({ multiplier, growth: 0 }), 6000, [0.2, 0.1])
      const [four, sixteen] = [yield* meha(4), yield* meha(16)]
      assert.isBelow(sixteen, 0.2)
      assert.isAbove(four, 2.5 * sixteen)
    }).pipe(Effect.provide(Compiled.layer()))
  )

  it("are refused where they are none", () => {
    const chain = () => {
      const [x, y, z] = ["x", "y", "z"].map((name) => Var.make(name, () => NdArray.scalar(0))) as unknown as [
        Var.Var<"x", tf.Scalar>,
        Var.Var<"y", tf.Scalar>,
        Var.Var<"z", tf.Scalar>
      ]
      const shared = { data: Dataset.none, optimizer: Optimizer.sgd(0.1) }
      const first = Level.minimize(z, { ...shared, given: [x], objective: ({ x, z }) => tf.square(tf.sub(x, z)) })
      const second = Level.minimize(y, {
        ...shared,
        upstream: [first],
        objective: ({ y, z }) => tf.square(tf.sub(y, z))
      })
      return Problem.close(Level.minimize(x, { ...shared, upstream: [second], objective: ({ y }) => tf.square(y) }))
    }
    for (const method of [Method.f2sa(), Method.pbgd(), Method.meha(), Method.bome({ rate: 0.1 })]) {
      assert.throws(() => chain().pipe(method), /it is for one level on one other/)
      assert.throws(() => problem().pipe(Problem.upperFirst, method), /an order of its own/)
    }
    assert.throws(() => Method.bome({ rate: 0 })(problem()), RangeError)
    const warming = Problem.mapLevels((level) => (level.name === "upper" ? Level.warmup(3)(level) : level))
    assert.throws(() => problem().pipe(warming, Method.bome({ rate: 0.1 })), /schedules of their own/)
  })
})

describe("where methods end", () => {
  it.live("those whose adjoint is kept reach the optimum to rounding; those that begin it anew stall", () =>
    Effect.gen(function* () {
      const end = (method: Method.Method) =>
        Effect.map(after(problem([0.2, 0.1]).pipe(method), 1000), ({ x }) => distance(x))
      assert.isBelow(yield* end(Method.soba({ rate: 0.2 })), 1e-6)
      assert.isBelow(yield* end(Method.amigo({ rate: 0.2, lowerSteps: 2, adjointSteps: 2 })), 1e-6)
      assert.isAbove(yield* end(Method.stocbio({ rate: 0.2, lowerSteps: 2, terms: 2 })), 0.3)
      assert.isAbove(yield* end(Method.t1t2()), 0.1)
      assert.isBelow(yield* end(Method.imaml({ iterations: 2 })), 1e-5)
    }).pipe(Effect.provide(Compiled.layer()))
  )

  it.live("a random term of the series is its sum in the mean", () =>
    Effect.gen(function* () {
      // The lower level is at rest and the upper nearly so: what each tick hands on differs by its draw alone.
      const still = problem([1e-12, 1e-4])
      const ticks = 2000
      const moved = (method: Method.Method) =>
        Effect.map(after(still.pipe(method), ticks), ({ x }) => [x[0]! - 1, x[1]! + 1].map((d) => d / (ticks * 1e-4)))
      const drawn = yield* moved(Method.ttsa({ rate: 0.3, terms: 6 }))
      const summed = yield* moved(Method.stocbio({ rate: 0.3, terms: 5, lowerSteps: 1 }))
      const cut = yield* moved(Method.stocbio({ rate: 0.3, terms: 1, lowerSteps: 1 }))
      const apart = (a: Numbers, b: Numbers) => Math.hypot(a[0]! - b[0]!, a[1]! - b[1]!)
      assert.isBelow(apart(drawn, summed), 0.02)
      assert.isAbove(apart(cut, summed), 0.1)
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("orders within a tick", () => {
  it.live("upper first: its direction is taken before the lower level moves", () =>
    Effect.gen(function* () {
      const method = Method.bsa({ rate: 0.1, lowerSteps: 2, terms: 1, product: fd })
      const found = yield* after(problem().pipe(method), 1)
      // With one term u = αv is no draw: ∂f + Cᵀ-part at (x0, z0), then two lower steps at the new x.
      const { direct, step } = bilinear
      const expected = step([1, -1], [0, 0], 0.1)
      close(found.x, [1 - 0.05 * expected[0]!, -1 - 0.05 * expected[1]!], 1e-6, "x")
      close(found.z, direct(found.x, [0, 0], 0.1, 2), 1e-6, "z")
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  it("is the method's own, whatever turns its levels had", () => {
    const turns = (method: Method.Method) => {
      const own = problem().pipe(
        Problem.mapLevels((level) => (level.name === "lower" ? Level.unroll(20)(level) : level))
      )
      return Result.getOrThrow(Plan.make(own.pipe(method))).levels.map(({ name, period }) => [name, period])
    }
    for (const method of [Method.soba({ rate: 0.1 }), Method.sama(), Method.unrolled({ steps: 2 })])
      assert.deepStrictEqual(turns(method), [
        ["lower", 1],
        ["upper", 1]
      ])
    assert.deepStrictEqual(turns(Method.f2sa()), [
      ["lower", 1],
      ["lower twin", 1],
      ["upper", 1]
    ])
  })

  it("is printed, and refused with estimators of past updates", () => {
    const text = (method: Method.Method) => PlanText.text(Result.getOrThrow(Plan.make(problem().pipe(method))))
    assert.include(text(Method.bsa({ rate: 0.1 })), "updated in this order, last first")
    assert.include(text(Method.soba({ rate: 0.1 })), "updated together from one snapshot")
    assert.match(text(Method.imaml()), /each hop solves H u = v .*\n  upper\n    solve at lower/)
    assert.match(
      text(Method.unrolled({ steps: 2 })),
      /each hop hands on what came of updates\)\n  upper\n    back through lower/
    )
    const refusal = (method: Method.Method) => {
      const plan = Plan.make(problem().pipe(method, Problem.upperFirst))
      return Result.isFailure(plan) ? plan.failure.message : "accepted"
    }
    assert.match(refusal(Method.unrolled({ steps: 3 })), /levels above update first/)
    assert.match(refusal(Method.sama()), /levels above update first/)
    const again = Plan.make(
      problem().pipe(
        Method.t1t2(),
        Problem.mapLevels((level) => (level.name === "lower" ? Level.restart(level) : level)),
        Problem.upperFirst
      )
    )
    assert.isTrue(Result.isFailure(again))
  })
})

describe("state of methods", () => {
  it.live("is in the run's: stopped and resumed is never stopped, bit for bit", () =>
    Effect.gen(function* () {
      for (const method of [
        Method.soba({ rate: 0.1 }),
        Method.ttsa({ rate: 0.1, terms: 3 }),
        Method.f2sa({ lowerSteps: 2 }),
        Method.f2sa({ lowerSteps: 2, sides: "two", multiplier: 10 }),
        Method.meha(),
        Method.es({ lowerSteps: 2, pairs: 2 }),
        Method.pzobo({ lowerSteps: 2 })
      ]) {
        const made = problem().pipe(method) as Problem.Problem<any>
        const last = (ticks: number, from?: { readonly tick: number; readonly state: Run.Snapshot }) =>
          Run.ticks(made, { ticks, seed: 3, ...(from === undefined ? {} : { from }) }).pipe(
            Stream.filter((tick) => tick.index === ticks),
            Stream.mapEffect((tick) => tick.snapshot),
            Stream.runHead,
            Effect.map(Option.getOrThrow)
          )
        const whole = yield* last(6)
        const half = yield* last(3)
        assert.deepStrictEqual(yield* last(6, { tick: 3, state: half }), whole)
      }
    }).pipe(Effect.provide(Compiled.layer()))
  )

  it("a penalty is refused where it is none", () => {
    const one = Problem.close(
      Level.minimize(
        Var.make("z", () => NdArray.scalar(0)),
        {
          data: Dataset.none,
          optimizer: Optimizer.sgd(0.1),
          objective: ({ z }) => tf.square(z)
        }
      )
    )
    assert.throws(() => one.pipe(Method.f2sa()), /it is for one level on one other/)
    assert.throws(() => problem().pipe(Problem.simultaneous, Method.f2sa()), /an order of its own/)
    assert.throws(() => Method.f2sa({ multiplier: 0 })(problem()), RangeError)
  })
})
